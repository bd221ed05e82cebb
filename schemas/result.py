"""The result of one window: what was judged, how, and what came out. No clock, duration or address is in it, so it never changes."""

from __future__ import annotations

import json
from dataclasses import MISSING, asdict, dataclass, fields, is_dataclass
from functools import cache
from types import UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints
from urllib.parse import quote

Status = Literal["ok", "insufficient_data", "error"]
Role = Literal["feature", "prediction", "target", "dataset"]  # dataset: all features together
REFERENCE = "reference"  # the kind of a window's result against the reference dataset
Hint = Literal["", "data break", "seasonal", "population change"]
PerformanceKind = Literal["regression", "classification", "prob_classification"]


@dataclass(frozen=True, slots=True)
class ColumnResult:
    """One column's verdict. ``score`` and ``threshold`` are in the unit of ``method`` (a distance or a p-value).

    ``status`` is ``error`` when this column could not be judged; ``reason`` says why and the other columns are judged all the same. Of a
    judged column ``reason`` names what was left out of it besides nulls, such as vectors of another length.

    ``excess`` is how far beyond the threshold a drifted column is: 1 at it, 2 at twice the distance or at the square of the p-value; None
    where its nulls alone drifted. ``hint`` is the kind of drift as far as counts tell; ``seasonal``: the column is as it was in the earlier
    window of the same run that began at ``like_start_ms``. With calibrated thresholds ``evidently_drifted`` is
    Evidently's own verdict on the same score by ``evidently_threshold``, and ``nulls_drifted`` that of the test of the null share.
    """

    name: str
    role: Role
    kind: str
    status: Status
    reason: str = ""
    method: str = ""
    score: float | None = None
    threshold: float | None = None
    drifted: bool = False
    rows: int = 0
    nulls: int = 0
    changes: tuple[str, ...] = ()
    excess: float | None = None
    hint: Hint = ""
    evidently_threshold: float | None = None
    evidently_drifted: bool | None = None
    nulls_drifted: bool = False
    like_start_ms: int | None = None


@dataclass(frozen=True, slots=True)
class TestResult:
    """One test of a test suite. ``status`` is Evidently's word: SUCCESS, FAIL, WARNING or ERROR."""

    __test__ = False  # not a pytest class

    name: str
    status: str
    description: str
    column: str = ""


@dataclass(frozen=True, slots=True)
class ColumnQuality:
    """One column of a window, described. Shares are 0 to 1; what a kind of column does not have, or what has no values, is None.

    ``rows`` are the judged rows with a value, infinities included; ``null_share`` is of all rows of the window, NaN counts as null.
    ``new_categories`` are values that the reference never had, the most frequent first, at most 10, cut after 60 characters;
    ``new_category_share`` is of ``rows``, as is ``out_of_range_share``: numbers beyond the reference's smallest and largest.
    Mean, minimum and the like are of the finite numbers, ``deviation`` with n - 1; ``quantiles`` are those of .05, .25, .5, .75 and .95,
    interpolated. ``status`` is ``error`` where the column's values are not of the spec's type; ``reason`` says what they are.
    """

    name: str
    role: Role
    kind: str
    rows: int
    null_share: float
    distinct: int | None
    constant: bool
    new_categories: tuple[str, ...] = ()
    new_category_share: float | None = None
    out_of_range_share: float | None = None
    minimum: float | None = None
    maximum: float | None = None
    mean: float | None = None
    deviation: float | None = None
    quantiles: tuple[float, ...] = ()
    status: Status = "ok"
    reason: str = ""


@dataclass(frozen=True, slots=True)
class DataQuality:
    """A window's data, described: counts are of the judged rows (``WindowResult.sampled_rows``), over the features and the prediction.

    A target is left out of them, since it may not be known yet; it is described among ``columns``. ``duplicated_rows`` are those equal to
    an earlier row, ``duplicated_columns`` those equal to an earlier column of the same type; a ``constant`` column has one value or none.
    """

    rows_with_nulls: int
    duplicated_rows: int
    columns_with_nulls: tuple[str, ...]
    constant_columns: tuple[str, ...]
    duplicated_columns: tuple[str, ...]
    columns: tuple[ColumnQuality, ...]

    def column(self, name: str) -> ColumnQuality | None:
        """The description of one column."""
        return next((c for c in self.columns if c.name == name), None)


@dataclass(frozen=True, slots=True)
class Measure:
    """One measure of performance, such as ``mae`` or ``f1``, of the window and of the reference; ``label`` where it is of one class."""

    name: str
    value: float | None
    reference: float | None = None
    label: str = ""


@dataclass(frozen=True, slots=True)
class Performance:
    """How well the model did on the window's ``rows`` whose target and prediction are known. ``status`` as for a column.

    ``reason`` says why there are no measures, or with status ``ok`` why one of them is None or which rows are left out. ``confusion`` are
    counts of rows: actual class down, predicted class across, in the order of ``classes``; where there are more classes than that, one
    more row and column hold the rest. ``changes`` say from what to what the leading measures went, as texts.
    """

    kind: PerformanceKind
    rows: int
    status: Status
    reason: str = ""
    measures: tuple[Measure, ...] = ()
    classes: tuple[str, ...] = ()
    confusion: tuple[tuple[int, ...], ...] = ()
    changes: tuple[str, ...] = ()

    def measure(self, name: str, label: str = "") -> Measure | None:
        """The measure of this name, of one class where ``label`` is given."""
        return next((m for m in self.measures if m.name == name and m.label == label), None)


