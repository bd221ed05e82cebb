"""`tidemark init` on files that are right: what it reads, what it takes the columns for, and that what it writes is what replay reads."""

from __future__ import annotations

import datetime as dt
import hashlib
import subprocess
import sys
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import fastavro
import numpy as np
import polars as pl
import pytest
import skops.io
from sklearn.linear_model import LinearRegression

from compose.onboard.init import run_init
from config.errors import UsageError
from config.spec import Column, ModelSpec, read_spec
from monitor.reference import load_reference
from producers.files import Batch, read_batches
from producers.onboard import InitOptions
from schemas.event import event_schema, feature_names
from tests.unit.test_init_bad_files import hour, plain, settings_in, table

NAMES = ("größe (cm)", "2 leading", "a b", "a__20_b", "_", "日本", 'quo"te', "y", "true", "null", "a: b", "#no comment", " blank ", "-")


def attached(tmp_path: Path, content: str | bytes, name: str = "log.csv", force: bool = False, **options: Any) -> ModelSpec:
    """The spec that ``init`` writes for a file."""
    path = tmp_path / name
    if content:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    settings = settings_in(tmp_path / "home")
    run_init(settings, InitOptions(path, **options), force)
    return read_spec(settings.specs_dir / f"{options.get('model') or path.name.split('.')[0]}.yaml")


def replayed(tmp_path: Path, spec: ModelSpec, rows: int = 7) -> pl.DataFrame:
    """All rows as replay reads them, with the event times as ``at``."""
    assert spec.data is not None
    types = {name: c.type for name, c in {**spec.columns, **spec.probability_columns}.items()}
    batches: list[Batch] = list(read_batches(spec.data, types, tmp_path / "home", rows))
    assert [b.first_row for b in batches] == np.cumsum([0, *(len(b.times_ms) for b in batches[:-1])]).tolist()
    return pl.concat([b.frame.with_columns(b.times_ms.cast(pl.Datetime("ms", "UTC")).alias("at")) for b in batches])


@pytest.mark.parametrize(
    ("encoding", "delimiter"),
    [("utf-8", d) for d in ",;\t|"] + [(e, ";") for e in ("utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252", "latin-1")],
)
def test_any_encoding_and_delimiter(tmp_path: Path, encoding: str, delimiter: str) -> None:
    """A file reads the same whatever it is encoded in and parted by; quoted fields may hold the delimiter and line breaks."""
    rows = [f'{hour(i)}{delimiter}"Köln{delimiter}\n{i % 3}"{delimiter}{i * 7 % 5}.5{delimiter}{i % 2}' for i in range(40)]
    content = "\n".join([delimiter.join(("time", "städte", "x", "prediction")), *rows])
    frame = replayed(tmp_path, attached(tmp_path, content.encode(encoding)))
    assert frame["städte"].to_list() == [f"Köln{delimiter}\n{i % 3}" for i in range(40)]
    assert frame["x"].to_list() == [i * 7 % 5 + 0.5 for i in range(40)]
    assert frame["at"][25] == dt.datetime(2024, 1, 2, 1, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("written", "zone"),
    [
        ("%Y-%m-%d %H:%M:%S", "UTC"),
        ("%Y-%m-%dT%H:%M:%S.%f", "UTC"),
        ("%Y-%m-%dT%H:%M:%SZ", "UTC"),
        ("%Y-%m-%dT%H:%M:%S+00:00", "UTC"),
        ("%d.%m.%Y %H:%M", "Europe/Berlin"),
        ("%d/%m/%Y %H:%M:%S", "UTC"),
        ("%m/%d/%Y %H:%M", "America/New_York"),
        ("%m/%d/%Y %I:%M %p", "UTC"),
        ("%d %b %Y %H:%M", "UTC"),
        ("%Y%m%d %H:%M", "UTC"),
        ("epoch_s", "UTC"),
        ("epoch_ms", "UTC"),
        ("epoch_us", "UTC"),
    ],
)
def test_forms_of_time(tmp_path: Path, written: str, zone: str) -> None:
    """Each form is found from the values alone, local times in their zone, and gives the moments that were written."""
    moments = [dt.datetime(2024, 1, 10, tzinfo=dt.UTC) + dt.timedelta(hours=7 * i) for i in range(40)]
    per_s = {"epoch_s": 1, "epoch_ms": 1000, "epoch_us": 1_000_000}
    texts = [
        str(int(m.timestamp() * per_s[written])) if written in per_s else m.astimezone(ZoneInfo(zone)).strftime(written) for m in moments
    ]
    spec = attached(tmp_path, table(lambda i: f"{texts[i]},{i * 7 % 5},{i % 2}"), time_zone=zone)
    assert replayed(tmp_path, spec)["at"].to_list() == moments


