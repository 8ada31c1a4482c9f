"""A teacher behind a real HTTP server that fails in every way it can: nothing is bought twice, no key is written."""

import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.spec.template import to_toml
from tests import warm
from tests.e2e.real_runs import FEW, SMALL, ended, rows, spec_of
from tests.engine.teacher.openai_server import Server, serve

CANARY = "sk-canary-0123456789abcdef-DoNotWrite"
QUESTIONS, SAMPLES = 12, 3
"""Of the training split, and as many of validation."""
FAULTS = {0: "500", 2: "429 after 0.01", 3: "truncated", 5: "429", 7: "short", 8: "500 echo", 9: "fewer",
          11: "no choices", 13: "empty", 14: "reset", 16: "html", 19: "429 after 0.01"}  # fmt: skip
"""By number of the request; every other one succeeds."""


def write_spec(folder: Path, url: str, concurrency: int) -> None:
    teacher = {"model": "openai/some-model", "api_base": url, "samples": SAMPLES, "concurrency": concurrency}
    spec = spec_of(
        SMALL,
        {"data": {"limit": QUESTIONS, **FEW}, "student": {"max_rationale_tokens": 40}, "method": {"name": "dss"}},
        {"teacher": {**teacher, "timeout": 30}, "training": {"steps": 3}},
    )
    (folder / "run.toml").write_text(to_toml(spec))


class Command:
    """A `qcrd` command under way, and the file that it complains in."""

    def __init__(self, folder: Path, number: int, *arguments: str) -> None:
        kept = {k: v for k, v in os.environ.items() if not k.endswith("_API_KEY")}
        out, err = folder / f"stdout-{number}", folder / f"stderr-{number}"
        self.process = warm.start_command(arguments, folder, kept | {"OPENAI_API_KEY": CANARY}, out, err)

    def wait(self, timeout: float) -> int | None:
        self.process.join(timeout)
        return self.process.exitcode


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Callable[..., Command]]:
    """Starts a command in a folder of its own, the canary in its environment; what is left at the end is killed."""
    started: list[Command] = []

    def start(*arguments: str) -> Command:
        started.append(Command(tmp_path, len(started), *arguments))
        return started[-1]

    yield start
    for command in started:
        command.process.kill()
        command.process.join()


def files_with(folder: Path, secret: str) -> list[str]:
    """Every file below the folder that holds the secret: database pages, write-ahead log, folders of runs, output."""
    return [str(p) for p in folder.rglob("*") if p.is_file() and secret.encode() in p.read_bytes()]


def said(folder: Path, number: int) -> str:
    return (folder / f"stderr-{number}").read_text()


def test_a_run_completes_over_every_fault_and_each_is_a_row(database: Path, begin) -> None:
    folder = database.parent
    with serve(FAULTS.get) as server:
        write_spec(folder, server.url, concurrency=4)
        assert begin("run", "run.toml").wait(timeout=240) == 0, said(folder, 0)
    run = ended(database, 1, 0)
    assert (run.status, run.error) == ("done", None)
    assert run.scores["test", "student", "explain"][1] == QUESTIONS

    assert all(r["authorization"] == f"Bearer {CANARY}" for r in server.requests)
    assert {r["fault"] for r in server.requests} == {None, *FAULTS.values()}
    # requests and rows: one for one, and as many faults of each status (a success that brought less is no fault)
    attempts = rows(database, "SELECT state, status, error FROM attempts")
    assert len(attempts) == len(server.requests)
    statuses = {"500": 500, "429": 429, "truncated": None, "short": None, "reset": None, "html": None}
    statuses |= {"no": 200, "empty": 200}
    wanted = Counter(statuses[str(r["fault"]).split()[0]] for r in server.requests if r["fault"] not in (None, "fewer"))
    assert Counter(status for state, status, _ in attempts if state == "failed") == wanted
    assert all(error and "\n" not in error for state, _, error in attempts if state == "failed")
    assert not any(state == "sent" for state, _, _ in attempts)
    # every completion that was sold is stored, and no more were bought than were wanted
    assert server.choices_sold == 2 * QUESTIONS * SAMPLES
    assert rows(database, "SELECT count(*) FROM run_samples") == [(2 * QUESTIONS * SAMPLES,)]
    assert any("[redacted]" in (error or "") for _, _, error in attempts), "the server repeated the key"
    assert files_with(folder, CANARY) == []
    assert files_with(folder, "canary-0123456789") == []


