"""Where a group's workers are put, and which run is next."""

import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from engine.runs.grid import Queue, places, visible_gpus
from engine.store.runs.groups import Group, GroupRun


def test_one_worker_or_one_for_each_gpu() -> None:
    assert places([], 0) == [{}]
    assert places(["0"], 0) == [{}]
    assert places(["0", "1"], 0) == [{"CUDA_VISIBLE_DEVICES": "0"}, {"CUDA_VISIBLE_DEVICES": "1"}]
    assert places([], 3) == [{}, {}, {}]
    assert places(["4", "7"], 3) == [{"CUDA_VISIBLE_DEVICES": gpu} for gpu in ("4", "7", "4")]
    assert places(["4", "7"], 1) == [{"CUDA_VISIBLE_DEVICES": "4"}]
    assert places(["0", "1", "4", "7", "8"], 0, each=2) == [{"CUDA_VISIBLE_DEVICES": g} for g in ("0,1", "4,7")]
    assert places(["0", "1"], 0, each=2) == places(["0"], 0, each=2) == places([], 0, each=2) == [{}]


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

    monkeypatch.setattr("engine.runs.grid.shutil.which", lambda name: name)
    monkeypatch.setattr("engine.runs.grid.subprocess.run", run)
    assert visible_gpus() == found


def group(**runs: str) -> Group:
    """Runs r1, r2 ...: their status, with "+" where a worker is alive, "$" where it may still buy, "!" where it has an
    error."""
    found = tuple(
        GroupRun(
            int(name[1:]), "n", words.strip("+$!"), "dss", 0, "auto", 0, 9, "why" if "!" in words else None,
            "+" in words, 1, "", "$" in words,
        )
        for name, words in runs.items()
    )  # fmt: skip
    return Group(1, "n", found, 1, "here", True, False, False)


@pytest.fixture
def started(monkeypatch) -> list[tuple[int, dict[str, str]]]:
    found: list[tuple[int, dict[str, str]]] = []

    def start(_database: Path, run_id: int, variables: dict[str, str]) -> SimpleNamespace:
        found.append((run_id, variables))
        return SimpleNamespace(poll=lambda: None)

    monkeypatch.setattr("engine.runs.grid.start_worker", start)
    return found


def test_one_run_at_a_time_may_buy(started: list[tuple[int, dict[str, str]]]) -> None:
    queue, two = Queue(Path("x.db"), 1, 2), [{"at": "0"}, {"at": "1"}]
    assert queue._tend(group(r1="queued$", r2="queued$", r3="queued"), two)
    assert started == [(1, {"at": "0"}), (3, {"at": "1"})], "the third asks no teacher"
    queue._workers.pop(3), queue._places.pop(3)
    assert queue._tend(group(r1="running+$", r2="queued$", r3="done"), two)
    assert len(started) == 2
    assert queue._tend(group(r1="running+", r2="queued$", r3="done"), two)
    assert started[2:] == [(2, {"at": "1"})], "what it asks is stored now"


def test_at_the_budget_of_one_run_no_other_buys_on(started: list[tuple[int, dict[str, str]]]) -> None:
    queue = Queue(Path("x.db"), 1, 0)
    assert queue._tend(group(r1="interrupted!$", r2="queued$", r3="queued"), [{}]), "a limit may have been raised since"
    queue._workers.clear()
    assert queue._tend(group(r1="interrupted!$", r2="queued$", r3="queued"), [{}])
    assert [run_id for run_id, _ in started] == [1, 3], "the third buys nothing"
    queue._workers.clear()
    assert not queue._tend(group(r1="interrupted!$", r2="queued$", r3="done"), [{}])


def test_a_run_of_an_earlier_queue_is_waited_for_and_each_is_tried_once(
    started: list[tuple[int, dict[str, str]]],
) -> None:
    queue = Queue(Path("x.db"), 1, 0)
    assert queue._tend(group(r1="running+", r2="failed"), [{}])
    assert started == []
    assert queue._tend(group(r1="running", r2="failed"), [{}])
    assert [run_id for run_id, _ in started] == [1], "its worker died: it is taken up again"
    queue._workers.clear()
    assert queue._tend(group(r1="done", r2="failed"), [{}])
    queue._workers.clear()
    assert not queue._tend(group(r1="done", r2="failed"), [{}])
    assert [run_id for run_id, _ in started] == [1, 2]
