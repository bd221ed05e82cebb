"""What several modules of unit tests make use of."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from config.settings import Settings
from examples.flights.prepare import prepare


@pytest.fixture(scope="session")
def _flights_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("flights")
    prepare(Settings(home=home))
    return home


@pytest.fixture(scope="module")
def flights_home(_flights_once: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with the flights example, which takes seconds to make: a copy for each module, to do with as it likes."""
    home = tmp_path_factory.mktemp("flights-copy")
    shutil.copytree(_flights_once, home, dirs_exist_ok=True)
    return home
