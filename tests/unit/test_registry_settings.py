"""What a user meets whose registry settings are wrong; and the credentials that are sent, to a small HTTP server that wants some."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml

from compose.native import registry
from config.errors import SchemaError, ServiceUnavailable, SettingsError
from config.settings import ROOT, Settings
from schemas.control import CONTROL_SCHEMA
from schemas.store import CONTROL, FileSchemaStore, open_store
from tests.support.ports import free_ports

WANTED = "Basic " + base64.b64encode(b"me:s3cret").decode()


class _Door(BaseHTTPRequestHandler):
    """Lets one user in, to nothing but a page of HTML."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        known = self.headers.get("Authorization") == WANTED
        body = b"<html>not a registry</html>" if known else b'{"error_code": 401, "message": "who are you?"}'
        self.send_response(404 if known else 401)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def door() -> Iterator[str]:
    """Its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Door)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_registry_that_wants_a_user_is_told_which_settings(door: str, tmp_path: Path) -> None:
    """Without credentials the message has the status, the registry's words and both settings; with them the request gets through."""
    settings = Settings(home=tmp_path, schema_registry_url=door)
    with pytest.raises(SchemaError, match="answered 401 to POST /subjects/s: who are you") as caught:
        open_store(settings).register("s", CONTROL_SCHEMA)
    assert "TIDEMARK_SCHEMA_REGISTRY_PASSWORD_FILE" in caught.value.remedy
    password = tmp_path / "password"
    password.write_text("s3cret\n")
    settings = Settings(home=tmp_path, schema_registry_url=door, schema_registry_user="me", schema_registry_password_file=password)
    with pytest.raises(SchemaError, match="answered 404") as caught:
        open_store(settings).register("s", CONTROL_SCHEMA)
    assert "/apis/ccompat/v7" in caught.value.remedy


def test_wrong_settings_are_named(tmp_path: Path) -> None:
    """An address that is none, and a password file that is not there: the variable, the value and what to write."""
    with pytest.raises(SettingsError, match="TIDEMARK_SCHEMA_REGISTRY_URL='localhost:8081' is no address") as caught:
        open_store(Settings(home=tmp_path, schema_registry_url="localhost:8081"))
    assert "http://HOST:PORT" in caught.value.remedy
    missing = Settings(home=tmp_path, schema_registry_url="http://h", schema_registry_password_file=tmp_path / "no")
    with pytest.raises(SettingsError, match=r"TIDEMARK_SCHEMA_REGISTRY_PASSWORD_FILE=.*no cannot be read"):
        open_store(missing)


def test_without_a_registry_schemas_are_files(tmp_path: Path) -> None:
    """No setting, no HTTP client."""
    assert isinstance(open_store(Settings(home=tmp_path, schema_registry_url="")), FileSchemaStore)


def test_marks_of_runs_need_no_registry(tmp_path: Path) -> None:
    """Control records have their own framing: they are read at once while nothing listens at the registry's address."""
    port = free_ports(1)[0]
    store = open_store(Settings(home=tmp_path, schema_registry_url=f"http://127.0.0.1:{port}"))
    assert store.find(CONTROL.header) == CONTROL
    with pytest.raises(ServiceUnavailable, match=rf"127\.0\.0\.1:{port} does not answer"):
        store.register("s", CONTROL_SCHEMA)


def test_the_native_registry_is_the_container_s() -> None:
    """One version, and one storage: a file of H2."""
    container = yaml.safe_load((ROOT / "compose" / "docker-compose.yml").read_text())["services"]["registry"]
    assert container["image"].endswith(f":{registry.VERSION}")
    theirs = container["environment"]["REGISTRY_DATASOURCE_URL"]
    assert theirs.startswith("jdbc:h2:file:")
    assert registry.environment(Settings())["REGISTRY_DATASOURCE_URL"].startswith("jdbc:h2:file:")
