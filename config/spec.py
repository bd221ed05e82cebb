"""The model spec: what a model's columns are, how its stream is cut into windows, and what is judged in each. One YAML file a model."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from config.baselines import check_baselines, named_baselines
from config.errors import SpecError
from config.persistence import checked_windows
from config.settings import Settings
from config.spec_data import DataFile
from config.spec_window import Window
from config.suite import COLUMN_TESTS, TestSpec

Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]


def label_text(label: object) -> object:
    """A class label as text: YAML reads a bare 1 or true as a number or a boolean. What is no label stays for the checks that follow."""
    return str(label) if isinstance(label, bool | int) else label


Label = Annotated[str, BeforeValidator(label_text), Field(min_length=1)]
CALIBRATION = 1  # raise it when monitor/calibration gives other thresholds from the same spec and reference
MOST_SEGMENTS = 5  # features: with 20 values each a hundred groups a window
AvroType = Literal["double", "long", "boolean", "string", "timestamp", "doubles"]  # timestamp: in ms; doubles: an array of numbers
Kind = Literal["numerical", "categorical", "text", "embedding"]
Monitor = Literal[
    "data_drift",
    "prediction_drift",
    "target_drift",
    "data_quality",
    "regression_performance",
    "classification_performance",
    "prob_classification_performance",
]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Column(_Part):
    """One column: its type on the wire and what it is judged as: numbers, categories, text or an embedding (one vector a row)."""

    type: AvroType
    kind: Kind = "numerical"

    @model_validator(mode="after")
    def _kind_suits_type(self) -> Column:
        if self.type == "string" and self.kind == "numerical":
            raise ValueError("a string column is judged as categories or as text: set kind: categorical, or kind: text")
        if self.kind == "text" and self.type != "string":
            raise ValueError(f"kind: text is for a string column, this one is {self.type}: set type: string, or another kind")
        if self.type == "timestamp" and self.kind != "numerical":
            raise ValueError(f"a timestamp column is judged as a number (ms since the epoch), not as {self.kind}: leave kind out")
        if (self.kind == "embedding") != (self.type == "doubles"):
            raise ValueError(
                f"kind: embedding goes with type: doubles (an array of numbers), this column has type: {self.type} and kind: {self.kind}"
            )
        return self


class Output(Column):
    """The prediction or the target: a column with a name."""

    column: str

    @model_validator(mode="after")
    def _is_one_value(self) -> Output:
        if self.kind == "embedding":
            raise ValueError("prediction and target are one value a row: an embedding can only be a feature")
        if self.type == "timestamp":
            raise ValueError("a timestamp can only be a feature: set type: long for a prediction or target in ms since the epoch")
        return self


class ColumnDrift(_Part):
    """What one column is judged by, where it is not the default of Evidently."""

    method: str | None = None
    threshold: float | None = None


class DomainClassifier(_Part):
    """A classifier that tries to tell the window's rows from the reference's, over all features together. Slow: seconds a window.

    ``threshold`` is on its ROC AUC. Without one it is .55, or what a coin reaches in one window of twenty where that is more.
    """

    threshold: Annotated[float, Field(ge=0.5, le=1)] | None = None


def _switch(value: object) -> object:
    """``true`` is the part with its defaults, ``false`` is no such part."""
    if isinstance(value, bool):
        return {} if value else None
    return value


class Drift(_Part):
    """The drift monitor: the dataset rule and per-column choices."""

    share: Annotated[float, Field(gt=0, le=1)] = 0.5
    thresholds: Literal["evidently", "calibrated"] = "evidently"
    # The next four are for calibrated thresholds. See docs/thresholds.md.
    rate: Annotated[float, Field(gt=0, le=0.5)] = 0.01  # false alarms per window, over all columns together
    floor: bool = True  # a column drifts only where it is beyond Evidently's own threshold, too
    seed: Annotated[int, Field(ge=0)] = 0  # of the null windows that thresholds are made from
    reference_time: str | None = None  # the reference's column with the time of each row: quiet windows differ more than random rows
    alert_when: Annotated[str, BeforeValidator(checked_windows)] = "1 of 1 windows"  # so many drifted ones of the last judged windows
    columns: dict[str, ColumnDrift] = Field(default_factory=dict)
    domain_classifier: Annotated[DomainClassifier | None, BeforeValidator(_switch)] = None


class ModelSpec(_Part):
    """A model as Tidemark sees it. Paths are relative to ``TIDEMARK_HOME``."""

    model: Id
    description: str = ""
    reference: Path
    artefact: Path | None = None
    data: DataFile | None = None  # the history that replay sends unless told otherwise
    features: Annotated[dict[str, Column], Field(min_length=1)]
    prediction: Output
    target: Output | None = None
    # Class label -> its probability's column in the reference dataset; on the wire a double per class.
    probabilities: dict[Label, str] = Field(default_factory=dict)
    # The class that precision, recall and f1 are of, and that 0.5 decides on; without it 1 or True of two classes, else all alike (macro).
    positive_class: Label | None = None
    segments: tuple[str, ...] = ()  # categorical features: each of their frequent values is a group of rows, judged by itself
    window: Window
    # Earlier windows of the same run that a window is judged against besides the reference. See docs/baselines.md.
    baselines: Annotated[tuple[str, ...], BeforeValidator(named_baselines)] = ()
    min_rows: Annotated[int, Field(ge=1)] = 100
    max_rows: Annotated[int, Field(ge=100)] = 50_000
    monitors: tuple[Monitor, ...] = ("data_drift", "prediction_drift")
    drift: Drift = Drift()
    tests: tuple[TestSpec, ...] = ()

    @model_validator(mode="after")
    def _columns_exist(self) -> ModelSpec:
        outputs = [*(o.column for o in (self.prediction, self.target) if o), *self.probabilities.values()]
        for name in (*self.features, *outputs):
            if "\0" in name:
                raise ValueError(f"column {name!r} has a null character in its name, at which column libraries end it: rename it")
        for name in outputs:
            if name in self.features:
                raise ValueError(f"column {name!r} is a feature and an output: take it out of features")
        if twice := [name for name in outputs if outputs.count(name) > 1]:
            raise ValueError(f"two of prediction, target and probabilities are the same column {twice[0]!r}")
        known = [*self.features, *outputs]
        for name in self.drift.columns:
            if name not in known:
                raise ValueError(f"drift.columns names {name!r}, which is no column of this model; its columns are {', '.join(known)}")
        if "target_drift" in self.monitors and self.target is None:
            raise ValueError("monitor target_drift needs a target: set target, or take it out of monitors")
        if self.drift.domain_classifier and not ("data_drift" in self.monitors and self.classified):
            raise ValueError(
                "drift.domain_classifier needs monitor data_drift and a numerical or categorical feature: add them, or take it out"
            )
        if self.baselines and not any(self.judged()):
            raise ValueError("baselines need a monitor of drift: add data_drift, prediction_drift or target_drift, or leave baselines out")
        check_baselines(self.baselines, self.window)
        self._segments_are_groups()
        self._performance_has_its_columns()
        self._tests_have_their_columns(known)
        return self

    def _segments_are_groups(self) -> None:
        groups = [name for name, column in self.features.items() if column.type == "boolean" or column.kind == "categorical"]
        some = ", ".join(groups[:20]) + (f" and {len(groups) - 20:,} more" if len(groups) > 20 else "")
        remedy = f"name categorical features: {some}" if groups else "this model has no categorical feature: leave segments out"
        for name in self.segments:
            if name not in self.features:
                raise ValueError(f"segments names {name!r}, which is no feature of this model; {remedy}")
            if name not in groups:
                raise ValueError(f"segments names {name!r}, which is {self.features[name].kind}, not categorical; {remedy}")
        if len(set(self.segments)) < len(self.segments):
            raise ValueError(f"segments names a feature twice: {', '.join(self.segments)}; keep one of them")
        if len(self.segments) > MOST_SEGMENTS:
            raise ValueError(f"segments names {len(self.segments)} features, at most {MOST_SEGMENTS} can be: keep those you look at")

    def _tests_have_their_columns(self, known: list[str]) -> None:
        seen: dict[str, set[str]] = {}
        for test in self.tests:
            if test.test in ("drifted_columns", "drifted_columns_share") and "data_drift" not in self.monitors:
                raise ValueError(f"test {test.test} needs monitor data_drift: add it to monitors")
            for name in test.columns:
                if name not in self.columns:
                    raise ValueError(
                        f"test {test.test} names {name!r}, which is no column of this model; its columns are {', '.join(known)}"
                    )
                kind = "categorical" if self.columns[name].type == "boolean" else self.columns[name].kind
                if kind not in COLUMN_TESTS[test.test]:
                    raise ValueError(f"test {test.test} is not for column {name!r}, which is {kind}")
            before, now = seen.setdefault(test.test, set()), set(test.columns) or {"", *self.columns}
            if before & now:
                raise ValueError(f"tests lists {test.test} twice for the same columns: keep one of them")
            before |= now

    def _performance_has_its_columns(self) -> None:
        for monitor in self.monitors:
            if not monitor.endswith("_performance"):
                continue
            if self.target is None:
                raise ValueError(f"monitor {monitor} needs a target: set target, or take it out of monitors")
            numbers = all(o.kind == "numerical" and o.type != "boolean" for o in (self.target, self.prediction))
            if monitor == "regression_performance" and not numbers:
                raise ValueError(f"monitor {monitor} needs a numerical target and prediction")
            if monitor == "classification_performance":
                self._labels_are_alike(self.target)
            if monitor == "prob_classification_performance" and len(self.probabilities) < 2:
                raise ValueError(f"monitor {monitor} needs the column of each class: set probabilities, with two classes or more")
        if self.target and self.target.type == "boolean" and (odd := self._class_names() - {"True", "False"}):
            raise ValueError(f"the target is boolean: its classes are True and False, not {', '.join(sorted(odd))}")
        if self.positive_class and self.probabilities and self.positive_class not in self.probabilities:
            raise ValueError(f"positive_class {self.positive_class!r} is none of probabilities: {', '.join(self.probabilities)}")

    def _labels_are_alike(self, target: Output) -> None:
        if target.type != self.prediction.type:
            raise ValueError(
                f"monitor classification_performance compares labels: target is {target.type}, prediction is {self.prediction.type}; "
                "give both one type, or use prob_classification_performance, which needs no predicted label"
            )
        if target.type == "double" and "numerical" in {target.kind, self.prediction.kind}:
            raise ValueError("monitor classification_performance needs labels: set kind: categorical for target and prediction")

    def _class_names(self) -> set[str]:
        return {*self.probabilities, *([self.positive_class] if self.positive_class else [])}

    @property
    def columns(self) -> dict[str, Column]:
        """All judged columns by name: the features, then the prediction, then the target."""
        outputs = {o.column: o for o in (self.prediction, self.target) if o}
        return {**self.features, **outputs}

    @property
    def classified(self) -> dict[str, Column]:
        """The features that the domain classifier looks at: numbers and categories, by name."""
        return {name: column for name, column in self.features.items() if column.kind in ("numerical", "categorical")}

    @property
    def probability_columns(self) -> dict[str, Column]:
        """The columns of the class probabilities by name, in the spec's order; no monitor of drift judges them."""
        return {name: Column(type="double") for name in self.probabilities.values()}

    def judged(self) -> Iterator[tuple[str, Literal["feature", "prediction", "target"], Column]]:
        """``(name, role, column)`` of each column that the monitors of this spec judge; role is feature, prediction or target."""
        if "data_drift" in self.monitors:
            yield from ((name, "feature", column) for name, column in self.features.items())
        if "prediction_drift" in self.monitors:
            yield self.prediction.column, "prediction", self.prediction
        if "target_drift" in self.monitors and self.target:
            yield self.target.column, "target", self.target

    def digest(self, reference_fingerprint: str) -> str:
        """16 hex digits that name this spec together with its reference; a window is bound to one.

        What stands at its default is left out, so that a newer Tidemark, with more fields, gives an old spec its old digest.
        """
        fields = self.model_dump(mode="json", exclude={"description", "artefact", "data"}, exclude_defaults=True)
        if self.drift.thresholds == "calibrated":
            fields["calibration"] = CALIBRATION  # with the seed and the reference all that thresholds follow from
        text = json.dumps(fields, sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(f"{text}\n{reference_fingerprint}".encode()).hexdigest()[:16]

    def layout(self) -> str:
        """12 hex digits that name what rows a window of this spec keeps, and of which time.

        Windows of two specs with one layout can stand for each other: only thresholds, monitors or the reference are others.
        """
        fields = self.model_dump(mode="json", include=_LAYOUT, exclude_defaults=True)
        return hashlib.sha256(json.dumps(fields, sort_keys=True, ensure_ascii=False).encode()).hexdigest()[:12]


_LAYOUT = {"features", "prediction", "target", "window", "min_rows", "max_rows"}


def _explain(error: ValidationError, path: Path) -> SpecError:
    lines = []
    for e in error.errors():
        where = ".".join(str(p) for p in e["loc"]) or "spec"
        value = "" if isinstance(e["input"], dict) or e["type"] == "missing" else f" (is {e['input']!r})"
        lines.append(f"{path.name}: {where}{value}: {e['msg'].removeprefix('Value error, ')}")
    return SpecError("\n".join(lines), f"correct {path}")


def read_spec(path: Path) -> ModelSpec:
    """Read and check one spec file.

    Raises:
        SpecError: the file is missing, is not YAML, or a field is wrong; names field, value and remedy.
    """
    try:
        data: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise SpecError(f"no model spec at {path}", "name a spec file in config/models/, or set TIDEMARK_SPECS_DIR") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SpecError(f"{path} is not YAML: {error}", "correct the line named above") from error
    if not isinstance(data, dict):
        raise SpecError(f"{path} holds {type(data).__name__}, not a mapping of fields", "see config/models/flights.yaml for an example")
    try:
        return ModelSpec.model_validate(data)
    except ValidationError as error:
        raise _explain(error, path) from error


def read_specs(settings: Settings) -> dict[str, ModelSpec]:
    """Every spec in ``specs_dir`` by model name.

    Raises:
        SpecError: a spec is wrong, two files describe one model, or there is none.
    """
    specs: dict[str, ModelSpec] = {}
    for path in sorted(settings.specs_dir.glob("*.yaml")):
        spec = read_spec(path)
        if spec.model in specs:
            raise SpecError(f"{path}: model {spec.model!r} is described by another file too", "keep one file a model")
        specs[spec.model] = spec
    if not specs:
        raise SpecError(f"no model spec (*.yaml) in {settings.specs_dir}", "write one, or set TIDEMARK_SPECS_DIR")
    return specs
