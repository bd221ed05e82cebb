"""The specs a worker works with, by digest: windows keep the one they were opened with."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from config.spec import ModelSpec
from streams.windows.grid import Grid


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
    def grid(self) -> Grid:
        """The spec's windows."""
        return Grid(self.spec.window)


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

    def current(self, model: str) -> Binding | None:
        """The binding that a new run of the model gets, or None for an unknown model."""
        return self._current.get(model)

    def __getitem__(self, digest: str) -> Binding:
        return self._bindings[digest]

    def __contains__(self, digest: str) -> bool:
        return digest in self._bindings

    @property
    def models(self) -> list[str]:
        """Models with a current spec."""
        return list(self._current)
