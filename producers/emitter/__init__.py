"""Sends a prediction service's predictions to Tidemark. Stands alone: this folder, confluent-kafka and fastavro are all it needs."""

from .emitter import Emitter
from .errors import EmitterError, EventRefused, WrongType
from .ledger import Counters

__all__ = ["Counters", "Emitter", "EmitterError", "EventRefused", "WrongType"]
