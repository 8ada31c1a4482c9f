"""A seeded database, made once and copied for each test."""

import shutil
from pathlib import Path

import pytest

from tests.seeded import build


@pytest.fixture(scope="session")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The seeded database, to be read only."""
    return build(tmp_path_factory.mktemp("seeded") / "experiments.db")


@pytest.fixture
def database(seeded: Path, tmp_path: Path) -> Path:
    """A copy to write in."""
    return Path(shutil.copy(seeded, tmp_path / "experiments.db"))
