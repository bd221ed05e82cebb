"""Names and values so that Evidently's page shows them as they are. Plotly reads ``<b>`` and ``<a href=…>`` in any text as markup, and a
word of 500 letters makes the whole page that wide. Only characters without width are added.
"""

from __future__ import annotations

import re

import polars as pl

_TAG = "<\u2060"  # a word joiner: no tag begins with it, for Plotly as for a browser
_LONG_WORD = r"(\S{20})"
_BREAK = "\u200b"  # a space of no width: a line may break there


def literal(text: str) -> str:
    """A text that looks the same, in which nothing is markup to Plotly and long words may break."""
    return re.sub(_LONG_WORD, rf"\1{_BREAK}", text.replace("<", _TAG))


def literal_values(series: pl.Series) -> pl.Series:
    """A column with such texts; columns of other types as they are."""
    if series.dtype != pl.String:
        return series
    return series.str.replace_all("<", _TAG, literal=True).str.replace_all(_LONG_WORD, f"${{1}}{_BREAK}")
