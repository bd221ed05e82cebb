"""Text columns: each text as three numbers, and each of these judged as a numerical column.

- ``length``: its characters.
- ``words``: its words, lower-cased runs of letters, digits and ``_`` (``\\w+``, Unicode).
- ``new words``: the share of its words that the reference does not have; null without a word. For a text of the reference itself, those
  that no other of its texts has (leave one out): else each window would differ from a reference that knows all its own words.

Evidently's own share of unknown words needs a downloaded list of English words.
"""

from __future__ import annotations

import math
import operator
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from monitor.changes import mean, percent, quantile, quoted, shift
from monitor.statistics.methods import Method
from monitor.statistics.profiles import Floats, NumericProfile, Sample, fit_numbers, sample
from monitor.statistics.score import Score, choose_for_numbers, number_score, verdict
from monitor.verdict import Verdict

WORD = r"\w+"
MOST_WORDS = 100_000  # of the vocabulary: those that most texts of the reference have
ROWS_AT_ONCE = 5_000  # bounds the memory that words in work take
SHOWN = 3  # new words named in one text
LENGTH, WORDS, NEW_WORDS = "length", "words", "new words"
UNITS = {LENGTH: "characters", WORDS: ""}
P_VALUES = (operator.lt, operator.le)


@dataclass(frozen=True, slots=True)
class TextProfile:
    """A text column of the reference.

    Attributes:
        descriptors: its numbers by name, those that it has values of.
        vocabulary: its words.
        new_share: the share of all its words that only one text has.
        size: its texts.
    """

    descriptors: Mapping[str, NumericProfile]
    vocabulary: frozenset[str]
    new_share: float
    size: int


@dataclass(frozen=True, slots=True)
class _Described:
    """The numbers of some texts by name, the share of new ones among their words, and how often each of these occurs."""

    values: Mapping[str, Floats]
    new_share: float
    new_words: Mapping[str, int]


def fit_texts(texts: pl.Series) -> TextProfile:
    """Fit a text column of the reference; texts without nulls."""
    found: Counter[str] = Counter()  # in how many texts each word is
    for words in _words(texts):
        counts = words.list.unique().explode().drop_nulls().value_counts(name="texts")
        found.update(dict(counts.iter_rows()))
    kept = sorted(found.items(), key=lambda item: (-item[1], item[0]))[:MOST_WORDS]
    described = _describe(texts, frozenset(word for word, count in kept if count > 1))
    descriptors = {name: fit_numbers(values) for name, values in described.values.items() if len(values)}
    return TextProfile(descriptors, frozenset(word for word, _ in kept), described.new_share, len(texts))


def _words(texts: pl.Series) -> Iterator[pl.Series]:
    """The words of each text, a list a text, some thousand texts at a time."""
    for start in range(0, len(texts), ROWS_AT_ONCE):
        yield texts.slice(start, ROWS_AT_ONCE).str.to_lowercase().str.extract_all(WORD).alias("word")


def _describe(texts: pl.Series, known: frozenset[str]) -> _Described:
    counts, shares, new_words = [], [], Counter[str]()
    for lists in _words(texts):
        lengths = lists.list.len().to_numpy().astype(np.int64)
        worded = lengths[lengths > 0]
        new, found = _new(lists.filter(lengths > 0).explode(), known)
        counts.append(lengths)
        shares.append(np.add.reduceat(new, worded.cumsum() - worded) / worded if len(worded) else new)
        new_words.update(found)
    words = np.concatenate(counts).astype(np.float64)
    characters = texts.str.len_chars().to_numpy().astype(np.float64)
    values = {LENGTH: characters, WORDS: words, NEW_WORDS: np.concatenate(shares)}
    return _Described(values, new_words.total() / max(float(words.sum()), 1.0), new_words)


def _new(words: pl.Series, known: frozenset[str]) -> tuple[Floats, dict[str, int]]:
    """1 for each word that is not known, else 0, shape (words,); and how often each of these occurs."""
    found = {word: count for word, count in words.value_counts(name="times").iter_rows() if word not in known}
    return words.is_in(list(found)).to_numpy().astype(np.float64), found


def judge_texts(texts: pl.Series, profile: TextProfile, method: Method | None, threshold: float | None) -> Verdict:
    """Each descriptor by Evidently's default method for numbers, or by ``method``; the verdict is that of the one that is furthest beyond
    its threshold, and names it. Texts without nulls, at least one.

    Raises:
        ValueError: a method cannot judge a descriptor; names it.
    """
    described = _describe(texts, profile.vocabulary)
    scored = {}
    for name, fitted in profile.descriptors.items():
        if len(values := described.values[name]):
            found = sample(values)
            scored[name] = (_score(name, fitted, found, method, threshold), found)
    strongest = max((score for score, _ in scored.values()), key=excess)  # the first of equals
    changes = (_changes(name, profile, found, described) for name, (score, found) in scored.items() if score.drifted)
    return Verdict(strongest, len(texts), tuple(text for texts_ in changes for text in texts_))


def describe_changes(texts: pl.Series, profile: TextProfile) -> tuple[str, ...]:
    """What is different in these texts, whatever method found that they are. Texts without nulls, at least one."""
    described = _describe(texts, profile.vocabulary)
    found = {name: sample(described.values[name]) for name in profile.descriptors if len(described.values[name])}
    return tuple(text for name, values in found.items() for text in _changes(name, profile, values, described))


def _score(name: str, fitted: NumericProfile, found: Sample, method: Method | None, threshold: float | None) -> Score:
    chosen = method or choose_for_numbers(fitted, found)
    try:
        score = verdict(chosen, number_score(fitted, found, chosen), threshold)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error
    return replace(score, method=replace(chosen, display_name=f"{name}: {chosen.display_name}"))


def excess(score: Score) -> tuple[bool, float]:
    """For comparing scores of several methods: whether it drifted, then how far beyond its threshold it is. That is 1 at the threshold:
    score over threshold for a distance, log over log for a p-value.
    """
    if score.method.hit not in P_VALUES:
        return score.drifted, score.score / score.threshold if score.threshold else math.inf
    if score.score <= 0 or not 0 < score.threshold < 1:
        return score.drifted, math.inf if score.score <= 0 else 0.0
    return score.drifted, math.log(score.score) / math.log(score.threshold)


def _changes(name: str, profile: TextProfile, found: Sample, described: _Described) -> tuple[str, ...]:
    if name != NEW_WORDS:
        ours = profile.descriptors[name].sample
        centres = {"mean": (mean(ours), mean(found)), "median": (quantile(ours, 0.5), quantile(found, 0.5))}
        texts = (shift(f"{name} {centre}", *values) for centre, values in centres.items())
        return tuple(f"{text} {UNITS[name]}".rstrip() for text in texts if text)
    most = sorted(described.new_words.items(), key=lambda item: (-item[1], item[0]))[:SHOWN]
    names = ", ".join(quoted(word) for word, _ in most)
    return (f"words not in the reference {percent(profile.new_share)} → {percent(described.new_share)}{': ' if names else ''}{names}",)
