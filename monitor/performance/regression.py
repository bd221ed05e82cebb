"""Errors of numerical predictions. The formulas are those of Evidently 0.7.23's RegressionPreset and of scikit-learn, which it asks."""

from __future__ import annotations

import warnings

import numpy as np

from monitor.performance.measures import Floats, Key, Scored, Side, finite

_NEAR_ZERO = float(np.finfo(np.float64).eps)  # a target no further from 0 is zero to a percentage error
_ZERO_ERROR = 1.0  # the percentage error of such a row in a window, 100 %


def regression(target: Floats, prediction: Floats, side: Side) -> Scored:
    """Measures of predictions, both of shape (rows,) and finite; an error is prediction minus target, in the target's unit.

    ``me`` and ``error_std`` (one degree of freedom less) are of the errors, ``mae``, ``mae_std`` and ``max_error`` of their absolute
    values; ``mape`` is in percent, see ``percentage_errors``; ``r2`` is 1 − Σerror² / Σ(target − mean)², and of a constant target 1 where
    every error is 0, else 0 (as scikit-learn).
    """
    with np.errstate(over="ignore", invalid="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a mean of no value, a deviation of one: those are None
        errors = prediction - target
        absolute = np.abs(errors)
        shares = percentage_errors(target, absolute, side)
        found = {
            "mae": absolute.mean(),
            "mae_std": absolute.std(ddof=1),
            "rmse": np.sqrt((errors**2).mean()),
            "me": errors.mean(),
            "error_std": errors.std(ddof=1),
            "mape": 100 * shares.mean(),
            "r2": _r2(target, errors),
            "max_error": absolute.max(),
        }
    values: dict[Key, float | None] = {(name, ""): finite(value) for name, value in found.items()}
    return Scored(target.size, values)


def percentage_errors(target: Floats, absolute: Floats, side: Side) -> Floats:
    """``|error| / |target|`` of each row. A target of zero has none: as in Evidently, such a row counts as 100 % in a window and is left
    out in the reference.

    Evidently divides by the greater of target and 2.2e-16, so one negative target makes its MAPE about 1e17; here as everywhere else the
    denominator is the absolute value.
    """
    known = np.abs(target) > _NEAR_ZERO
    shares: Floats = np.full(target.shape, _ZERO_ERROR)
    np.divide(absolute, np.abs(target), out=shares, where=known)
    return shares[known] if side == "reference" else shares


def _r2(target: Floats, errors: Floats) -> float:
    spread = float(((target - target.mean()) ** 2).sum())
    if target.size < 2:
        return float("nan")
    left = float((errors**2).sum())
    if spread == 0:
        return 1.0 if left == 0 else 0.0
    return 1 - left / spread
