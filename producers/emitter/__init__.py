"""Sends a prediction service's predictions to Tidemark. Stands alone: this folder, confluent-kafka and fastavro are all it needs."""

from .asgi import ASGIMiddleware
from .bodies import Prediction, Unreadable, read_json
from .emitter import Emitter
from .errors import EmitterError, EventRefused, WrongType
from .ledger import Counters
from .observer import Observer
from .wsgi import WSGIMiddleware

__all__ = [
    "ASGIMiddleware",
    "Counters",
    "Emitter",
    "EmitterError",
    "EventRefused",
    "Observer",
    "Prediction",
    "Unreadable",
    "WSGIMiddleware",
    "WrongType",
    "read_json",
]
