"""The replay against the real broker: what lies on the topic afterwards, how it stops, and how it fails."""

from __future__ import annotations

import datetime as dt
import io
import os
import signal
import subprocess
import sys
import threading
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fastavro
import polars as pl
import pytest
from confluent_kafka import Consumer, TopicPartition

from config.errors import TidemarkError
from config.settings import ROOT, Settings
from config.spec import read_spec
from examples.flights import model
from examples.flights.files import HISTORY
from examples.flights.prepare import prepare
from producers.replay import ReplayOptions, Summary, replay, replays
from schemas.framing import header_of
from schemas.store import CONTROL, FileSchemaStore
from streams.partitioner import partition_of
from tests.conftest import MakeTopic, create_topic
from tests.support.broker import Broker

pytestmark = pytest.mark.integration
SPEC = read_spec(ROOT / "config" / "models" / "flights.yaml")
DAY = ["--from", "2013-06-10", "--to", "2013-06-11"]


@dataclass(frozen=True)
class Record:
    """A decoded record of the topic."""

    partition: int
    key: bytes
    control: bool
    fields: dict[str, Any]


class Silent:
    """A progress that notes only how much was sent."""

    def __init__(self) -> None:
        self.run, self.count = "", 0
        self.changed = threading.Event()

    def read(self, count: int) -> None:
        pass

    def opened(self, run: str, total: int) -> None:
        self.run = run

    def sent(self, count: int, event_time_ms: int) -> None:
        self.count = count
        self.changed.set()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with the example made."""
    path = tmp_path_factory.mktemp("replay")
    prepare(Settings(home=path))
    return path


@pytest.fixture
def installation(broker: Broker, make_topic: MakeTopic, home: Path) -> Settings:
    """An installation with a predictions topic of its own, four partitions."""
    return Settings(home=home, bootstrap_servers=broker.bootstrap_servers, predictions_topic=make_topic(partitions=4))


def records(settings: Settings) -> list[Record]:
    """Everything on the topic, each partition in order."""
    reader = Consumer({"bootstrap.servers": settings.brokers, "group.id": uuid.uuid4().hex, "isolation.level": "read_committed"})
    store = FileSchemaStore(settings.under_home("schemas"))
    found: list[Record] = []
    for number in range(4):
        part = TopicPartition(settings.predictions_topic, number, 0)
        end = reader.get_watermark_offsets(part, timeout=10)[1]
        reader.assign([part])
        values: list[Any] = []
        while len(values) < end:
            values += reader.consume(5000, 0.5)
        found += [decoded(store, message) for message in values]
    reader.close()
    return found


def decoded(store: FileSchemaStore, message: Any) -> Record:
    """With the schema that the store has for the record's header; every byte must be used."""
    assert message.error() is None
    value = message.value()
    header = header_of(value)
    assert header is not None
    writer = store.find(header)
    assert writer is not None
    body = io.BytesIO(value[len(header) :])
    fields = fastavro.schemaless_reader(body, writer.parsed, None)
    assert body.read() == b""
    return Record(message.partition(), message.key(), writer is CONTROL, fields)


def environment(settings: Settings) -> dict[str, str]:
    """The settings as a command gets them."""
    names = ("home", "bootstrap_servers", "predictions_topic")
    return {**os.environ, **{f"TIDEMARK_{n.upper()}": str(getattr(settings, n)) for n in names}}


