"""Snapshots show local times: the same everywhere."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.seeded import build


@pytest.fixture(scope="session")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The seeded database."""
    return build(tmp_path_factory.mktemp("seeded") / "experiments.db")


@pytest.fixture(autouse=True)
def _same_everywhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """One time zone, and colours."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "UTC")
        patch.delenv("NO_COLOR", raising=False)
        time.tzset()
        yield
    time.tzset()
