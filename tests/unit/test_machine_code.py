"""The walk is compiled once, kept where it may be kept, and done without where it cannot be compiled."""

from __future__ import annotations

import ctypes
import logging
import subprocess
import sys
from pathlib import Path

import pytest

from streams.decode import machine_code, native
from streams.decode.machine_code import library_file


@pytest.fixture(autouse=True)
def compiler() -> None:
    if not any(map(machine_code.shutil.which, machine_code.COMPILERS)):
        pytest.skip("there is no C compiler")


def without_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine_code, "COMPILERS", ("no-such-compiler",))


def test_compiled_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second start finds what the first one compiled, and needs no compiler; nothing else is left behind."""
    first = library_file([tmp_path / "new"])
    without_compiler(monkeypatch)
    assert library_file([tmp_path / "empty", tmp_path / "new"]) == first
    assert list((tmp_path / "new").iterdir()) == [first]
    assert ctypes.CDLL(str(first)).tidemark_walk


def test_name_tells_what_it_is_made_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A changed source is compiled anew."""
    first = library_file([tmp_path])
    changed = tmp_path / "walk.c"
    changed.write_text(machine_code.SOURCE.read_text() + "/* changed */\n")
    monkeypatch.setattr(machine_code, "SOURCE", changed)
    assert library_file([tmp_path]) != first


def test_next_place(tmp_path: Path) -> None:
    """Where the first place takes no file, the next one is used."""
    (tmp_path / "file").write_text("in the way of a folder")
    assert library_file([tmp_path / "file" / "folder", tmp_path / "cache"]).parent == tmp_path / "cache"


def test_unreadable_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A place that may not even be looked into is passed over; alone, the error names it."""
    closed, cache, looked = tmp_path / "closed", tmp_path / "cache", Path.is_file

    def is_file(path: Path) -> bool:  # root, whom tests may run as, looks into everything
        if closed in path.parents:
            raise PermissionError(13, "Permission denied", str(path))
        return looked(path)

    monkeypatch.setattr(Path, "is_file", is_file)
    closed.write_text("in the way of a folder")
    assert library_file([closed, cache]).parent == cache
    with pytest.raises(OSError, match=r"Permission denied.*closed"):
        library_file([closed])


def test_no_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user without a home, as a container's bare number, has the place beside the source."""

    def home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", home)
    assert machine_code.folders() == [machine_code.SOURCE.parent / "__pycache__"]


def test_nowhere(tmp_path: Path) -> None:
    """When no place takes a file, the error names each."""
    (tmp_path / "file").write_text("in the way of a folder")
    with pytest.raises(OSError, match=r"file/a.*; .*file/b"):
        library_file([tmp_path / "file" / "a", tmp_path / "file" / "b"])


def test_no_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Without a compiler the log says so and what to do, and NumPy decodes."""
    without_compiler(monkeypatch)
    monkeypatch.setattr(native, "folders", lambda: [tmp_path])
    with caplog.at_level(logging.WARNING):
        assert native.library.__wrapped__() is None
    assert "decoded by NumPy" in caplog.text
    assert "install one (Debian: gcc)" in caplog.text


def test_compiler_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the compiler says is in the error."""
    source = tmp_path / "walk.c"
    source.write_text("no C at all\n")
    monkeypatch.setattr(machine_code, "SOURCE", source)
    with pytest.raises(OSError, match=r"failed on walk.c: .*no C at all|failed on walk.c: .*error"):
        library_file([tmp_path / "out"])


def test_ahead_of_use(tmp_path: Path) -> None:
    """An image is built with the module alone, without any package."""
    command = [sys.executable, "-S", "-m", "streams.decode.machine_code", str(tmp_path)]
    subprocess.run(command, cwd=machine_code.SOURCE.parents[2], check=True, timeout=60)
    assert [f.name for f in tmp_path.iterdir()] == [library_file([tmp_path]).name]


def test_no_warnings(tmp_path: Path) -> None:
    """The source is free of what compilers warn of."""
    compiler = next(filter(None, map(machine_code.shutil.which, machine_code.COMPILERS)))
    command = [compiler, *machine_code.FLAGS, "-Wall", "-Wextra", "-Wconversion", "-Werror", "-o", str(tmp_path / "walk.so")]
    subprocess.run([*command, str(machine_code.SOURCE)], check=True, timeout=60)
