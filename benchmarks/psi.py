"""The population stability index as practice has it: deciles of the reference, categories as they are, 0.1 and 0.25 as limits.

Where nothing drifts, PSI / (1/n + 1/N) is about chi-square with as many degrees of freedom as there are bins, less one (Yurdakul and
Naranjo 2020, "Statistical properties of the population stability index", Journal of Risk Model Validation 14), so a limit of that size
keeps a rate; shared by the columns (Bonferroni).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy import special

BINS = 10
LEAST_SHARE = 1e-4  # in place of an empty bin's
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class PsiColumn:
    """One column of the reference in bins.

    Attributes:
        edges: between bins of numbers, shape (bins - 1,); None for categories.
        codes: of categories; one that the reference has not is a bin more.
        counts: of the reference's values, shape (bins,).
    """

    edges: Floats | None
    codes: dict[str, int]
    counts: Floats

    def coded(self, series: pl.Series) -> npt.NDArray[np.int64]:
        """The bin of each row; as many as there are bins where it has no value."""
        bins = len(self.counts)
        if self.edges is None:
            known = series.replace_strict(self.codes, default=bins - 1, return_dtype=pl.Int64)
            return np.where(series.is_null().to_numpy(), bins, known.fill_null(bins - 1).to_numpy())
        values = series.cast(pl.Float64).fill_null(np.nan).to_numpy()
        return np.where(np.isnan(values), bins, np.searchsorted(self.edges, values, "right"))

    def psi(self, series: pl.Series, windows: int) -> tuple[Floats, Floats]:
        """PSI of each window, and its usable values; the rows are those of ``windows`` windows of equal size. Shape (windows,)."""
        bins = len(self.counts)
        codes = self.coded(series).reshape(windows, -1) + np.arange(windows)[:, None] * (bins + 1)
        counts = np.bincount(codes.ravel(), minlength=windows * (bins + 1)).reshape(windows, bins + 1)[:, :-1].astype(np.float64)
        values = counts.sum(axis=1)
        ours = np.maximum(self.counts / self.counts.sum(), LEAST_SHARE)
        theirs = np.maximum(counts / np.maximum(values, 1)[:, None], LEAST_SHARE)
        return ((theirs - ours) * np.log(theirs / ours)).sum(axis=1), values

    def limit(self, values: Floats, rate: float) -> Floats:
        """What PSI exceeds with that probability where nothing drifts, for windows of so many values; shape (windows,)."""
        degrees = int(np.count_nonzero(self.counts)) - 1
        effective: Floats = 1 / np.maximum(values, 1) + 1 / self.counts.sum()
        return effective * float(special.chdtri(max(degrees, 1), rate))


def psi_column(series: pl.Series, categorical: bool) -> PsiColumn:
    """Of the reference's values."""
    if categorical:
        counts = series.drop_nulls().value_counts().sort(series.name)
        codes = {category: at for at, category in enumerate(counts[series.name].to_list())}
        return PsiColumn(None, codes, np.append(counts["count"].to_numpy().astype(np.float64), 0.0))
    values = series.drop_nulls().cast(pl.Float64).to_numpy()
    edges = np.unique(np.quantile(values, np.linspace(0, 1, BINS + 1)[1:-1]))
    plain = PsiColumn(edges, {}, np.zeros(len(edges) + 1))
    counts_of = np.bincount(plain.coded(series.drop_nulls()), minlength=len(edges) + 1).astype(np.float64)
    return PsiColumn(edges, {}, counts_of)
