"""Whole runs: spec in, rows and folders out."""

import sys
from pathlib import Path

import pytest

# the stand-in server belongs to the teacher's tests; pytest makes it importable only where those are collected too
sys.path.append(str(Path(__file__).resolve().parents[1] / "engine" / "teacher"))


@pytest.fixture(autouse=True)
def _one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker sets these for its process, which is ours here; monkeypatch puts them back."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "false")
    monkeypatch.delenv("QCRD_DB", raising=False)


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "experiments.db"
