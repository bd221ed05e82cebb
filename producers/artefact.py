"""A model artefact: a scikit-learn model saved with skops, loaded without running any code that is in the file."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import skops.io

from config.errors import TidemarkError, UsageError
from config.settings import Settings
from config.spec import ModelSpec


@dataclass(frozen=True, slots=True)
class Artefact:
    """A loaded model. ``version`` is the attribute of that name that its maker set, else 12 hex digits of the file's SHA-256."""

    version: str
    features: tuple[str, ...]
    estimator: Any

    def predict(self, frame: pd.DataFrame) -> npt.NDArray[Any]:
        """Predictions of shape ``(rows,)``; ``frame`` needs the spec's feature columns, more columns do no harm.

        Raises:
            UsageError: a feature column is missing.
            TidemarkError: the model itself fails on these rows (its own message).
        """
        missing = [name for name in self.features if name not in frame.columns]
        if missing:
            raise UsageError(f"the model needs column {', '.join(missing)}, which the rows lack", "give every feature of the spec")
        try:
            return np.asarray(self.estimator.predict(frame[list(self.features)]))
        except (ValueError, TypeError, AttributeError) as error:
            raise TidemarkError(f"the model cannot predict these rows: {error}", "check the columns' values and types") from error


def load_artefact(settings: Settings, spec: ModelSpec) -> Artefact:
    """The model that ``spec.artefact`` names.

    Raises:
        UsageError: the spec names none, or the file is missing, is no skops file, or holds types that skops does not trust.
    """
    if spec.artefact is None:
        raise UsageError(f"model {spec.model!r} has no artefact", "set artefact in its spec, or use data that has the prediction column")
    path = settings.under_home(str(spec.artefact))
    if not path.is_file():
        raise UsageError(f"no model artefact at {path}", _remedy(spec))
    estimator = _read(path, spec)
    if not hasattr(estimator, "predict"):
        raise UsageError(f"{path} holds {type(estimator).__name__}, which has no predict", "save a fitted model or pipeline there")
    named = getattr(estimator, "version", None)
    version = named if isinstance(named, str) else hashlib.sha256(path.read_bytes()).hexdigest()[:12]
    return Artefact(version, tuple(spec.features), estimator)


def _read(path: Path, spec: ModelSpec) -> Any:
    try:
        unknown = skops.io.get_untrusted_types(file=path)
        if unknown:
            raise UsageError(f"{path} holds types that skops does not trust: {', '.join(unknown)}", "save a model of known types only")
        return skops.io.load(path)
    except UsageError:
        raise
    except Exception as error:  # skops meets a damaged file with whatever its parts raise: zip, JSON, key and type errors
        raise UsageError(f"model artefact {path} cannot be read: {type(error).__name__}: {error}", _remedy(spec)) from error


def _remedy(spec: ModelSpec) -> str:
    return (
        "run `python -m examples.flights`"
        if spec.model == "flights"
        else "save the model with skops.io.dump, or correct artefact in its spec"
    )
