"""The spill with a real broker and real kills: nothing that ``emit`` accepted is lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from config.settings import ROOT
from tests.conftest import create_topic
from tests.integration.test_emitter_delivery import emitter, event_ids
from tests.support.broker import Broker
from tests.support.ports import free_ports
from tests.support.waiting import wait_for

pytestmark = pytest.mark.integration

SERVICE = """
import sys
from producers.emitter import Emitter
from tests.integration.test_emitter_delivery import SCHEMA
servers, topic, folder, prefix = sys.argv[1:]
made = Emitter(model="m", model_version="1", schema=SCHEMA, bootstrap_servers=servers, topic=topic, spill=folder, spill_bytes=8 << 20)
i = 0
while True:
    one = f"{prefix}-{i}"
    if made.emit({"a double": float(i)}, 1.0, event_id=one):
        sys.stdout.write(one + "\\n")  # accepted: written after emit returned
        sys.stdout.flush()
    i += 1
"""


def killed(servers: str, topic: str, folder: Path, prefix: str, lines: int) -> list[str]:
    """A service that emits until SIGKILL meets it somewhere behind its ``lines``-th event; the ids it was told were accepted."""
    command = [sys.executable, "-c", SERVICE, servers, topic, str(folder), prefix]
    out = folder.parent / f"{prefix}.txt"
    with out.open("wb") as file:
        process = subprocess.Popen(command, cwd=ROOT, stdout=file)
    try:
        wait_for(lambda: out.read_bytes().count(b"\n") >= lines, "the service emits", 60, every_s=0.002)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait(10) == -signal.SIGKILL
    return out.read_text().rpartition("\n")[0].splitlines()


def test_nothing_accepted_is_lost_when_a_service_is_killed(broker: Broker, topic: str, tmp_path: Path) -> None:
    """Killed with SIGKILL while it emits, with the broker up and with no broker at all, twice each: after the next start every event that
    was accepted is in the topic, and the spill folder is empty."""
    folder = tmp_path / "spill"
    nobody = f"127.0.0.1:{free_ports(1)[0]}"
    accepted = []
    for turn, servers in enumerate([nobody, broker.bootstrap_servers, nobody, broker.bootstrap_servers]):
        accepted += killed(servers, topic, folder, f"turn{turn}", 2000 + 500 * turn)
    assert list(folder.glob("*.wal"))
    with emitter(broker, topic, spill=folder) as made:
        assert made.emit({}, 1.0, event_id="next")
        wait_for(lambda: (c := made.counters()).recovered and not c.pending, "what was left is sent", 30)
        counted = made.counters()
        assert counted.delivered == counted.recovered + 1
        assert sum(counted.dropped.values()) == 0
    assert not list(folder.iterdir())
    found = event_ids(broker.bootstrap_servers, topic)
    assert not {*accepted, "next"} - set(found)
    assert len(accepted) > 10_000
    # The order of one process's events is kept, but for a piece that was on the way when it was killed: that is sent once more.
    again = len(found) - len(set(found))
    assert again <= 2 * (10_000 + 256)


def test_a_killed_broker_drops_nothing(own_broker: Broker, tmp_path: Path) -> None:
    """While the broker is killed, far more events than ``queue_size`` are accepted and wait in the folder; all arrive, in order, and
    accepted = delivered + dropped exactly."""
    topic = create_topic(own_broker.bootstrap_servers)
    with emitter(own_broker, topic, queue_size=500, spill=tmp_path / "s", delivery_timeout_s=0.5) as made:
        assert made.emit({}, 1.0, event_id="before")
        assert made.flush(20)
        own_broker.kill()
        sent = ["before", *(f"e{i}" for i in range(3000))]
        assert all(made.emit({}, 1.0, event_id=one) for one in sent[1:])
        assert not made.flush(1.0)
        own_broker.start()
        assert made.flush(60)
        counted = made.counters()
        assert (counted.delivered, sum(counted.dropped.values()), counted.pending) == (3001, 0, 0)
    found = event_ids(own_broker.bootstrap_servers, topic)
    assert sorted(set(found)) == sorted(sent)
    assert list(dict.fromkeys(found)) == sent


def test_a_topic_that_comes_later_gets_everything(broker: Broker, tmp_path: Path) -> None:
    """Events for a topic that is not there are kept and sent again until it is."""
    name = f"later-{time.time_ns()}"
    with emitter(broker, name, spill=tmp_path / "s", kafka={"topic.metadata.propagation.max.ms": 300}) as made:
        assert all(made.emit({}, 1.0, event_id=f"e{i}") for i in range(10))
        assert not made.flush(1.5)
        assert sum(made.counters().dropped.values()) == 0
        create_topic(broker.bootstrap_servers, name=name)
        assert made.flush(30)
    assert list(dict.fromkeys(event_ids(broker.bootstrap_servers, name))) == [f"e{i}" for i in range(10)]
