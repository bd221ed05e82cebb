"""The example's model: a ridge regression on the delay at departure, the distance and the categories."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
from sklearn.compose import make_column_transformer
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from examples.flights.data import CATEGORIES, FEATURES, NUMBERS, TARGET

Minutes = npt.NDArray[np.float64]


def train(rows: pl.DataFrame) -> Any:
    """Fit the scikit-learn pipeline; nothing in it is random. An airport it has not seen counts as none."""
    encode = make_column_transformer(
        (StandardScaler(), list(NUMBERS)),
        (OneHotEncoder(handle_unknown="ignore"), list(CATEGORIES)),
    )
    # Conjugate gradients start at zero, so nothing is random; the tolerance is tight enough that another library's rounding does not show.
    pipeline = make_pipeline(encode, Ridge(alpha=1.0, solver="sparse_cg", tol=1e-10))
    return pipeline.fit(rows.select(FEATURES).to_pandas(), rows[TARGET].to_numpy())


def predict(pipeline: Any, rows: pl.DataFrame) -> Minutes:
    """Predicted arrival delays in minutes, shape ``(rows,)``."""
    return np.asarray(pipeline.predict(rows.select(FEATURES).to_pandas()), dtype=np.float64)


def version(predictions: Minutes) -> str:
    """A model version from what the model answers on the held-out rows, to a thousandth of a minute.

    The artefact's own bytes would not do: skops writes memory addresses as ids into it.
    """
    return hashlib.sha256(np.round(predictions * 1000).astype("<i8").tobytes()).hexdigest()[:12]


def mean_absolute_error(predictions: Minutes, rows: pl.DataFrame) -> float:
    """Mean absolute error against the target, minutes."""
    return float(np.mean(np.abs(predictions - rows[TARGET].to_numpy())))