def start(settings: Settings, *arguments: str) -> subprocess.Popen[str]:
    """The command, running."""
    call = [sys.executable, "-u", "-m", "tidemark", "replay", "flights", *arguments]
    return subprocess.Popen(call, cwd=ROOT, env=environment(settings), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def one_day(settings: Settings, **options: Any) -> Summary:
    """The flights of 10 June, unthrottled unless told otherwise."""
    span = {"start": dt.datetime(2013, 6, 10), "end": dt.datetime(2013, 6, 11)}  # noqa: DTZ001 - local, as typed
    return replay(settings, SPEC, ReplayOptions(**{**span, **options}), Silent())


def test_a_run_is_whole_and_in_order(installation: Settings) -> None:
    """``run_start``, every row as an event in order of event time, ``run_end``: all in the model's partition, under its key."""
    summary = one_day(installation)
    found = records(installation)
    assert {r.partition for r in found} == {partition_of(b"flights", 4)}
    assert {r.key for r in found} == {b"flights"}
    assert [r.control for r in found] == [True, *[False] * (len(found) - 2), True]
    first, *events, last = (r.fields for r in found)
    assert (first["kind"], last["kind"]) == ("run_start", "run_end")
    assert (first["token"], first["run"]) == (last["token"], last["run"])
    assert summary.run == first["run"]
    times = [e["event_time"] for e in events]
    assert times == sorted(times)
    assert (first["span_start"], first["span_end"]) == (times[0], times[-1])
    assert {e["run"] for e in events} == {summary.run}
    assert len(events) == summary.events == summary.total > 900
    assert (summary.windows, summary.interrupted) == (1, False)


def test_events_hold_the_rows_and_the_models_predictions(installation: Settings) -> None:
    """Features and target are those of the history, the prediction is what the artefact says, under the artefact's version."""
    one_day(installation)
    events = [r.fields for r in records(installation) if not r.control]
    history = pl.read_parquet(installation.home / HISTORY)
    rows = history[[int(e["event_id"].removeprefix("flights-")) for e in events]]
    assert [e["features"] for e in events] == rows.select(SPEC.features.keys()).to_dicts()
    assert [e["target"] for e in events] == rows["arr_delay"].to_list()
    assert [e["event_time"] for e in events] == rows["event_time"].to_list()
    flight_model = model.load(installation)
    assert [e["prediction"] for e in events] == pytest.approx(flight_model.predict(rows.to_pandas()).tolist())
    assert {e["model_version"] for e in events} == {flight_model.version}


def test_two_replays_are_two_runs_of_the_same_events(installation: Settings) -> None:
    """Run and token differ, event ids and times are equal: a replay can be repeated."""
    one, two = one_day(installation), one_day(installation)
    found = records(installation)
    assert one.run != two.run
    assert len({r.fields["token"] for r in found if r.control}) == 2
    first, second = (
        [(r.fields["event_id"], r.fields["event_time"]) for r in found if r.fields["run"] == s.run and not r.control] for s in (one, two)
    )
    assert first == second
    assert len(set(first)) == one.events


def test_predictions_in_the_data_are_kept(installation: Settings, tmp_path: Path) -> None:
    """Data with the prediction column needs no artefact."""
    path = tmp_path / "own.parquet"
    pl.read_parquet(installation.home / HISTORY).head(50).with_columns(prediction=pl.lit(7.5)).write_parquet(path)
    bare = Settings(home=tmp_path, bootstrap_servers=installation.brokers, predictions_topic=installation.predictions_topic)
    summary = replay(bare, SPEC, ReplayOptions(data=path), Silent())
    assert (summary.events, summary.model_version) == (50, "from-data")
    assert {r.fields["prediction"] for r in records(bare) if not r.control} == {7.5}


def test_rebased_events_follow_the_wall_clock(installation: Settings) -> None:
    """A day in a second: event times span a second from the start of the replay, which takes as long, and lie in the run's span."""
    before = dt.datetime.now(dt.UTC) - dt.timedelta(milliseconds=1)
    summary = one_day(installation, timing="rebased", speed=86_400.0)
    found = [r.fields for r in records(installation)]
    times = [f["event_time"] for f in found if "event_time" in f]
    assert before <= min(times)
    assert max(times) <= dt.datetime.now(dt.UTC)
    # 05:15 to 23:00 of a day at a day in a second
    assert (max(times) - min(times)).total_seconds() == pytest.approx(0.75, abs=0.05)
    assert summary.elapsed_s >= 0.7
    assert (found[0]["span_start"], found[0]["span_end"]) == (min(times), max(times))


def test_the_speed_is_kept(installation: Settings) -> None:
    """A day's flights (from 5 to 23 o'clock) at a day in 2 s take 1.3 to 2.5 s, not less."""
    summary = one_day(installation, speed=43_200.0)
    assert 1.3 < summary.elapsed_s < 2.5


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_replay_ends_its_run(installation: Settings, number: signal.Signals) -> None:
    """Ctrl-C or SIGTERM in the middle: all that was sent is on the topic, then ``run_end``; exit code 130 and a summary, no traceback."""
    process = start(installation, "--speed", "1d/60s", *DAY)
    assert process.stdout is not None
    assert next(line for line in process.stdout if "rows read" not in line).endswith("events to send\n")
    process.send_signal(number)
    said, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    found = records(installation)
    events = [r for r in found if not r.control]
    assert [r.fields["kind"] for r in found if r.control] == ["run_start", "run_end"]
    assert found[-1].control
    assert f"ended: {len(events):,} of " in said
    assert len(events) < 900


def test_a_drill_sends_what_was_injected(installation: Settings) -> None:
    """Half of the delays from noon on are tripled: those rows, and predictions that the model made from them; two passes, two runs."""
    span = {"start": dt.datetime(2013, 6, 10), "end": dt.datetime(2013, 6, 11)}  # noqa: DTZ001 - local, as typed
    drill = ReplayOptions(**span, inject=("dep_delay=900 for 50 % from 2013-06-10T12:00",), loops=2, run="drill", rate=20_000.0)  # type: ignore[arg-type]
    first, second = replays(installation, SPEC, drill, Silent())
    assert (first.run, second.run, first.events) == ("drill-1", "drill-2", second.events)
    (changed,) = first.injected.values()
    assert 0.2 * first.events < changed < 0.4 * first.events
    found = [r.fields for r in records(installation) if not r.control]
    noon = dt.datetime(2013, 6, 10, 16, tzinfo=dt.UTC)
    for run in ("drill-1", "drill-2"):
        late = [f for f in found if f["run"] == run and f["features"]["dep_delay"] == 900]
        assert (len(late), min(f["event_time"] for f in late) >= noon) == (changed, True)
        assert min(f["prediction"] for f in late) > 100
    assert first.elapsed_s > 0.9 * first.events / 20_000


def shuffled(installation: Settings, folder: Path, rows: int) -> pl.DataFrame:
    """Flights in no order, in ``shuffled.parquet``, with predictions."""
    found = pl.read_parquet(installation.home / HISTORY).sample(rows, shuffle=True, seed=1).with_columns(prediction=pl.lit(1.5))
    found.write_parquet(folder / "shuffled.parquet", row_group_size=50_000)
    return found


def test_a_file_longer_than_memory_is_sent_in_order(installation: Settings, tmp_path: Path) -> None:
    """Flights in no order with 1 MB for rows: sorted with temporary files, the events are those of the file by time, each once."""
    rows = shuffled(installation, tmp_path, 30_000)
    summary = replay(installation, SPEC, ReplayOptions(data=tmp_path / "shuffled.parquet", memory_bytes=1 << 20), Silent())
    sent = [r.fields for r in records(installation) if not r.control]
    wanted = rows.with_row_index("row").sort("event_time", maintain_order=True)
    assert summary.events == len(sent) == 30_000
    assert [f["event_id"] for f in sent] == [f"shuffled-{row:09d}" for row in wanted["row"]]
    assert [f["features"]["distance"] for f in sent[::100]] == wanted["distance"].to_list()[::100]


@pytest.mark.drill
def test_forty_thousand_events_a_second(installation: Settings, tmp_path: Path) -> None:
    """The year's flights, from memory and from temporary files, to the real broker: more than 40,000 acknowledged events a second."""
    shuffled(installation, tmp_path, 300_000)
    for memory in (512 << 20, 8 << 20):
        summary = replay(installation, SPEC, ReplayOptions(data=tmp_path / "shuffled.parquet", memory_bytes=memory), Silent())
        print(f"{memory >> 20} MB for rows: {summary.rate:,.0f} events/s")  # noqa: T201 - a figure for who runs the drill
        assert (summary.events, summary.rate > 40_000) == (300_000, True)


def test_the_command_prints_a_summary(installation: Settings) -> None:
    """Exit code 0; events, rate, run and windows on standard output."""
    process = start(installation, "--speed", "max", "--run", "named-1", *DAY)
    said, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    events = sum(not r.control for r in records(installation))
    assert f"run named-1 ended: {events:,} events in " in said
    assert "1 windows" in said


def test_a_topic_that_is_not_there_is_named(broker: Broker, home: Path) -> None:
    """Exit code 1, the topic, the broker and the commands that make it."""
    settings = Settings(home=home, bootstrap_servers=broker.bootstrap_servers, predictions_topic=f"missing-{uuid.uuid4().hex}")
    process = start(settings, *DAY)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert f"topic '{settings.predictions_topic}' does not exist" in errors
    assert "tidemark topics" in errors
    assert "Traceback" not in errors


def test_a_broker_that_dies_is_told_and_the_run_is_not_ended(own_broker: Broker, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the broker gone for good the replay fails with the number of records and the reason; no ``run_end`` pretends it is whole."""
    monkeypatch.setattr("producers.replay.kafka.DELIVERY_S", 3.0)
    settings = Settings(home=home, bootstrap_servers=own_broker.bootstrap_servers)
    create_topic(own_broker.bootstrap_servers, partitions=4, name=settings.predictions_topic)
    progress = Silent()
    killer = threading.Thread(target=lambda: progress.changed.wait(60) and own_broker.kill())
    killer.start()
    with pytest.raises(TidemarkError, match=r"[1-9][\d,]* records could not be delivered .*timed out") as caught:
        replay(settings, SPEC, ReplayOptions(speed=120_960.0), progress)
    killer.join()
    assert "no run_end" in caught.value.remedy
    own_broker.start()
    assert [r.fields["kind"] for r in records(settings) if r.control] == ["run_start"]
