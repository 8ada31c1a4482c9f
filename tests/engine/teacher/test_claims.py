"""Runs that want the same samples at the same time: one buys, the other waits, and nothing is paid for twice."""

import multiprocessing
import time
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from engine.errors import Interrupted
from engine.spec.run import RunSpec
from engine.store.ledger.ledger import Ledger
from engine.store.ledger.rows import Asked
from engine.teacher import sampling
from engine.teacher.client import load_litellm
from engine.teacher.requests import requests_for
from engine.teacher.sampling import sample
from tests.engine.teacher.openai_server import serve
from tests.engine.teacher.test_sampling import EXAMPLES, KEY, NoOrders, complete, ledger, rows, spec

ROUNDS = 2
"""Of two processes each: of one round chance might make the order."""


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QCRD_TEST_KEY", KEY)
    monkeypatch.setattr(sampling, "LOOK", 0.02)


def beat(book: Ledger) -> None:
    """Its worker lives, to all that others can tell, and will however slow the machine is."""
    book.writer.execute("UPDATE runs SET heartbeat_at = ? WHERE id = ?", (time.time() + 600, book.run_id))


def _run(folder: Path, run: int, temperatures: list[float], url: str, together: Barrier) -> None:
    with ledger(folder, run) as book:
        beat(book)
        for temperature in temperatures:
            together.wait(60)
            assert complete(sample(spec(url, temperature=temperature), EXAMPLES, book, NoOrders()))


def test_of_two_processes_that_begin_at_once_one_buys(tmp_path: Path) -> None:
    load_litellm()  # once, before the fork
    fork = multiprocessing.get_context("fork")
    together = fork.Barrier(2)
    temperatures = [0.1 * n for n in range(ROUNDS)]
    with ledger(tmp_path), serve() as server:
        runs = [
            fork.Process(target=_run, args=(tmp_path, number, temperatures, server.url, together)) for number in (1, 2)
        ]
        for run in runs:
            run.start()
        for run in runs:
            run.join(120)
        assert [run.exitcode for run in runs] == [0, 0]
        assert server.choices_sold == ROUNDS * 60
        assert len(server.requests) == ROUNDS * len(EXAMPLES)
    assert rows(tmp_path, "SELECT count(*) FROM claims") == [(0,)]
    assert rows(tmp_path, "SELECT run_id, count(*) FROM run_samples GROUP BY 1") == [(1, 60), (2, 60)]


def test_who_waits_obeys_orders_and_says_for_whom(tmp_path: Path) -> None:
    class Stop:
        def poll(self) -> None:
            raise Interrupted("asked to stop")

    said: list[str] = []
    run_spec = RunSpec()
    key = requests_for(run_spec.teacher, run_spec.data.answer, EXAMPLES)[0].key
    with ledger(tmp_path, 1) as first, ledger(tmp_path, 2) as second:
        beat(first)
        assert first.claim({key}).result() is None
        with pytest.raises(Interrupted):
            sample(run_spec, EXAMPLES, second, Stop(), say=lambda _, line: said.append(line))
        first.claim(()).result()
        assert complete(sample(run_spec, EXAMPLES, second, NoOrders()))
    assert "run 1 is buying some of the same samples" in said[0]


def test_a_run_whose_worker_is_gone_is_not_waited_for(tmp_path: Path) -> None:
    with serve() as server, ledger(tmp_path, 1) as dead, ledger(tmp_path, 2) as mine:
        run_spec = spec(server.url)
        key = requests_for(run_spec.teacher, run_spec.data.answer, EXAMPLES)[0].key
        dead.claim({key}).result()
        dead.begin(Asked("sample", EXAMPLES[0].id, "openai/scripted", key, (0, 1, 2, 3, 4)), 1).result()
        sample(run_spec, EXAMPLES, mine, NoOrders())
        assert len(server.requests) == len(EXAMPLES)
    lost = rows(tmp_path, "SELECT run_id, in_doubt FROM teacher_requests WHERE state = 'sent'")
    assert lost == [(1, 1)]  # before any resume has marked it
