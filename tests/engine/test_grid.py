"""Where a group's workers are put."""

import subprocess
from types import SimpleNamespace

import pytest

from engine.grid import places, visible_gpus


def test_one_worker_or_one_for_each_gpu() -> None:
    assert places([], 0) == [{}]
    assert places(["0"], 0) == [{}]
    assert places(["0", "1"], 0) == [{"CUDA_VISIBLE_DEVICES": "0"}, {"CUDA_VISIBLE_DEVICES": "1"}]
    assert places([], 3) == [{}, {}, {}]
    assert places(["4", "7"], 3) == [{"CUDA_VISIBLE_DEVICES": gpu} for gpu in ("4", "7", "4")]
    assert places(["4", "7"], 1) == [{"CUDA_VISIBLE_DEVICES": "4"}]


@pytest.mark.parametrize(
    ("named", "listed", "found"),
    [("2,5", "0\n", ["2", "5"]), ("", "0\n", []), ("-1", "0\n", []), (None, "0\n1\n", ["0", "1"]), (None, None, [])],
)
def test_which_gpus_there_are(monkeypatch, named: str | None, listed: str | None, found: list[str]) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if named is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", named)

    def run(*_: object, **__: object) -> SimpleNamespace:
        if listed is None:
            raise subprocess.TimeoutExpired("nvidia-smi", 20)
        return SimpleNamespace(stdout=listed)

    monkeypatch.setattr("engine.grid.shutil.which", lambda name: name)
    monkeypatch.setattr("engine.grid.subprocess.run", run)
    assert visible_gpus() == found
