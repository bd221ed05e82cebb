"""One column of a window against that column of the reference: the statistic that its kind and its method ask for."""

from __future__ import annotations

from monitor.calibration.verdict import Thresholds
from monitor.changes import category_changes, category_hint, number_changes, number_hint
from monitor.columns import ReadColumn
from monitor.embeddings import EmbeddingProfile, judge_vectors
from monitor.reference import ColumnProfile
from monitor.statistics.profiles import CategoryProfile, NumericProfile
from monitor.statistics.score import Score, category_score, choose_for_categories, choose_for_numbers, number_score, verdict
from monitor.text import TextProfile, describe_changes, judge_texts
from monitor.verdict import Verdict


def judge_column(read: ReadColumn, profile: ColumnProfile, thresholds: Thresholds | None = None) -> Verdict:
    """The verdict on a column: by Evidently's thresholds, or by its calibrated ones.

    Raises:
        ValueMisfit: its values are not of the spec's type.
        ValueError: it holds no usable value, or its method refuses or fails; says why. Other errors of ``DATA_ERRORS`` likewise.
    """
    if isinstance(profile.fitted, NumericProfile):
        return _numbers(read, profile, profile.fitted, thresholds)
    if isinstance(profile.fitted, TextProfile):
        return _texts(read, profile, profile.fitted)
    if isinstance(profile.fitted, EmbeddingProfile):
        return judge_vectors(read.series, profile.fitted, profile.method, profile.threshold)
    return _categories(read, profile, profile.fitted, thresholds)


def _numbers(read: ReadColumn, profile: ColumnProfile, fitted: NumericProfile, thresholds: Thresholds | None) -> Verdict:
    found = read.sample
    method = profile.method or choose_for_numbers(fitted, found)
    stock = verdict(method, number_score(fitted, found, method), profile.threshold) if method.fast else _stock(read, profile)
    score = thresholds.verdict(stock, fitted, found) if thresholds else stock
    changes = number_changes(fitted.sample, found) if score.drifted else ()
    hint = number_hint(fitted.sample, found) if score.drifted else ""
    return Verdict(score, found.size, changes, evidently=stock if thresholds else None, hint=hint)


def _categories(read: ReadColumn, profile: ColumnProfile, fitted: CategoryProfile, thresholds: Thresholds | None) -> Verdict:
    found = read.counts
    size = sum(found.values())
    if not size:
        raise ValueError(f"no usable value: all {len(read.series)} rows are null or not finite")
    method = profile.method or choose_for_categories(fitted, found)
    stock = verdict(method, category_score(fitted, found, method), profile.threshold) if method.fast else _stock(read, profile)
    score = thresholds.verdict(stock, fitted, found) if thresholds else stock
    changes = category_changes(fitted, found) if score.drifted else ()
    hint = category_hint(fitted, found) if score.drifted else ""
    return Verdict(score, size, changes, evidently=stock if thresholds else None, hint=hint)


def _texts(read: ReadColumn, profile: ColumnProfile, fitted: TextProfile) -> Verdict:
    texts = read.series.drop_nulls()
    if not len(texts):
        raise ValueError(f"no usable value: all {len(read.series)} rows are null")
    if not profile.slow:
        return judge_texts(texts, fitted, profile.method, profile.threshold)
    score = _stock(read, profile)
    return Verdict(score, len(texts), describe_changes(texts, fitted) if score.drifted else ())


def _stock(read: ReadColumn, profile: ColumnProfile) -> Score:
    from monitor.drift import stock_score  # noqa: PLC0415  # evidently takes seconds to import: only where a spec needs it

    assert profile.method is not None
    assert profile.raw is not None
    return stock_score(profile.method, profile.raw, read.series, profile.kind, profile.threshold)
