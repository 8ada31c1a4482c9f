"""Thousands of requests through a worker that is ended again and again: nothing paid for is lost or paid twice."""

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from engine.data.arithmetic import generate
from engine.spec.run import RunSpec
from engine.spec.sections import ArithmeticConfig
from engine.store.runs.run import create_run
from tests.engine.teacher.openai_server import Server, serve
from tests.engine.teacher.test_sampling import NoOrders, ledger, sample, spec

CANARY = "canary-7f3a9c51d0e8"
CONCURRENCY = 64
REQUESTS = 2500
ENDS = 10
WORKER = """
import sys
from pathlib import Path
from types import SimpleNamespace
from engine.data.load import load
from engine.data.splits import asked
from engine.store.ledger.ledger import Ledger
from engine.teacher.sampling import sample
from engine.runs.worker import work

def stages(spec, database, run_id, recorder, orders):
    poll = SimpleNamespace(poll=orders.raise_if_stopped)
    sample(spec, asked(spec, load(spec)), Ledger(recorder.writer, run_id), poll)

sys.exit(work(Path(sys.argv[1]), 1, stages))
"""
"""The real worker without the stages that load torch, which takes longer than the sampling."""


def begin(database: Path, log: Path) -> "subprocess.Popen[bytes]":
    environment = {**os.environ, "QCRD_TEST_KEY": CANARY, "PYTHONPATH": str(Path(__file__).parents[2])}
    with log.open("ab") as out:
        command = [sys.executable, "-c", WORKER, str(database)]
        return subprocess.Popen(command, stdout=out, stderr=out, env=environment)


def make(database: Path, url: str) -> None:
    teacher = {
        "model": "openai/scripted",
        "api_base": url,
        "api_key_env": "QCRD_TEST_KEY",
        "concurrency": CONCURRENCY,
        "samples": 1,
    }
    arithmetic = {"train": REQUESTS - 100, "validation": 100, "test": 1, "unseen": 1}
    data = {"dataset": "arithmetic", "arithmetic": arithmetic}
    create_run(database, RunSpec.model_validate({"until": "vote", "teacher": teacher, "data": data}))


def rows(database: Path, sql: str) -> list[tuple[object, ...]]:
    db = sqlite3.connect(database)
    try:
        return db.execute(sql).fetchall()
    finally:
        db.close()


def work(database: Path, server: Server, number: signal.Signals) -> None:
    """The run to its end, ended ENDS times on the way, each time after so many more requests."""
    log = database.parent / "worker.out"
    for ended in range(ENDS):
        process = begin(database, log)
        while len(server.requests) < (ended + 1) * REQUESTS // (ENDS + 2):
            assert process.poll() is None, log.read_text()[-2000:]
            time.sleep(0.01)
        process.send_signal(number)
        code = process.wait(120)
        assert code == (130 if number == signal.SIGTERM else -signal.SIGKILL)
        assert CANARY.encode() not in b"".join(p.read_bytes() for p in database.parent.rglob("*") if p.is_file())
    assert begin(database, log).wait(600) == 0, log.read_text()[-2000:]
    assert rows(database, "SELECT status FROM runs") == [("done",)]
    assert rows(database, "SELECT count(*) FROM run_samples") == [(REQUESTS,)]
    assert rows(database, "PRAGMA integrity_check") == [("ok",)]


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_ten_times_sigterm_loses_nothing_and_buys_nothing_twice(tmp_path: Path) -> None:
    database = tmp_path / "experiments.db"
    with serve(delay=0.05) as server:
        make(database, server.url)
        work(database, server, signal.SIGTERM)
    assert len(server.requests) == server.choices_sold == REQUESTS
    assert rows(database, "SELECT state, count(*) FROM attempts GROUP BY state") == [("done", REQUESTS)]
    assert rows(database, "SELECT state, count(*) FROM requests GROUP BY state") == [("done", REQUESTS)]


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_ten_times_kill_9_loses_nothing_and_the_bill_holds_at_most_what_was_in_flight(tmp_path: Path) -> None:
    database = tmp_path / "experiments.db"
    with serve(delay=0.05) as server:
        make(database, server.url)
        work(database, server, signal.SIGKILL)
    (doubtful,) = rows(database, "SELECT count(*) FROM requests WHERE state = 'in_doubt'")[0]
    twice = server.choices_sold - REQUESTS
    assert 0 <= twice <= int(str(doubtful)) <= ENDS * CONCURRENCY
    assert rows(database, "SELECT sum(in_doubt) FROM teacher_spend") == [(doubtful,)]
    # a row is written before its request is sent: a kill between the two leaves a row more
    (attempts,) = rows(database, "SELECT count(*) FROM attempts")[0]
    assert 0 <= int(str(attempts)) - len(server.requests) <= int(str(doubtful))
    print(f"bought again: {twice}, in doubt: {doubtful}")


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_five_thousand_samples_from_a_server_that_fails_in_every_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QCRD_TEST_KEY", CANARY)
    kinds = ["500", "429", "429 after 0.01", "truncated", "short", "reset", "fewer", "no choices", "empty"]
    kinds += ["500 echo", "html"]
    rng = random.Random(0)
    faults = [rng.choice(kinds) if rng.random() < 0.25 else None for _ in range(20_000)]
    faults[::150] = ["slow 60"] * len(faults[::150])  # hangs
    examples = generate(0, ArithmeticConfig(train=1000, validation=1, test=1, unseen=1)).splits["train"]
    said: list[str] = []
    with serve(faults.__getitem__) as server, ledger(tmp_path) as book:
        run_spec = spec(server.url, concurrency=32, attempts=6, timeout=15.0)
        found = sample(run_spec, examples, book, NoOrders(), say=lambda _, line: said.append(line), backoff=0.01)
    database = tmp_path / "experiments.db"
    short = [e for e, samples in found.items() if len(samples) < 5]
    assert len(short) <= 5  # 0.25 ** 6 of a thousand, if any
    assert bool(short) == any("questions got fewer samples" in line for line in said)
    # attempts and requests: one for one, and as many of each outcome
    wanted = Counter("done" if r["fault"] in (None, "fewer") else "failed" for r in server.requests)
    assert Counter(state for (state,) in rows(database, "SELECT state FROM attempts")) == wanted
    assert rows(database, "SELECT count(*) FROM attempts WHERE error IS NULL AND state = 'failed'") == [(0,)]
    complete = Counter(state for (state,) in rows(database, "SELECT state FROM requests"))
    assert set(complete) <= {"done", "failed"}
    assert sum(len(samples) for samples in found.values()) == rows(database, "SELECT count(*) FROM samples")[0][0]
    assert CANARY.encode() not in b"".join(p.read_bytes() for p in tmp_path.rglob("*") if p.is_file())
