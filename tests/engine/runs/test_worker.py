"""The process around a run: how each way to end is written down, and that it hears orders and signals."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from engine.errors import ANOTHER_RUN, AtLimit, Interrupted, QcrdError, SpecError, UsageError
from engine.runs import heartbeat, launch, worker
from engine.runs.orders import Orders
from engine.spec.run import RunSpec
from engine.store.connect import open_reader
from engine.store.recorder import Recorder
from engine.store.runs.run import create_run, order

ROOT = Path(worker.__file__).parents[2]


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "experiments.db"


def row(database: Path, sql: str, *params: object) -> sqlite3.Row:
    with closing(open_reader(database)) as connection:
        return connection.execute(sql, params).fetchone()


def run_row(database: Path, run_id: int) -> sqlite3.Row:
    return row(database, "SELECT * FROM runs WHERE id = ?", run_id)


def test_a_run_that_gets_to_its_end_is_done(database: Path) -> None:
    run_id = create_run(database, RunSpec(name="mine"))
    seen = []

    def stages(spec: RunSpec, path: Path, number: int, recorder: Recorder, orders: Orders) -> None:
        seen.append((spec.name, path, number, run_row(path, number)["status"]))
        recorder.log("info", "hello")

    assert worker.work(database, run_id, stages) == 0
    assert seen == [("mine", database, run_id, "running")]
    run = run_row(database, run_id)
    assert (run["status"], run["error"]) == ("done", None)
    assert run["ended_at"] >= run["started_at"]
    assert row(database, "SELECT count(*) FROM logs WHERE message = 'hello'")[0] == 1
    session = row(database, "SELECT * FROM sessions")
    assert (session["pid"], session["outcome"]) == (os.getpid(), "done")


@pytest.mark.parametrize(
    ("error", "code", "status", "line"),
    [
        (QcrdError("the teacher is gone"), 1, "failed", "the teacher is gone"),
        (UsageError("no such file"), 1, "failed", "no such file"),
        (SpecError("no such column"), 1, "failed", f"no such column; {ANOTHER_RUN}"),
        (Interrupted("stopped at step 3"), 130, "interrupted", None),
        (AtLimit("$1 spent", "raise it"), 130, "interrupted", "$1 spent; raise it"),
        (MemoryError(), 1, "failed", "lower training.batch_size"),
        (SystemExit(3), 1, "failed", "SystemExit: 3"),
    ],
)
def test_each_way_to_end_has_its_status_and_exit_code(database: Path, capsys, error, code, status, line) -> None:
    run_id = create_run(database, RunSpec())

    def stages(*_: object) -> None:
        raise error

    assert worker.work(database, run_id, stages) == code
    run = run_row(database, run_id)
    assert run["status"] == status
    assert (run["error"] or "") == (line or "") or line in run["error"]
    assert row(database, "SELECT outcome FROM sessions")[0] == status
    assert ("error: " in capsys.readouterr().err) == (status == "failed")


def test_an_unexpected_error_is_one_line_with_its_place_and_its_traceback_beside(database: Path) -> None:
    run_id = create_run(database, RunSpec())

    def stages(*_: object) -> None:
        raise ZeroDivisionError("by nought\nsecond line")

    assert worker.work(database, run_id, stages) == 1
    error = run_row(database, run_id)["error"]
    assert error.startswith("ZeroDivisionError: by nought (")
    assert "\n" not in error
    log = row(database, "SELECT message, detail FROM logs WHERE level = 'error'")
    assert log["message"] == error
    assert "Traceback" in log["detail"]
    assert "second line" in log["detail"]


def test_a_failed_run_can_be_worked_on_again_and_a_finished_one_not(database: Path, capsys) -> None:
    run_id = create_run(database, RunSpec())

    def fail(*_: object) -> None:
        raise QcrdError("once")

    assert worker.work(database, run_id, fail) == 1
    assert worker.work(database, run_id, lambda *_: None) == 0
    assert run_row(database, run_id)["error"] is None
    capsys.readouterr()
    assert worker.work(database, run_id, lambda *_: None) == 1
    assert "is done" in capsys.readouterr().err
    assert run_row(database, run_id)["status"] == "done"


def test_no_database_is_one_line_and_none_is_made(database: Path, capsys) -> None:
    assert worker.work(database, 1, lambda *_: None) == 1
    assert capsys.readouterr().err.startswith("error: no database at ")
    assert not database.exists()


def test_a_database_that_vanishes_under_the_run_is_one_line(database: Path, capsys) -> None:
    run_id = create_run(database, RunSpec())

    def stages(spec: RunSpec, path: Path, number: int, recorder: Recorder, orders: Orders) -> None:
        for file in path.parent.glob("experiments.db*"):
            file.unlink()
        recorder.log("info", "lost")
        recorder.flush()

    assert worker.work(database, run_id, stages) == 1
    assert "deleted or replaced" in capsys.readouterr().err
    assert not database.exists()


def test_a_stop_order_and_a_signal_both_reach_the_run(database: Path) -> None:
    def until_stopped(spec: RunSpec, path: Path, number: int, recorder: Recorder, orders: Orders) -> None:
        if spec.name == "signal":
            os.kill(os.getpid(), signal.SIGTERM)
        else:
            order(path, number, "stop")
        give_up = time.monotonic() + 60
        while time.monotonic() < give_up:
            orders.raise_if_stopped()
            time.sleep(0.01)

    handler = signal.getsignal(signal.SIGTERM)
    for name in ("order", "signal"):
        run_id = create_run(database, RunSpec(name=name))
        assert worker.work(database, run_id, until_stopped) == 130
        assert run_row(database, run_id)["status"] == "interrupted"
    assert signal.getsignal(signal.SIGTERM) == handler


def test_the_heart_beats_while_the_run_computes(database: Path, monkeypatch) -> None:
    monkeypatch.setattr(heartbeat, "HEARTBEAT_SECONDS", 0.01)
    run_id = create_run(database, RunSpec())

    def beats_again(path: Path) -> bool:
        first = run_row(path, run_id)["heartbeat_at"]
        give_up = time.monotonic() + 60
        while run_row(path, run_id)["heartbeat_at"] == first and time.monotonic() < give_up:
            time.sleep(0.01)
        return run_row(path, run_id)["heartbeat_at"] > first

    def stages(spec: RunSpec, path: Path, number: int, recorder: Recorder, orders: Orders) -> None:
        assert beats_again(path)

    assert worker.work(database, run_id, stages) == 0


def test_a_resumed_run_keeps_the_number_of_threads_it_began_with(database: Path, monkeypatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    run_id = create_run(database, RunSpec.model_validate({"training": {"threads": 3}}))
    seen = []

    def stages(*_: object) -> None:
        seen.append(os.environ["OMP_NUM_THREADS"])
        raise Interrupted("later")

    worker.work(database, run_id, stages)
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("UPDATE runs SET spec = ?", (RunSpec().model_dump_json(),))
    worker.work(database, run_id, stages)
    assert seen == ["3", "3"]
    spec = RunSpec.model_validate({"compute": {"processes": 3}})
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("UPDATE runs SET spec = ?", (spec.model_dump_json(),))
    worker.work(database, run_id, stages)
    assert seen == ["3", "3", "1"]  # as many of all processes together


def test_the_process_writes_its_log_beside_the_run(database: Path) -> None:
    """A run that fails at once (its dataset is gone) in a real process, with nothing of this terminal."""
    spec = RunSpec.model_validate({"data": {"dataset": str(database.parent / "gone.jsonl")}})
    run_id = create_run(database, spec)
    process = launch.start_worker(database, run_id)
    assert process.wait(timeout=120) == 1
    run = run_row(database, run_id)
    assert run["status"] == "failed"
    assert os.getsid(0) != process.pid
    assert any("error: " in line for line in launch.log_tail(database, run_id))


def test_the_process_is_deaf_to_the_terminal_and_stops_at_a_signal_of_the_queue(database: Path) -> None:
    run_id = create_run(database, RunSpec())
    program = """
