"""From a file and a few words to a model spec: what ``tidemark init`` finds out, before anything is written."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from pydantic import ValidationError

from config.durations import show_ms
from config.errors import UsageError
from config.settings import Settings
from config.spec import Column, ModelSpec
from config.spec_data import NULLS, DataFile, TimeColumn
from producers.files.dvc import located
from producers.files.read import parquet, raw_batches
from producers.files.text import sniff
from producers.onboard.extent import Extent, choose_window, extent, reference_end
from producers.onboard.facts import Facts, check_mixed, gather, missing_words
from producers.onboard.options import TYPES, InitOptions
from producers.onboard.outputs import Outputs, find_outputs, monitors
from producers.onboard.roles import TIME, Guess, feature, folded, given_type
from producers.onboard.times import given_format, guess_format

MAX_COLUMNS = 5_000  # each is a dozen series in Prometheus and a line of every result
_ANY_TIME = TimeColumn(columns=("",))


@dataclass(frozen=True, slots=True)
class Plan:
    """What init is going to write. ``until_ms`` ends the reference's event times (exclusive)."""

    spec: ModelSpec
    guesses: tuple[Guess, ...]
    extent: Extent
    until_ms: int
    notes: tuple[str, ...]

    @property
    def data(self) -> DataFile:
        """How the file is read."""
        assert self.spec.data is not None  # init always sets it
        return self.spec.data


def plan(options: InitOptions, settings: Settings) -> Plan:
    """Read the whole file and decide what everything is.

    Raises:
        UsageError: the file cannot be used, or a needed role cannot be guessed; names line and column where they are known.
    """
    path = located(options.data)
    data, names = _opened(path, options)
    _check_options(options, names, path)
    data, time_why = _with_time(path, data, names, options)
    span = extent(data, settings.home, options)
    facts, data = _facts(path, data, [n for n in names if n not in data.time.columns], options)
    found = find_outputs(options, facts, path)
    guesses = [
        *(Guess(c, "time", None, "given" if options.time else "likely", time_why) for c in data.time.columns),
        *found.guesses,
        *_features(path, data, options, {n: f for n, f in facts.items() if n not in found.names}),
    ]
    until, why = reference_end(span, options)
    window, min_rows, window_why = choose_window(span, until, options)
    spec = _spec(options, data, found, guesses, {"size": show_ms(window)}, min_rows)
    return Plan(spec, tuple(guesses), span, until, (why, window_why))


def _opened(path: Path, options: InitOptions) -> tuple[DataFile, list[str]]:
    with path.open("rb") as file:
        magic = file.read(4)
    where = options.data.resolve()
    nulls = (*NULLS, *options.nulls)
    if magic == b"PAR1":
        data = DataFile(path=where, format="parquet", time=_ANY_TIME)
        names = [str(name) for name in parquet(path).schema_arrow.names]
        if twice := next((n for n in names if names.count(n) > 1), None):
            raise UsageError(f"{path}: {names.count(twice)} columns {twice!r}", "give each column a name of its own")
        return data, names
    if magic[:2] in (b"PK", b"\x1f\x8b"):
        raise UsageError(f"{path} is packed", "unpack it first, and name the CSV or Parquet file in it")
    text = sniff(path, options.encoding, options.delimiter)
    data = DataFile(
        path=where,
        format="csv",
        time=_ANY_TIME,
        encoding=text.encoding,
        delimiter=text.delimiter,
        decimal="," if text.decimal == "," else ".",
        nulls=nulls,
    )
    return data, list(text.header)


def _check_options(options: InitOptions, names: list[str], path: Path) -> None:
    given = {
        "--time": options.time, "--prediction": (options.prediction,), "--target": (options.target,), "--segment": options.segments,
        "--drop": options.drop, "--type": tuple(options.types),
        "--probabilities": tuple(p.partition("=")[2] or p for p in options.probabilities),
    }  # fmt: skip
    for option, columns in given.items():
        for column in columns:
            if column is not None and column not in names:
                shown = ", ".join(map(repr, names[:20])) + (f" and {len(names) - 20:,} more" if len(names) > 20 else "")
                raise UsageError(f"{path} has no column {column!r} ({option}); it has {shown}", f"correct {option}")
    for name, word in options.types.items():
        if word not in TYPES:
            raise UsageError(f"--type {name}={word}: there is no type {word!r}", f"use one of {', '.join(TYPES)}")
    if len(options.time) > 2:
        raise UsageError(f"--time is given {len(options.time)} times", "give one column, or a date and a time of day")
    if len(names) > MAX_COLUMNS:
        raise UsageError(
            f"{path} has {len(names):,} columns, an event has at most {MAX_COLUMNS:,}",
            "leave out what the model does not use, or make vectors of it (an array column is one embedding)",
        )


