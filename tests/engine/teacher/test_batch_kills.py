"""A batch whose buyer is killed at any stage is found again: nothing bought twice, nothing lost."""

import multiprocessing
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from engine.spec.teachers import TeacherConfig
from engine.store.ledger.ledger import Ledger
from engine.teacher.client import load_litellm
from tests.engine.teacher.batch_server import Server, serve
from tests.engine.teacher.test_batch import _key, buy, complete, rows, settled, teacher  # noqa: F401 - a fixture among them

STAGES = [
    ("before", "upload"), ("after", "upload"), ("before", "create"), ("after", "create"), ("before", "look"),
    ("after", "look"), ("before", "fetch"), ("after", "fetch"),
]  # fmt: skip


def _child(folder: str, one: TeacherConfig, dies_at_line: int | None) -> None:
    if dies_at_line is not None:
        finish, count = Ledger.finish, [0]

        def counted(*args: Any, **options: Any) -> Any:
            count[0] += 1
            future = finish(*args, **options)
            if count[0] == dies_at_line:
                future.result()
                os.kill(os.getpid(), signal.SIGKILL)
            return future

        Ledger.finish = counted  # type: ignore[method-assign]
    buy(Path(folder), one)


def killed(
    server: Server, folder: Path, one: TeacherConfig, stage: tuple[str, str] | None, line: int | None = None
) -> None:
    """A process that buys and is killed at a stage of the server's, or after a line was stored."""
    process = multiprocessing.get_context("fork").Process(target=_child, args=(str(folder), one, line))
    if stage is not None:
        when, call = stage
        hooks = server.before if when == "before" else server.after

        def kill() -> None:
            assert process.pid is not None
            os.kill(process.pid, signal.SIGKILL)

        hooks[call] = kill
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    server.before.clear()
    server.after.clear()


@pytest.mark.parametrize("stage", STAGES, ids=" ".join)
def test_a_kill_at_any_stage_buys_nothing_twice(tmp_path: Path, stage: tuple[str, str]) -> None:
    load_litellm()
    with serve() as server:
        killed(server, tmp_path, teacher(server.url), stage)
        assert complete(buy(tmp_path, teacher(server.url)))
        assert server.lines == [12]
        assert server.sold == 60
    assert settled(tmp_path)
    assert rows(tmp_path, "SELECT count(*) FROM attempts") == [(12,)]


def test_a_kill_while_answers_are_stored_buys_nothing_twice(tmp_path: Path) -> None:
    load_litellm()
    with serve() as server:
        killed(server, tmp_path, teacher(server.url), None, line=5)
        assert rows(tmp_path, "SELECT count(*) FROM responses") == [(5,)]
        assert complete(buy(tmp_path, teacher(server.url)))
        assert server.sold == 60
    assert settled(tmp_path)
