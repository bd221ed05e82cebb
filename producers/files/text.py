"""What a CSV file is written in: its encoding, its delimiter, the decimal sign. Found out from the bytes, once, by ``tidemark init``."""

from __future__ import annotations

import codecs
import csv
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from config.errors import UsageError
from producers.files.where import undecodable

DELIMITERS = (",", ";", "\t", "|")
SAMPLE_CHARS = 4_000_000
SAMPLE_ROWS = 200
_CHUNK = 1 << 20
_HIGH = bytes(range(0x80, 0x100))
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_COMMA_NUMBER = re.compile(r"\s*[-+]?\d+,\d+\s*\Z")
_NUMBER = re.compile(r"\s*[-+]?\d+([.,]\d+)?\s*\Z")
_MULTIBYTE = re.compile(rb"[\xc3-\xf4][\x80-\xbf]")


@dataclass(frozen=True, slots=True)
class Text:
    """How a CSV file is written, and its header."""

    encoding: str
    delimiter: str
    decimal: str
    header: tuple[str, ...]


def sniff(path: Path, encoding: str | None = None, delimiter: str | None = None) -> Text:
    """Find out how a CSV file is written; what is given is taken as it is.

    Raises:
        UsageError: the file is empty, no text, has bytes that are no text of its encoding, no header, or two columns of one name.
    """
    if path.stat().st_size == 0:
        raise UsageError(f"{path} is empty", "name a file with a header and rows")
    encoding = encoding or _encoding(path)
    if broken := undecodable(path, encoding):
        raise UsageError(broken, "save the file as UTF-8, or name its encoding with --encoding")
    with path.open(encoding=encoding, newline="") as file:
        sample = file.read(SAMPLE_CHARS)
    if "\0" in sample:
        raise UsageError(f"{path}, line {sample[: sample.index(chr(0))].count(chr(10)) + 1}: a NUL character", "give a CSV or Parquet file")
    delimiter = delimiter or _delimiter(sample)
    rows = _rows(sample, delimiter)
    if not rows:
        raise UsageError(f"{path} has no row: it holds blank lines only", "name a file with a header and rows")
    _check_header(path, rows[0])
    return Text(encoding, delimiter, _decimal(rows[1:], delimiter), tuple(rows[0]))


def _encoding(path: Path) -> str:
    with path.open("rb") as file:
        start = file.read(_CHUNK)
    for mark, name in _MARKS:
        if start.startswith(mark):
            return name
    if half := _without_mark(start):
        return half
    if undecodable(path, "utf-8") is None:
        return "utf-8"
    if _mostly_utf8(path):
        return "utf-8"  # mostly UTF-8 with a few broken bytes: those are told, not read as something else
    return "cp1252" if undecodable(path, "cp1252") is None else "latin-1"


def _mostly_utf8(path: Path) -> bool:
    """True when most bytes beyond ASCII stand in pairs as UTF-8 has them."""
    high = pairs = 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            high += len(chunk) - len(chunk.translate(None, _HIGH))
            pairs += len(_MULTIBYTE.findall(chunk))
    return 2 * pairs > 0.5 * high


def _without_mark(start: bytes) -> str | None:
    """UTF-16 without a byte order mark: every other byte of western text is zero."""
    even, odd = start[0::2].count(0), start[1::2].count(0)
    if max(even, odd) < 0.4 * len(start) / 2:
        return None
    return "utf-16-be" if even > odd else "utf-16-le"


def _rows(sample: str, delimiter: str) -> list[list[str]]:
    lines = sample.splitlines(keepends=True)
    if len(sample) == SAMPLE_CHARS and len(lines) > 1:
        lines = lines[:-1]  # it may be cut
    found = []
    for fields in csv.reader(lines, delimiter=delimiter):
        if fields:
            found.append(fields)
        if len(found) > SAMPLE_ROWS:
            break
    return found


def _delimiter(sample: str) -> str:
    """The one that gives most rows the same number of fields, and the most of these."""

    def quality(delimiter: str) -> tuple[float, int]:
        lengths = Counter(map(len, _rows(sample, delimiter)))
        if not lengths or (fields := lengths.most_common(1)[0])[0] < 2:
            return 0.0, 0
        return round(fields[1] / lengths.total(), 1), fields[0]

    best = max(DELIMITERS, key=quality)
    return best if quality(best)[1] else ","


def _decimal(rows: list[list[str]], delimiter: str) -> str:
    """A comma where numbers such as 3,14 stand and the comma parts no fields."""
    if delimiter == ",":
        return "."
    values = [value for fields in rows for value in fields if _NUMBER.match(value)]
    commas = sum(bool(_COMMA_NUMBER.match(value)) for value in values)
    points = sum("." in value for value in values)
    return "," if commas > points else "."


def _check_header(path: Path, header: list[str]) -> None:
    for name, count in Counter(header).items():
        if count > 1:
            places = [str(n + 1) for n, other in enumerate(header) if other == name]
            told = f"{name!r}" if name else "without a name"
            raise UsageError(
                f"{path}, line 1: {count} columns {told}: columns {' and '.join(places)}", "give each column a name of its own"
            )
    if len(header) > 1 and all(_NUMBER.match(name) for name in header):
        raise UsageError(
            f"{path}, line 1: there is no header, the first line holds numbers: {', '.join(header[:4])}",
            "add a line with the columns' names",
        )
