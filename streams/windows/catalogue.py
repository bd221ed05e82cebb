"""The specs a worker works with, by digest: windows keep the one they were opened with."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import polars as pl

from config.spec import ModelSpec
from schemas.dtypes import DTYPES
from streams.windows.batch import FEATURE, ID, PREDICTION, PROBABILITY, TARGET, VERSION
from streams.windows.grid import Grid
from streams.windows.state import WindowId


@dataclass(frozen=True)
class Binding:
    """A spec bound to its reference dataset."""

    spec: ModelSpec
    reference_fingerprint: str

    @cached_property
    def digest(self) -> str:
        """Names spec and reference together."""
        return self.spec.digest(self.reference_fingerprint)

    @cached_property
    def layout(self) -> str:
        """Names what rows its windows keep."""
        return self.spec.layout()

    @cached_property
    def dtypes(self) -> dict[str, Any]:
        """The polars type of each column that a window of this spec keeps."""
        features = {FEATURE + name: DTYPES[column.type] for name, column in self.spec.features.items()}
        target = {TARGET: DTYPES[self.spec.target.type]} if self.spec.target else {}
        classes = {PROBABILITY + label: pl.Float64() for label in self.spec.probabilities}
        return {ID: pl.String(), VERSION: pl.String(), PREDICTION: DTYPES[self.spec.prediction.type], **target, **classes, **features}

    def conform(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The columns that the spec knows, in its types, so that rows of older and newer schemas go together.

        A value that its type cannot hold becomes null. A column that the schema does not have stays missing.
        """
        schema = frame.schema
        names = [name for name in self.dtypes if name in schema]
        other = [_cast(n, schema[n], self.dtypes[n]) for n in names if schema[n] != self.dtypes[n]]
        return (frame.with_columns(other) if other else frame)[names]  # usually there is nothing to compute

    def names(self, columns: list[str]) -> dict[str, str]:
        """The user's name of each column of a window's rows, but for what only windows need."""
        outputs = {PREDICTION: self.spec.prediction.column, TARGET: self.spec.target.column if self.spec.target else ""}
        outputs |= {PROBABILITY + label: name for label, name in self.spec.probabilities.items()}
        return {c: outputs.get(c) or c.removeprefix(FEATURE) for c in columns if c not in (ID, VERSION)}

    @cached_property
    def grid(self) -> Grid:
        """The spec's windows."""
        return Grid(self.spec.window)


def _cast(name: str, found: Any, wanted: Any) -> pl.Expr:
    """No value is a vector and no vector a value: polars would raise, not give null."""
    nested = isinstance(found, pl.List) or isinstance(wanted, pl.List)
    return pl.lit(None, dtype=wanted).alias(name) if nested else pl.col(name).cast(wanted, strict=False)


class Catalogue:
    """Bindings by digest, and which one is current for each model."""

    def __init__(self) -> None:
        self._bindings: dict[str, Binding] = {}
        self._current: dict[str, Binding] = {}

    def add(self, binding: Binding, current: bool = True) -> None:
        """Make a binding known; ``current`` ones are what new windows and runs are bound to."""
        self._bindings[binding.digest] = binding
        if current:
            self._current[binding.spec.model] = binding

    def closes_ms(self, window: WindowId) -> int:
        """The stream time, in milliseconds since 1970, at which a window closes: its end and the grace of the spec that it keeps."""
        return window.end_ms + self[window.digest].spec.window.grace

    def current(self, model: str) -> Binding | None:
        """The binding that a new run of the model gets, or None for an unknown model."""
        return self._current.get(model)

    def __getitem__(self, digest: str) -> Binding:
        return self._bindings[digest]

    def __contains__(self, digest: str) -> bool:
        return digest in self._bindings

    @property
    def bindings(self) -> list[Binding]:
        """Every binding, current or not."""
        return list(self._bindings.values())

    def current_digests(self) -> dict[str, str]:
        """The digest of each model's current binding."""
        return {model: binding.digest for model, binding in self._current.items()}

    @property
    def models(self) -> list[str]:
        """Models with a current spec."""
        return list(self._current)
