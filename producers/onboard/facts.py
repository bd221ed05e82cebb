"""What the values of each column are, found in one pass over the whole file, in bounded memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from config.errors import UsageError
from config.spec import AvroType
from config.spec_data import DataFile
from producers.files.convert import Unfit, to_type
from producers.files.read import raw_batches
from producers.files.where import place

CATEGORIES = 10_000  # distinct values that are remembered
MIXED = 0.9  # a text column with this share of numbers is a column of numbers with something wrong in it
MISSING_WORDS = frozenset({"?", "-", "--", ".", "*", "none", "missing", "unknown", "n/d", "n.a.", "nil", "(null)", "inf?"})
_PARSED: tuple[AvroType, ...] = ("boolean", "long", "double", "doubles")
_BOOLEAN_WORDS = {"true", "false", "t", "f", "yes", "no", "y", "n"}


@dataclass(slots=True)
class Facts:
    """One column so far. ``values`` are its distinct values, None once there are too many; ``misfits`` are what is no number, by row."""

    name: str
    dtype: pl.DataType
    rows: int = 0
    nulls: int = 0
    numbers: int = 0
    words: int = 0
    low: float | None = None
    high: float | None = None
    consecutive: bool = True
    last: int | None = None
    possible: set[AvroType] = field(default_factory=lambda: set(_PARSED))
    values: set[object] | None = field(default_factory=set)
    misfits: dict[str, int] = field(default_factory=dict)

    @property
    def known(self) -> int:
        """Rows with a value."""
        return self.rows - self.nulls

    @property
    def distinct(self) -> int | None:
        """The number of distinct values; None when it is beyond ``CATEGORIES``."""
        return None if self.values is None else len(self.values)

    def add(self, series: pl.Series, decimal: str) -> None:
        """Take in the next rows."""
        known = series.drop_nulls()
        if series.dtype.is_float():
            known = known.drop_nans()
        if not isinstance(series.dtype, pl.List | pl.Array | pl.Struct):
            self._count(known)
        if series.dtype == pl.String:
            self._parse(series, decimal)
            self.words += int(known.str.count_matches(r"\S+").sum() or 0)
        elif series.dtype.is_numeric() and len(known):
            self._extent(known.cast(pl.Float64))
        if series.dtype.is_integer():
            self._steps(known)
        self.rows += len(series)
        self.nulls += len(series) - len(known)

    def _count(self, known: pl.Series) -> None:
        if self.values is not None:
            self.values |= set(known.unique().to_list())
            if len(self.values) > CATEGORIES:
                self.values = None

    def _extent(self, numbers: pl.Series) -> None:
        low, high = float(str(numbers.min())), float(str(numbers.max()))
        self.low = low if self.low is None else min(self.low, low)
        self.high = high if self.high is None else max(self.high, high)

    def _steps(self, known: pl.Series) -> None:
        if self.consecutive and len(known):
            start = known[0] if self.last is None else self.last + 1
            self.consecutive = known[0] == start and bool((known.diff().drop_nulls() == 1).all())
            self.last = int(known[-1])

    def _parse(self, texts: pl.Series, decimal: str) -> None:
        if "boolean" in self.possible and not texts.drop_nulls().str.strip_chars().str.to_lowercase().is_in(_BOOLEAN_WORDS).all():
            self.possible.discard("boolean")
        plain = texts.str.strip_chars().str.replace(",", ".", literal=True) if decimal == "," else texts.str.strip_chars()
        parsed = plain.cast(pl.Float64, strict=False)
        self.numbers += len(texts) - parsed.null_count()
        if parsed.null_count() < len(parsed):
            self._extent(parsed.drop_nulls())
        self._note_misfits(texts, parsed)
        if "long" in self.possible:
            whole = plain.cast(pl.Int64, strict=False)  # 41.0 is a double: the next may be 41.5
            self._steps(whole.drop_nulls())
            if whole.null_count() > texts.null_count():
                self.possible.discard("long")
        if "doubles" in self.possible:
            self._parse_vectors(texts, decimal)

    def _parse_vectors(self, texts: pl.Series, decimal: str) -> None:
        if not texts.drop_nulls().str.starts_with("[").all():
            self.possible.discard("doubles")
            return
        try:
            to_type(texts, "doubles", decimal)
        except Unfit:
            self.possible.discard("doubles")

    def _note_misfits(self, texts: pl.Series, parsed: pl.Series) -> None:
        odd = (parsed.is_null() & texts.is_not_null()).arg_true()
        if len(odd):
            self.possible.discard("double")
        for row in odd.head(50).to_list():
            if len(self.misfits) < 50:
                self.misfits.setdefault(str(texts[row]), self.rows + row)


def gather(path: Path, data: DataFile, columns: list[str]) -> dict[str, Facts]:
    """The facts of these columns, over the whole file.

    Raises:
        UsageError: the file cannot be read to its end.
    """
    found: dict[str, Facts] = {}
    for frame in raw_batches(path, data, columns):
        for series in frame.iter_columns():
            found.setdefault(series.name, Facts(series.name, series.dtype)).add(series, data.decimal)
    return found


def missing_words(facts: dict[str, Facts]) -> tuple[str, ...]:
    """Words such as ``?`` that stand for nothing in columns of numbers."""
    words = {
        next(iter(f.misfits))
        for f in facts.values()
        if f.numbers and len(f.misfits) == 1 and next(iter(f.misfits)).strip().lower() in MISSING_WORDS
    }
    return tuple(sorted(words))


def check_mixed(path: Path, data: DataFile, facts: Facts) -> None:
    """Refuse a column that is nearly all numbers.

    Raises:
        UsageError: with the line of the first value that is none.
    """
    if facts.misfits and facts.numbers >= MIXED * facts.known:
        value, row = min(facts.misfits.items(), key=lambda item: item[1])
        raise UsageError(
            f"{place(path, data, row)}, column {facts.name!r}: {value!r} is no number; "
            f"{facts.numbers:,} of {facts.known:,} values of the column are: mixed types",
            f"correct the value, or read it as missing (--null '{value}'), or the column as text (--type '{facts.name}=categorical')",
        )