@dataclass(frozen=True, slots=True)
class SegmentResult:
    """The judged rows of a window with one ``value`` of a segment column. Shares are 0 to 1, of all judged rows, or of the reference's.

    ``status`` is about the predictions of these rows: ``insufficient_data`` where window or reference has too few of them, ``error`` where
    they could not be judged, or the column could not be read (then there is no value). Method to ``changes`` are as for a column.
    ``measure`` is the leading measure of performance over the ``known`` rows, those whose target and prediction are known.
    """

    segment: str
    value: str
    status: Status
    reason: str = ""
    rows: int = 0
    share: float = 0.0
    reference_share: float = 0.0
    method: str = ""
    score: float | None = None
    threshold: float | None = None
    drifted: bool = False
    excess: float | None = None
    changes: tuple[str, ...] = ()
    known: int = 0
    measure: Measure | None = None


@dataclass(frozen=True, slots=True)
class WindowResult:
    """The verdict on one window ``[start_ms, end_ms)`` of event time (ms since the epoch, UTC), final once published.

    ``kind`` says what the window was judged against: ``reference``, or an earlier window of the same run (``previous``, ``lag:7d``), which
    then is ``[baseline_start_ms, baseline_end_ms)``; such a result has no ``reference_fingerprint``.

    ``rows`` are the window's rows without duplicates where ``exact``, else all that arrived; ``sampled_rows`` of them were judged.
    ``drift_share`` is drifted features over judged features. ``run_offset`` is where a replay's ``run_start`` lies on its partition: a run
    is its id and this offset, so the same id may come again; -1 for live traffic.

    With ``thresholds`` ``evidently`` a window has drifted where ``drift_share`` reaches ``share_threshold``; with ``calibrated`` where any
    judged column has, too, which happens in a share ``false_alarm_rate`` of windows like the reference. ``evidently_drifted`` is then what
    Evidently's rule says. An alert stands while ``alert_windows[0]`` of the last ``alert_windows[1]`` judged windows of the run drifted.
    """

    model: str
    run: str
    run_kind: Literal["live", "replay"]
    start_ms: int
    end_ms: int
    spec_digest: str
    kind: str
    status: Status
    reason: str
    model_versions: tuple[str, ...]
    rows: int
    sampled_rows: int
    duplicates: int
    exact: bool
    columns: tuple[ColumnResult, ...]
    drifted_columns: int
    drift_share: float
    share_threshold: float
    drifted: bool
    tests: tuple[TestResult, ...]
    reference_fingerprint: str
    source_partition: int
    run_offset: int = -1
    quality: DataQuality | None = None
    performance: tuple[Performance, ...] = ()
    thresholds: Literal["evidently", "calibrated"] = "evidently"
    false_alarm_rate: float | None = None
    evidently_drifted: bool | None = None
    alert_windows: tuple[int, ...] = (1, 1)
    segments: tuple[SegmentResult, ...] = ()
    baseline_start_ms: int | None = None
    baseline_end_ms: int | None = None

    @property
    def severity(self) -> float:
        """How far beyond its threshold the furthest drifted column is (1 at it), 0 where none drifted or its nulls alone did."""
        return max((c.excess for c in self.columns if c.drifted and c.excess is not None), default=0.0)

    @property
    def key(self) -> str:
        """The result's key: ``model|run|start|end|digest|kind``, parts percent-escaped; a replay's run is ``id@offset``."""
        run = self.run if self.run_offset < 0 else f"{self.run}@{self.run_offset}"
        parts = (self.model, run, str(self.start_ms), str(self.end_ms), self.spec_digest, self.kind)
        return "|".join(quote(p, safe="@") for p in parts)

    def drifted_names(self, role: Role = "feature") -> list[str]:
        """Names of the drifted columns of one role, in the spec's order."""
        return [c.name for c in self.columns if c.drifted and c.role == role]

    def drifted_segments(self) -> list[SegmentResult]:
        """The segments whose predictions drifted, the furthest beyond its threshold first (an infinite score is the furthest)."""
        drifted = (s for s in self.segments if s.drifted)
        return sorted(drifted, key=lambda s: -(float("inf") if s.excess is None else s.excess))

    def column(self, role: Role) -> ColumnResult | None:
        """The result of the prediction or of the target, when it was judged."""
        return next((c for c in self.columns if c.role == role), None)


def encode_result(result: WindowResult) -> bytes:
    """UTF-8 JSON with sorted keys: the same result is always the same bytes; not-a-number becomes null."""
    return json.dumps(asdict(result), sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def decode_result(value: bytes) -> WindowResult:
    """The result of a record of the results topic. Unknown fields are left out, so that an older reader reads a newer writer.

    Raises:
        ValueError: the bytes are not a result; names the missing field.
    """
    data: dict[str, Any] = json.loads(value)
    missing = {f.name for f in fields(WindowResult) if f.default is MISSING} - data.keys()
    if missing:
        raise ValueError(f"not a window result: {', '.join(sorted(missing))} missing")
    result: WindowResult = _read(WindowResult, data)
    return result


def _read(wanted: Any, value: Any) -> Any:
    """A value of JSON as the type that a field of a result has: dataclasses and tuples in each other, None, or plain."""
    if value is None:
        return None
    if is_dataclass(wanted):
        types = _types(wanted)  # type: ignore[arg-type]
        return wanted(**{k: _read(types[k], v) for k, v in value.items() if k in types})  # type: ignore[operator]
    arguments = [a for a in get_args(wanted) if a is not type(None)]
    if get_origin(wanted) is tuple:
        return tuple(_read(arguments[0], v) for v in value)
    return _read(arguments[0], value) if get_origin(wanted) is UnionType and is_dataclass(arguments[0]) else value


@cache
def _types(cls: type) -> dict[str, Any]:
    return get_type_hints(cls)