def _with_time(path: Path, data: DataFile, names: list[str], options: InitOptions) -> tuple[DataFile, str]:
    columns = options.time or _guess_time(path, data, names)
    if options.time_format:
        return data.model_copy(update={"time": given_format(columns, options.time_format, options.time_zone)}), "form as given"
    time, why = guess_format(path, data, columns, options.time_zone)
    return data.model_copy(update={"time": time}), why if time.zoned or time.format.startswith("epoch") else f"{why}, read as {time.zone}"


_ISO = re.compile(r"\s*\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}.*)?\s*\Z")


def _guess_time(path: Path, data: DataFile, names: list[str]) -> tuple[str, ...]:
    likely = [n for n in names if folded(n) in TIME]
    if not likely:
        head = next(raw_batches(path, data, names, 100), pl.DataFrame())
        likely = [n for n in names if n in head.columns and _holds_times(head[n])]
    if sorted(map(folded, likely)) == ["date", "time"]:
        return tuple(sorted(likely, key=folded))
    if len(likely) == 1:
        return (likely[0],)
    none = "no column is named like an event time, or holds times such as 2024-03-01 12:00"
    what = f"columns {', '.join(map(repr, likely))} could be the event time" if likely else none
    raise UsageError(f"{path}: {what}", "name it with --time COLUMN (given twice: a date and a time of day)")


def _facts(path: Path, data: DataFile, columns: list[str], options: InitOptions) -> tuple[dict[str, Facts], DataFile]:
    wanted = [n for n in columns if n not in options.drop]
    if not wanted:
        raise UsageError(f"{path} has no column beside the event time", "name a file with the model's features and predictions")
    facts = gather(path, data, wanted)
    if data.format == "csv" and (words := missing_words(facts)):
        data = data.model_copy(update={"nulls": (*data.nulls, *words)})
        facts = gather(path, data, wanted)
    rows = max((f.rows for f in facts.values()), default=0)
    if rows < 20:
        raise UsageError(
            f"{path} has {rows} {'row' if rows == 1 else 'rows'}: too few for a reference and a window", "give at least 20 rows"
        )
    return facts, data


def _features(path: Path, data: DataFile, options: InitOptions, facts: dict[str, Facts]) -> list[Guess]:
    found = []
    for name, known in facts.items():
        if name in options.types:
            found.append(Guess(name, "feature", given_type(options.types[name]), "given", "--type"))
        elif name in options.segments:
            found.append(Guess(name, "feature", Column(type="string", kind="categorical"), "given", "a segment"))
        else:
            if data.format == "csv":
                check_mixed(path, data, known)
            found.append(feature(known, _is_time(known)))
    for name in options.drop:
        found.append(Guess(name, "left out", None, "given", "--drop"))
    if not any(g.role == "feature" for g in found):
        raise UsageError(f"{path} has no column that can be a feature", "; ".join(f"{g.name!r}: {g.why}" for g in found[:5]))
    return found


def _is_time(facts: Facts) -> bool:
    """A text column of times: ISO dates, by its first values."""
    return facts.dtype == pl.String and bool(facts.misfits) and all(map(_ISO.match, facts.misfits))


def _holds_times(first: pl.Series) -> bool:
    """True when the first values are moments: times, or texts of ISO dates with a time of day. Mere dates are not enough for a guess."""
    if isinstance(first.dtype, pl.Datetime):
        return True
    known = first.drop_nulls()
    return first.dtype == pl.String and len(known) > 0 and all((found := _ISO.match(text)) and found[1] for text in known)


def _spec(options: InitOptions, data: DataFile, found: Outputs, guesses: list[Guess], window: dict[str, str], min_rows: int) -> ModelSpec:
    model = options.model or re.sub(r"[^A-Za-z0-9_.-]+", "-", options.data.name.split(".")[0]).strip("-")[:64] or "model"
    try:
        return ModelSpec.model_validate(
            {
                "model": model,
                "description": f"Made by tidemark init from {options.data.name}",
                "reference": f"references/{model}.parquet",
                "artefact": options.artefact,
                "data": data,
                "features": {g.name: g.column for g in guesses if g.role == "feature"},
                "prediction": found.prediction,
                "target": found.target,
                "probabilities": found.probabilities,
                "segments": options.segments,
                "window": window,
                "min_rows": min_rows,
                "monitors": monitors(found),
            }
        )
    except ValidationError as error:
        first = error.errors()[0]
        raise UsageError(
            f"model {model!r}: {'.'.join(map(str, first['loc']))}: {first['msg']}", "correct the option that names it"
        ) from error
