"""What each column is for, told by its name and its values."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Literal

import polars as pl

from config.spec import AvroType, Column, Kind
from producers.onboard.facts import CATEGORIES, Facts
from producers.onboard.options import TYPES

Role = Literal["time", "feature", "prediction", "target", "probability", "left out"]
Surety = Literal["given", "sure", "likely", "a guess"]

_PREDICTION_WORDS = """prediction predictions predicted pred preds ypred yhat predictedlabel predictedclass predictedvalue modelprediction
modeloutput vorhersage prediccion previsao"""
PREDICTION = frozenset(_PREDICTION_WORDS.split())
TARGET = {"target", "ytrue", "label", "actual", "actuals", "groundtruth", "outcome", "truth", "clftarget", "labels", "zielwert"}
TIME = {"timestamp", "time", "datetime", "eventtime", "ts", "date", "createdat", "eventtimestamp", "zeit", "zeitstempel", "datum", "fecha"}
_PROBABILITY = re.compile(
    r"(?:y_)?(?:pred(?:ict(?:ed|ion)?)?_)?(?:probability|probabilities|proba|prob)s?(?:[_.\- ]+(?P<label>.+))?\Z", re.I
)
_ID = re.compile(r"(?:.*[_. -])?(?:id|uuid|guid|key|index|idx|rowid|rownames?|row)\Z|.*[a-z](?:Id|ID)\Z|unnamed: ?0\Z|\Z", re.I)
_FEW = 20  # distinct whole numbers of a prediction that are classes rather than amounts


@dataclass(frozen=True, slots=True)
class Guess:
    """A column's role and type, how sure that is, and why; ``column`` is None when it is left out."""

    name: str
    role: Role
    column: Column | None
    surety: Surety
    why: str


def folded(name: str) -> str:
    """A name for comparing: without accents, case, and what is neither letter nor digit."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]", "", plain.lower())


def probability_label(name: str) -> str | None:
    """The class whose probability a column of this name holds; an empty text when it names none, None when it is no such name."""
    match = _PROBABILITY.match(name.strip())
    return None if match is None else (match["label"] or "")


def is_probability(facts: Facts) -> bool:
    """True when the column's numbers are all within [0, 1]."""
    low, high = facts.low, facts.high
    return low is not None and high is not None and low >= 0 and high <= 1


def typed(facts: Facts) -> Column | None:
    """The type on the wire of what the column holds, judged as what it most probably is; None when there is no such type."""
    found = _type(facts)
    if found is None:
        return None
    kinds: dict[AvroType, Kind] = {"boolean": "categorical", "string": "categorical", "doubles": "embedding"}
    two = found == "long" and facts.distinct is not None and facts.distinct <= 2
    return Column(type=found, kind="categorical" if two else kinds.get(found, "numerical"))


def _type(facts: Facts) -> AvroType | None:
    if facts.dtype == pl.String:
        return _written(facts)
    dtype = facts.dtype
    if isinstance(dtype, pl.List | pl.Array):
        return "doubles" if dtype.inner.is_numeric() or dtype.inner == pl.Null else None
    if isinstance(dtype, pl.Categorical | pl.Enum):
        return "string"
    if dtype == pl.Boolean:
        return "boolean"
    return ("long" if dtype.is_integer() else "double") if dtype.is_numeric() else None


def _written(facts: Facts) -> AvroType:
    """Of text: the narrowest type that all values are read as."""
    order: tuple[AvroType, ...] = ("boolean", "long", "double", "doubles")
    return next((wanted for wanted in order if facts.known and wanted in facts.possible), "string")


def feature(facts: Facts, written_time: bool) -> Guess:
    """A column without another role: a feature, or left out because its distribution says nothing."""
    if reason := _useless(facts, written_time):
        return Guess(facts.name, "left out", None, "likely", reason)
    column = typed(facts)
    assert column is not None  # _useless tells what has no type
    values = f"{facts.distinct:,} distinct" if facts.distinct is not None else f"more than {CATEGORIES:,} distinct"
    nulls = f", {facts.nulls / facts.rows:.0%} null" if facts.nulls else ""
    return Guess(facts.name, "feature", column, "sure", f"{values}{nulls}" if column.type != "doubles" else f"vectors{nulls}")


def _useless(facts: Facts, written_time: bool) -> str | None:
    if not facts.known:
        return "holds no value"
    if facts.dtype.is_temporal() or written_time:
        return f"a time: it always moves; --type '{facts.name}=timestamp' keeps it"
    column = typed(facts)
    if column is None:
        return f"{facts.dtype}: no type of an event"
    if column.type == "long" and facts.consecutive and facts.known > 2:
        return "counts the rows"
    many = facts.distinct is None or facts.distinct > 0.5 * facts.known
    if column.type in ("string", "long") and _ID.match(facts.name.strip()) and many and (facts.distinct is None or facts.distinct > 50):
        return "an identifier: nearly each row has its own"
    return _too_many(facts) if column.type == "string" else None


def _too_many(facts: Facts) -> str | None:
    option = f"--type '{facts.name}=text'"
    if facts.distinct is None:
        return f"more than {CATEGORIES:,} different texts; {option} judges it as text"
    if facts.distinct > 50 and facts.distinct > 0.5 * facts.known:
        what = "free text" if facts.words > 3 * facts.known else "nearly each row has its own value"
        return f"{what}; {option} judges it as text"
    return None


def as_output(facts: Facts) -> Column:
    """The column as prediction or target: a few whole numbers are classes."""
    column = typed(facts) or Column(type="string", kind="categorical")
    few = column.type == "long" and facts.distinct is not None and facts.distinct <= _FEW
    return Column(type=column.type, kind="categorical") if few else column


def given_type(word: str) -> Column:
    """The column that a word of ``--type`` stands for."""
    wire, kind = TYPES[word]
    return Column(type=wire, kind=kind)
