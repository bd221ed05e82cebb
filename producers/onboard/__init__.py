"""``tidemark init``: from a file of history to a model's reference dataset, spec and schema. Every guess is told, with how sure it is."""

from producers.onboard.options import InitOptions
from producers.onboard.plan import Plan, plan
from producers.onboard.write import staged

__all__ = ["InitOptions", "Plan", "plan", "staged"]