import sys, time, types
from engine.runs import worker
def run_stages(spec, database, run_id, recorder, orders):
    print("ready", flush=True)
    while True:
        orders.raise_if_stopped()
        time.sleep(0.01)
sys.modules["engine.runs.pipeline"] = types.SimpleNamespace(run_stages=run_stages)
sys.exit(worker.main(sys.argv[1:]))
"""
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(database), str(run_id)], stdout=subprocess.PIPE, cwd=ROOT
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGHUP)
    order(database, run_id, "pause")
    give_up = time.monotonic() + 60
    while run_row(database, run_id)["status"] != "paused" and time.monotonic() < give_up:
        time.sleep(0.01)
    assert process.poll() is None
    process.send_signal(signal.SIGUSR1)
    assert process.wait(timeout=60) == 130
    assert run_row(database, run_id)["status"] == "interrupted"


def test_wrong_arguments_are_one_line() -> None:
    command = [sys.executable, "-m", "engine.runs.worker"]
    found = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert found.returncode == 1
    assert found.stderr.startswith("usage: ")


def test_whether_a_process_lives() -> None:
    host = os.uname().nodename
    child = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
    assert launch.is_alive(child.pid, host) is True
    assert launch.is_alive(child.pid, "elsewhere.example") is None
    child.kill()
    child.wait()
    assert launch.is_alive(child.pid, host) is False