def test_time_in_two_columns(tmp_path: Path) -> None:
    """A day-first date and a time of day in two columns are one event time, and no features."""
    content = table(lambda i: f"{13 + i // 24:02d}.01.2024;{i % 24}:05;1,{i % 7};{i % 2}", "Datum;Uhrzeit;x;prediction")
    spec = attached(tmp_path, content, time=("Datum", "Uhrzeit"))
    frame = replayed(tmp_path, spec)
    assert frame["at"][30] == dt.datetime(2024, 1, 14, 6, 5, tzinfo=dt.UTC)
    assert frame["x"][:3].to_list() == [1.0, 1.1, 1.2]
    assert list(spec.features) == ["x"]


def test_a_time_is_known_by_its_values(tmp_path: Path) -> None:
    """A column of dates with times of day is the event time whatever its name, if it is the only one; of two the user is asked which."""
    spec = attached(tmp_path, table(lambda i: f"{i * 7 % 5},{hour(i)}Z,{i % 2}", "x,when,prediction"))
    assert spec.data is not None
    assert spec.data.time.columns == ("when",)
    assert list(spec.features) == ["x"]
    two = table(lambda i: f"{hour(i)},{hour(i)},{i % 5},{i % 2}", "bought,shipped,x,prediction")
    with pytest.raises(UsageError, match="columns 'bought', 'shipped' could be the event time"):
        attached(tmp_path, two, "two.csv")
    with pytest.raises(UsageError, match="no column is named like an event time"):
        attached(tmp_path, table(lambda i: f"{i % 5},2024-01-{1 + i % 28:02d},{i % 2}", "x,born,prediction"), "dates.csv")


def test_any_name_survives(tmp_path: Path) -> None:
    """Names of any characters come back true from the file, the spec, the schema, an encoded event and the reference."""
    frame = pl.DataFrame({"time": pl.datetime_range(pl.datetime(2024, 1, 1), pl.datetime(2024, 1, 3), "1h", eager=True)})
    frame = frame.with_columns(*(((pl.int_range(pl.len()) * (n + 3)) % 17 * 0.5).alias(name) for n, name in enumerate(NAMES)))
    frame.with_columns(pl.lit(0.5).alias("prediction")).write_csv(tmp_path / "names.csv")
    spec = attached(tmp_path, b"", "names.csv", time=("time",))
    assert tuple(spec.features) == NAMES
    schema = event_schema(spec)
    fastavro.parse_schema(schema)
    assert tuple(feature_names(schema)) == NAMES
    settings = settings_in(tmp_path / "home")
    assert set(load_reference(spec, settings.under_home(str(spec.reference))).columns) == {*NAMES, "prediction"}
    again = replayed(tmp_path, spec)
    assert all(again[name].to_list() == frame[name].to_list() for name in NAMES)


