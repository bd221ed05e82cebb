"""What a test expects of a value: bounds that the user set, or one that the reference gives."""

from __future__ import annotations

import math
from dataclasses import dataclass

from config.suite import TestSpec
from monitor.changes import number

TOLERANCE = 0.1  # Evidently's, on the defaults that the reference gives
_WORDS = {"eq": "exactly", "gt": "more than", "gte": "at least", "lt": "less than", "lte": "at most"}


@dataclass(frozen=True, slots=True)
class Condition:
    """Bounds that a value has to keep, all of them, by their names (eq, gt, gte, lt, lte). ``source`` says where they come from."""

    bounds: tuple[tuple[str, float], ...]
    source: str = ""

    @classmethod
    def of_user(cls, spec: TestSpec) -> Condition | None:
        """The bounds of a spec's test; None when it has none."""
        return cls(tuple(spec.bounds.items())) if spec.bounds else None

    def holds(self, value: float) -> bool:
        """True when the value keeps every bound. Equal means within 1e-9 of the bound, since shares are fractions."""
        return all(_holds(name, value, bound) for name, bound in self.bounds)

    def __str__(self) -> str:
        text = " and ".join(f"{_WORDS[name]} {number(bound)}" for name, bound in self.bounds)
        return f"{text} ({self.source})" if self.source else text


def _holds(name: str, value: float, bound: float) -> bool:
    equal = math.isclose(value, bound, rel_tol=1e-9, abs_tol=1e-12)
    match name:
        case "eq":
            return equal
        case "gt":
            return value > bound and not equal
        case "gte":
            return value > bound or equal
        case "lt":
            return value < bound and not equal
    return value < bound or equal


def at_most(bound: float, source: str, tolerance: float = 0.0) -> Condition:
    """At most a value of the reference, more by a share of it where there is a tolerance."""
    more = f", +{tolerance:.0%}" if tolerance and bound else ""
    return Condition((("lte", bound * (1 + tolerance)),), f"{source}{more}")


def below(bound: float, source: str) -> Condition:
    """Less than a bound."""
    return Condition((("lt", bound),), source)
