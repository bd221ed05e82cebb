"""Schemas in the real Apicurio registry: ids, evolution, its restart, and what goes on while it is down."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests

from config.errors import SchemaError, ServiceUnavailable
from config.settings import Settings
from config.spec import ModelSpec
from producers.emitter.encode import EventEncoder
from schemas.event import event_schema
from schemas.registry import RegistrySchemaStore
from schemas.store import FileSchemaStore, open_store, register_for_service
from streams.decode.decoder import Decoder
from streams.windows.batch import RawBatch
from tests.support.registry import Registry

pytestmark = pytest.mark.integration
SCHEMA = {"type": "long"}


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A registry of this module alone."""
    made = Registry(tmp_path_factory.mktemp("registry"))
    yield made.start()
    made.stop()


def schema(**types: str) -> dict[str, Any]:
    """An event schema with features of these types; a category for strings."""
    kinds = {name: {"type": kind, **({"kind": "categorical"} if kind == "string" else {})} for name, kind in types.items()}
    fixed = {"model": "m", "reference": "r.parquet", "prediction": {"column": "p", "type": "double"}, "window": {"size": "10s"}}
    features = {f"{name} (é)": kind for name, kind in kinds.items()}
    return event_schema(ModelSpec.model_validate({**fixed, "features": features}))


def store(registry: Registry, home: Path, **given: Any) -> RegistrySchemaStore:
    """A store that has asked nobody yet."""
    return RegistrySchemaStore(registry.url, FileSchemaStore(home / "schemas"), **given)


def rows(registry_store: Any, value: bytes) -> dict[str, Any]:
    """The event that a worker's decoder reads."""
    batch = Decoder(registry_store, 100_000).decode(RawBatch(0, [value], [b"m"], np.arange(1), np.zeros(1, dtype=np.int64)))
    assert batch.invalid == []
    return batch.events[0].frame.row(0, named=True)


def test_events_under_a_registry_s_id_are_read_by_who_shares_nothing(registry: Registry, tmp_path: Path) -> None:
    """Registered once and again: one id; the emitter's events carry it; a decoder with another home gets the schema from the registry."""
    settings = Settings(home=tmp_path / "a", schema_registry_url=registry.url + "/")
    wanted = schema(x="double", when="timestamp")
    writer = open_store(settings).register("topic/ü-m", wanted)
    assert open_store(settings).register("topic/ü-m", wanted).header == writer.header
    assert writer.schema_id is not None
    value = EventEncoder(wanted, "m", "1", writer.schema_id).encode({"x (é)": 1.5, "when (é)": 7}, 2.0, None, "e", 5, "live", 0)
    assert value[:5] == b"\x00" + writer.schema_id.to_bytes(4, "big")
    event = rows(store(registry, tmp_path / "b"), value)
    assert (event["@id"], event["f:x (é)"], event["f:when (é)"]) == ("e", 1.5, 7)
    told = requests.get(f"{registry.url}/subjects/topic%2F%C3%BC-m/versions/latest", timeout=10).json()
    assert (told["id"], told["version"]) == (writer.schema_id, 1)


def test_ids_outlive_the_registry_s_restart(registry: Registry, tmp_path: Path) -> None:
    """Stopped and started on the same data: the same schema has the same id, known to a store without copies; a new one gets a new id."""
    first = store(registry, tmp_path / "a").register("restart-m", schema(x="double"))
    registry.stop()
    registry.start()
    assert store(registry, tmp_path / "b").register("restart-m", schema(x="double")).header == first.header
    found = store(registry, tmp_path / "c").find(first.header)
    assert found is not None
    assert found.schema == first.schema
    assert store(registry, tmp_path / "b").register("restart-m", schema(x="double", y="long")).header != first.header


def test_a_breaking_schema_is_refused_with_the_registry_s_history(registry: Registry, tmp_path: Path) -> None:
    """Every version of the subject counts; the registry does not get the schema. An older version registers again under its id."""
    here = store(registry, tmp_path)
    first = here.register("evolve-m", schema(x="long", gone="string"))
    here.register("evolve-m", schema(x="double"))
    with pytest.raises(SchemaError, match=r"column 'gone \(é\)' was string, is long now") as caught:
        here.register("evolve-m", schema(x="double", gone="long"))
    assert "delete subject evolve-m in the registry" in caught.value.remedy
    assert requests.get(f"{registry.url}/subjects/evolve-m/versions", timeout=10).json() == [1, 2]
    assert here.register("evolve-m", schema(x="long", gone="string")).header == first.header


def test_ids_that_nobody_gave_and_what_is_no_event_schema(registry: Registry, tmp_path: Path) -> None:
    """An unknown id is asked for once in ten seconds; a schema that is no record, and a rule of the registry, are told as such."""
    now = [0.0]
    here = store(registry, tmp_path, clock=lambda: now[0])
    asked: list[str] = []
    here._session.hooks["response"].append(lambda r, *_, **__: asked.append(r.url))
    unknown = b"\x00" + (999_999).to_bytes(4, "big")
    assert [here.find(unknown) for _ in range(5)] == [None] * 5
    now[0] += 11
    assert here.find(unknown) is None
    assert len(asked) == 2
    foreign = requests.post(f"{registry.url}/subjects/plain/versions", json={"schema": '{"type": "long"}'}, timeout=10).json()["id"]
    with pytest.raises(SchemaError, match=f"has as {foreign} is no Avro record"):
        here.find(b"\x00" + foreign.to_bytes(4, "big"))


def test_a_registry_that_is_down_stops_nobody_who_has_asked_before(
    registry: Registry, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Known schemas are read and registered from copies. A new one is refused, a service starts all the same under the fingerprint, which
    the same decoder reads. A reader of an unknown id waits, and goes on when the registry is back."""
    known, new = schema(x="double"), schema(x="double", z="long")
    writer = store(registry, tmp_path).register("down-m", known)
    elsewhere = store(registry, tmp_path / "elsewhere").register("down-m", new)
    registry.stop()
    try:
        again = store(registry, tmp_path, retry_s=0.0)
        assert again.register("down-m", known).header == writer.header
        found = again.find(writer.header)
        assert found is not None
        assert found.schema == known
        with pytest.raises(ServiceUnavailable, match=r"does not answer: .*refused"):
            again.register("down-m", new)
        with pytest.raises(ServiceUnavailable, match=rf"schema {elsewhere.schema_id} is needed to read records"):
            again.find(elsewhere.header)
        settings = Settings(home=tmp_path, schema_registry_url=registry.url)
        with caplog.at_level(logging.WARNING):
            started = register_for_service(settings, "down-m", new)
        assert started.schema_id is None
        assert "name their schema by fingerprint" in caplog.text
        value = EventEncoder(new, "m", "1", started.schema_id).encode({"z (é)": 3}, 2.0, None, "e", 5, "live", 0)
        assert rows(again, value)["f:z (é)"] == 3
        waited: list[float] = []

        def come_back(seconds: float) -> None:
            waited.append(seconds)
            if len(waited) == 2:
                registry.start()

        patient = store(registry, tmp_path, retry_s=600.0, pause=come_back).find(elsewhere.header)
        assert patient is not None
        assert (patient.schema, waited) == (new, [0.5, 1.0])
    finally:
        registry.stop()
        registry.start()