def test_types_of_parquet(tmp_path: Path) -> None:
    """Whole numbers, fractions, booleans, texts, categories, vectors and timestamps get their types; nulls are allowed in each."""
    n = 60
    columns: dict[str, Any] = {
        "long": [i * 7 % 11 for i in range(n)],
        "double": [i * 7 % 11 / 3 for i in range(n)],
        "boolean": [i % 3 == 0 for i in range(n)],
        "text": [f"t{i % 4}" for i in range(n)],
        "category": pl.Series([f"c{i % 4}" for i in range(n)], dtype=pl.Categorical),
        "vector": [[float(i), 1.0, 2.0] for i in range(n)],
        "seen_at": [dt.datetime(2023, 5, 1, tzinfo=dt.UTC) + dt.timedelta(hours=i) for i in range(n)],
    }
    frame = pl.DataFrame(columns).with_columns(pl.when(pl.int_range(n) % 9 != 4).then(pl.all()).name.keep())
    times = [dt.datetime(2024, 1, 1, tzinfo=dt.UTC) + dt.timedelta(hours=i) for i in range(n)]
    frame = frame.with_columns(pl.lit("yes").alias("prediction"), pl.Series("time", times))
    frame.write_parquet(tmp_path / "types.parquet")
    spec = attached(tmp_path, b"", "types.parquet", types={"seen_at": "timestamp"})
    categorical = {"kind": "categorical"}
    assert spec.features == {
        "long": Column(type="long"),
        "double": Column(type="double"),
        "boolean": Column(type="boolean", **categorical),  # type: ignore[arg-type]
        "text": Column(type="string", **categorical),  # type: ignore[arg-type]
        "category": Column(type="string", **categorical),  # type: ignore[arg-type]
        "vector": Column(type="doubles", kind="embedding"),
        "seen_at": Column(type="timestamp"),
    }
    again = replayed(tmp_path, spec)
    assert again["vector"].to_list() == frame["vector"].to_list()
    assert again["category"].to_list() == frame["category"].cast(pl.String).to_list()
    assert again["seen_at"][0] == int(dt.datetime(2023, 5, 1, tzinfo=dt.UTC).timestamp() * 1000)
    assert [again[name].null_count() for name in columns] == [frame[name].null_count() for name in columns]


def test_what_is_left_out(tmp_path: Path) -> None:
    """Row numbers, identifiers, free text, other times and empty columns are no features; a word for nothing is read as null."""
    content = table(
        lambda i: (
            f"{hour(i)},{i},u{i * 7919 % 100_003},{i} went to town and saw it,2020-01-{1 + i % 28:02d},,{'?' if i % 5 == 0 else i % 4},0.5"
        ),
        "time,row,user_id,comment,birthday,nothing,x,prediction",
        rows=80,
    )
    spec = attached(tmp_path, content)
    assert list(spec.features) == ["x"]
    assert replayed(tmp_path, spec)["x"][:3].to_list() == [None, 1, 2]


def test_probabilities_and_performance(tmp_path: Path) -> None:
    """Columns named by class with values in [0, 1] are class probabilities; with labels, both monitors of classification are on."""
    row = "{},{},{},{},{},{}".format
    content = table(
        lambda i: row(hour(i), i % 5, "ab"[i % 2], "ab"[i % 3 == 0], 0.25 + i % 2 / 2, 0.75 - i % 2 / 2),
        "time,x,y_true,y_pred,y_pred_proba_a,y_pred_proba_b",
    )
    spec = attached(tmp_path, content)
    assert spec.probabilities == {"a": "y_pred_proba_a", "b": "y_pred_proba_b"}
    assert {"classification_performance", "prob_classification_performance", "target_drift"} <= set(spec.monitors)


def test_a_model_in_place_of_predictions(tmp_path: Path) -> None:
    """With --artefact the model predicts the reference itself."""
    model = LinearRegression().fit(pl.DataFrame({"x": [0.0, 1.0, 2.0]}).to_pandas(), [1.0, 3.0, 5.0])
    skops.io.dump(model, tmp_path / "model.skops")
    content = table(lambda i: f"{hour(i)},{i * 7 % 5}.0,{i % 3}.5", "time,x,target")
    spec = attached(tmp_path, content, artefact=tmp_path / "model.skops")
    reference = pl.read_parquet(tmp_path / "home" / spec.reference)
    assert reference["prediction"].to_list() == pytest.approx([2 * x + 1 for x in reference["x"].to_list()])
    assert "regression_performance" in spec.monitors


