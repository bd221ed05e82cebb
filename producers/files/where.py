"""Where something stands in a CSV file: only asked once an error is known, so it may read the file again, row by row."""

from __future__ import annotations

import codecs
import csv
from collections.abc import Iterator
from pathlib import Path

from config.spec_data import DataFile

csv.field_size_limit(2**31 - 1)
_CHUNK = 1 << 20


def rows(path: Path, data: DataFile) -> Iterator[tuple[int, list[str]]]:
    """``(line, fields)`` of each row, the header first; lines count from 1, blank ones are passed over, as the reader does."""
    with path.open(encoding=data.encoding, newline="", errors="replace") as text:
        reader = csv.reader(text, delimiter=data.delimiter)
        line = 1
        for fields in reader:
            if fields:
                yield line, fields
            line = reader.line_num + 1


def line_of(path: Path, data: DataFile, row: int) -> int:
    """The line on which data row ``row`` (from 0) begins."""
    return next((line for number, (line, _) in enumerate(rows(path, data)) if number == row + 1), 0)


def place(path: Path, data: DataFile, row: int) -> str:
    """How a person finds a row: its line in a CSV file, its number in a Parquet file."""
    if data.format == "parquet":
        return f"{path}, row {row + 1:,}"
    return f"{path}, line {line_of(path, data, row)}"


def uneven(path: Path, data: DataFile) -> str | None:
    """What is wrong with the first row that has not as many fields as the header; None when all have."""
    found = rows(path, data)
    _, header = next(found, (0, []))
    for line, fields in found:
        if len(fields) != len(header):
            return f"{path}, line {line}: {len(fields)} fields, the header has {len(header)}"
    return None


def undecodable(path: Path, encoding: str) -> str | None:
    """What is wrong with the first bytes that are no text of the encoding, with line and column (both from 1); None when all are."""
    decoder = codecs.getincrementaldecoder(encoding)()
    line, column = 1, 1
    with path.open("rb") as file:
        while True:
            chunk = file.read(_CHUNK)
            held = decoder.getstate()[0]  # the first bytes of a character whose rest is in this chunk
            try:
                text = decoder.decode(chunk, final=not chunk)
            except UnicodeDecodeError as error:
                before = error.object[: error.start].decode(encoding, errors="ignore") if error.start else ""
                line, column = _after(before, line, column)
                return f"{path}, line {line}, column {column}: byte 0x{(held + chunk)[error.start]:02x} is no {encoding} text"
            if not chunk:
                return None
            line, column = _after(text, line, column)


def _after(text: str, line: int, column: int) -> tuple[int, int]:
    """The place behind a text that begins at a place."""
    lines = text.count("\n")
    return line + lines, len(text) - text.rfind("\n") if lines else column + len(text)
