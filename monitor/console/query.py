"""From a panel's expression to the questions that Prometheus is asked: variables, intervals, labels. No Streamlit here."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

ALL = ".*"
POINTS = 240  # of a line: more could not be told apart on half a screen
_VARIABLE = re.compile(r"\$\{(\w+)\}|\$(\w+)")
_LABEL = re.compile(r"\{\{\s*([\w.]+)\s*\}\}")
_LABEL_VALUES = re.compile(r"label_values\((?:(?P<series>.+),\s*)?(?P<label>\w+)\)", re.DOTALL)
_NICE_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400)


@dataclass(frozen=True, slots=True)
class Span:
    """What is looked at: ``end_s`` (s since the epoch), ``length_s`` back from it, the scrape interval in s."""

    end_s: float
    length_s: int
    scrape_s: int

    def step_s(self, points: int = 0) -> int:
        """Distance of two points: a round number, a scrape at least, so that there are ``points`` (default ``POINTS``) at most."""
        wanted = max(self.scrape_s, self.length_s / (points or POINTS))
        return next((n for n in _NICE_S if n >= wanted), -(-self.length_s // POINTS))

    def rate_interval_s(self, points: int = 0) -> int:
        """Grafana's ``$__rate_interval``: the step and one scrape, and never less than four scrapes."""
        return max(self.step_s(points) + self.scrape_s, 4 * self.scrape_s)

    def bounds(self, points: int = 0) -> tuple[float, float]:
        """Start and end in s since the epoch, on multiples of the step, so that points stand still between two looks."""
        step = self.step_s(points)
        end = self.end_s // step * step
        return end - self.length_s, end


def chosen(values: Sequence[str]) -> str:
    """The regular expression for the chosen values of a variable; none means all."""
    return "|".join(_escaped(v) for v in values) if values else ALL


def _escaped(value: str) -> str:
    # re.escape would escape what RE2 in a PromQL string does not take, such as a blank
    regex = re.sub(r"([\\.+*?()|\[\]{}^$])", r"\\\1", value)
    return regex.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def fill(expression: str, variables: Mapping[str, str], span: Span, points: int = 0) -> str:
    """The expression as Grafana would send it.

    Args:
        variables: per name the regular expression, already escaped (``chosen``), or the text.
        points: ``maxDataPoints`` of the panel, 0 for the default.

    Raises:
        KeyError: a variable that nobody gave.
    """
    built_in = {
        "__rate_interval": f"{span.rate_interval_s(points)}s",
        "__interval": f"{span.step_s(points)}s",
        "__range": f"{span.length_s}s",
    }
    values = {**built_in, **variables}
    return _VARIABLE.sub(lambda m: values[m[1] or m[2]], expression)


def label_values(query: str) -> tuple[str, str]:
    """Series selector (may be empty) and label of ``label_values(series, label)``.

    Raises:
        ValueError: it is another kind of query.
    """
    found = _LABEL_VALUES.fullmatch(query.strip())
    if not found:
        raise ValueError(f"variable query {query!r} is not label_values(series, label)")
    return (found["series"] or "").strip(), found["label"]


def legend(template: str, labels: Mapping[str, str]) -> str:
    """A series' name: ``{{label}}`` filled in; without a template the labels themselves."""
    if template:
        return " ".join(_LABEL.sub(lambda m: labels.get(m[1], ""), template).split())
    inside = ", ".join(f'{k}="{v}"' for k, v in sorted(labels.items()) if k != "__name__")
    return labels.get("__name__", "") + (f"{{{inside}}}" if inside or not labels.get("__name__") else "")