@pytest.mark.parametrize("where", ["work tree", "cache of DVC 3", "cache of DVC 2", "cache set in the config"])
def test_a_file_tracked_by_dvc(tmp_path: Path, where: str) -> None:
    """A pointer is followed to the work file, else into the local cache; the same rows come of each."""
    content = table(plain).encode()
    md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
    (tmp_path / ".dvc").mkdir()
    (tmp_path / "log.csv.dvc").write_text(f"outs:\n- md5: {md5}\n  size: {len(content)}\n  hash: md5\n  path: log.csv\n")
    places = {
        "work tree": tmp_path / "log.csv",
        "cache of DVC 3": tmp_path / ".dvc/cache/files/md5" / md5[:2] / md5[2:],
        "cache of DVC 2": tmp_path / ".dvc/cache" / md5[:2] / md5[2:],
        "cache set in the config": tmp_path / "elsewhere/files/md5" / md5[:2] / md5[2:],
    }
    (tmp_path / ".dvc/config").write_text("[cache]\n    dir = ../elsewhere\n" if "config" in where else "[core]\n    autostage = true\n")
    places[where].parent.mkdir(parents=True, exist_ok=True)
    places[where].write_bytes(content)
    spec = attached(tmp_path, b"", "log.csv.dvc")
    assert replayed(tmp_path, spec)["x"].to_list() == [i * 7 % 5 for i in range(40)]


def test_the_reference_is_what_came_before(tmp_path: Path) -> None:
    """--reference-until parts the rows by event time in the file's zone, whatever their order in the file."""
    content = table(lambda i: plain(39 - i))
    spec = attached(tmp_path, content, reference_until="2024-01-01T13:00", time_zone="Europe/Berlin")
    reference = pl.read_parquet(tmp_path / "home" / spec.reference)
    assert sorted(reference["x"].to_list()) == sorted(i * 7 % 5 for i in range(13))


def test_a_spec_is_replaced_when_told_so(tmp_path: Path) -> None:
    """A second init is refused, and with --force writes anew; nothing but reference, spec and schema is left in any folder."""
    attached(tmp_path, table(plain))
    with pytest.raises(UsageError, match="there is a spec already"):
        attached(tmp_path, table(plain))
    spec = attached(tmp_path, table(plain), force=True, window="1d")
    assert spec.window.size == 86_400_000
    left = sorted(p.parent.name for p in (tmp_path / "home").rglob("*") if p.is_file() and p.suffix in (".part", ".yaml", ".parquet"))
    assert left == ["references", "specs"]


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    """Reading a file of 120 MB in batches takes less than 120 MB more than reading one of a tenth of it."""
    code = (
        "import resource, sys; from pathlib import Path\n"
        "from config.spec_data import DataFile, TimeColumn; from producers.files import read_batches\n"
        "data = DataFile(path=Path(sys.argv[1]), format='csv', time=TimeColumn(columns=('t',), format='epoch_s'))\n"
        "rows = sum(len(b.times_ms) for b in read_batches(data, {'x': 'string'}, Path('.')))\n"
        "print(rows, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)\n"
    )

    def peak_mb(rows: int) -> int:
        path = tmp_path / f"{rows}.csv"
        line = "1700000000," + "x" * 289 + "\n"
        with path.open("w") as file:
            file.write("t,x\n")
            for _ in range(rows // 1000):
                file.write(line * 1000)
        done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True, timeout=120)
        read, peak = map(int, done.stdout.split())
        assert read == rows
        return peak

    assert peak_mb(400_000) - peak_mb(40_000) < 120


def test_segments_are_written(tmp_path: Path) -> None:
    """Columns given as segments are categorical features, and the spec's segments, whatever their values look like."""
    spec = attached(tmp_path, table(lambda i: f"{hour(i)},{i % 3},{i % 7}.5,0.5", "time,store,x,prediction"), segments=("store",))
    assert (spec.segments, spec.features["store"]) == (("store",), Column(type="string", kind="categorical"))
    with pytest.raises(UsageError, match="segments names 'prediction'"):
        attached(tmp_path, "", prediction="prediction", segments=("prediction",), force=True)