def wait_for(server: Server, sold: int) -> None:
    give_up = time.monotonic() + 120
    while server.choices_sold < sold:
        assert time.monotonic() < give_up, "the teacher is not asked"
        time.sleep(0.01)


def test_a_worker_killed_while_it_samples_asks_again_for_what_was_in_flight_alone(database: Path, begin) -> None:
    folder, concurrency = database.parent, 4
    with serve({3: "500 echo", 6: "429 after 0.01"}.get, delay=0.15) as server:
        write_spec(folder, server.url, concurrency)
        process = begin("run", "run.toml")
        for killed in range(2):
            wait_for(server, sold=20 * (killed + 1))
            (pid,) = rows(database, "SELECT pid FROM sessions ORDER BY id DESC LIMIT 1")[0]
            os.kill(pid, signal.SIGKILL)
            assert process.wait(timeout=60) == 1
            assert "qcrd resume 1" in said(folder, killed)
            stored = {key for (key,) in rows(database, "SELECT key FROM samples")}
            assert 0 < len(stored) < 2 * QUESTIONS * SAMPLES
            # the write-ahead log is still there: nobody closed the database
            assert files_with(folder, CANARY) == []
            process = begin("resume", "1")
            begun = "SELECT count(*) FROM sessions"
            give_up = time.monotonic() + 120
            while rows(database, begun) != [(killed + 2,)]:
                assert time.monotonic() < give_up, said(folder, killed + 1)
                time.sleep(0.02)
            assert stored <= {key for (key,) in rows(database, "SELECT key FROM samples")}
        assert process.wait(timeout=240) == 0, said(folder, 2)
    run = ended(database, 1, 0)
    assert (run.status, run.error) == ("done", None)
    samples = rows(database, "SELECT count(*) FROM run_samples")[0][0]
    assert samples == 2 * QUESTIONS * SAMPLES
    lost = "SELECT coalesce(sum(slots), 0) FROM attempts WHERE error = 'the worker ended before the answer came'"
    assert server.choices_sold - samples <= rows(database, lost)[0][0] <= 2 * concurrency * SAMPLES
    # a row is written before its request is sent: a kill between the two leaves a row more
    assert 0 <= rows(database, "SELECT count(*) FROM attempts")[0][0] - len(server.requests) <= 2 * concurrency
    assert rows(database, "PRAGMA integrity_check") == [("ok",)]
    assert files_with(folder, CANARY) == []


def test_samples_bought_before_serve_other_methods_without_a_call_and_a_budget_can_be_raised(
    database: Path, begin
) -> None:
    folder = database.parent
    with serve() as server:
        write_spec(folder, server.url, concurrency=4)
        assert begin("sample", "run.toml", "--set", "teacher.budget_calls=20").wait(timeout=240) == 130
        assert len(server.requests) == 20
        assert "--set teacher.budget_calls" in said(folder, 0)
        assert rows(database, "SELECT status, steps FROM runs") == [("interrupted", 0)]
        assert begin("resume", "1", "--set", "training.steps=5").wait(timeout=60) == 2
        assert begin("resume", "1", "--set", "teacher.budget_calls=24").wait(timeout=240) == 0, said(folder, 2)
        assert len(server.requests) == 2 * QUESTIONS
        assert rows(database, "SELECT status FROM runs") == [("done",)]
        assert rows(database, "SELECT count(*) FROM votes") == [(2 * QUESTIONS,)]
        assert begin("run", "run.toml", "--set", "method.name=positives").wait(timeout=240) == 0, said(folder, 3)
        assert len(server.requests) == 2 * QUESTIONS
    spent = "SELECT run_id, calls, bought_samples, reused_samples FROM teacher_spend ORDER BY run_id"
    samples = 2 * QUESTIONS * SAMPLES
    assert rows(database, spent) == [(1, 2 * QUESTIONS, samples, 0), (2, 0, 0, samples)]
    assert ended(database, 2, 0).status == "done"
