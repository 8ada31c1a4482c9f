"""Several processes: two give the curve of one, no kill of either leaves the other behind, and all is resumed."""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from engine.errors import QcrdError, UsageError
from engine.parallel import processes
from engine.runs import launch, worker
from engine.spec.run import RunSpec
from engine.store.connect import open_reader
from engine.store.runs.run import create_run, order, set_processes, stored_spec
from tests.engine.training.test_kill import FEW, rows, state, student_with_dropout, the_same, work_until

__all__ = ["student_with_dropout"]  # a fixture
STEPS = 12
QCRD: dict[str, Any] = {
    "name": "qcrd",
    "negatives": {"lag": 1},
    "discriminator": {"pretrain_steps": 4, "every": 3},
}


def spec(count: int, student: Path | str = "builtin/t5-tiny", method: dict[str, Any] = QCRD) -> RunSpec:
    return RunSpec.model_validate(
        {
            "data": {"limit": 20, "arithmetic": FEW},
            "student": {"model": str(student), "max_rationale_tokens": 40, "lora": {"dropout": 0.0}},
            "teacher": {"samples": 3},
            "method": method,
            "training": {
                "steps": STEPS,
                "iterations": 4,
                "batch_size": 7,
                "warmup": 2,
                "checkpoint_every": 2,
                "threads": 1,
            },
            "compute": {"processes": count},
            "evaluation": {"every": 6, "followed": 4, "samples": 2},
        }
    )


def made(folder: Path, spec: RunSpec) -> Path:
    folder.mkdir()
    create_run(folder / "experiments.db", spec)
    return folder / "experiments.db"


def finished(database: Path) -> Path:
    assert worker.work(database, 1) == 0, rows(database, "SELECT error FROM runs")
    assert followers(os.getpid()) == []
    return database


SLOW: list[dict[str, Any]] = [{"name": "dss"}, {"name": "nat", "negative_steps": 3}]


@pytest.mark.parametrize(
    "method", [QCRD, *(pytest.param(method, marks=pytest.mark.slow) for method in SLOW)], ids=lambda m: m["name"]
)
def test_two_processes_give_the_curve_of_one(tmp_path: Path, method: dict[str, Any]) -> None:
    one, two = (finished(made(tmp_path / str(n), spec(n, method=method))) for n in (1, 2))
    other = "('tokens_per_second', 'memory/host')"
    curve = f"SELECT name, step, value FROM metric_points WHERE name NOT IN {other} ORDER BY 1, 2"
    wanted, found = ({(name, step): value for name, step, value in rows(d, curve)} for d in (one, two))
    assert wanted.keys() == found.keys()
    assert sum(name == "loss/total" for name, _ in wanted) == STEPS
    for point, value in wanted.items():
        # of what rounding does to weights a gradient shows more than a loss: 7e-5 here, on one CPU and not on another
        rel = 5e-4 if point[0] == "grad_norm" else 1e-5
        assert found[point] == pytest.approx(value, rel=rel, abs=1e-6), point
    for sql in (
        "SELECT number, example, polarity, source, iteration, text"
        " FROM rationales JOIN texts ON texts.id = text_id ORDER BY number",
        "SELECT split, who, head, step, correct, total FROM scores ORDER BY 1, 2, 3, 4",
        "SELECT split, example, head, step, answer FROM predictions ORDER BY 1, 2, 3, 4",
        "SELECT split, example, head, samples, correct FROM sampled_answers ORDER BY 1, 2, 3",
        "SELECT example, step, number, chosen, active FROM visits ORDER BY 1, 2, 3",
        "SELECT example, slot, text FROM teacher_samples ORDER BY 1, 2",
    ):
        assert rows(one, sql) == rows(two, sql), sql
    assert (len(rows(two, "SELECT 1 FROM rationales WHERE source = 'self'")) > 0) == (method is QCRD)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.timeout(900)
def test_whoever_is_killed_the_run_goes_on_bit_for_bit(tmp_path: Path, student_with_dropout: Path) -> None:
    """The worker, then an order to stop, then the other process; with dropout, whose streams are of each rank."""
    calm = finished(made(tmp_path / "calm", spec(2, student_with_dropout)))
    disturbed = made(tmp_path / "disturbed", spec(2, student_with_dropout))

    seen: list[int] = []

    def reached(now: tuple[int, int, int, str]) -> bool:
        if now[2] < 3:
            return False
        (pid,) = rows(disturbed, "SELECT pid FROM sessions")[0]
        seen.extend(followers(pid))
        return True

    work_until(disturbed, reached, kill=True)
    assert len(seen) == 1
    until(lambda: launch.is_alive(seen[0], os.uname().nodename) is False)
    assert state(disturbed)[3] == "running"  # until its heart is missed

    assert meanwhile(disturbed, 5, lambda: order(disturbed, 1, "stop")) == 130
    assert state(disturbed)[3] == "interrupted"
    assert followers(os.getpid()) == []

    assert meanwhile(disturbed, 8, lambda: os.kill(followers(os.getpid())[0], signal.SIGKILL)) == 1
    assert rows(disturbed, "SELECT status, error FROM runs") == [
        (
            "failed",
            "process 2 of 2 was killed by signal SIGKILL: `qcrd resume 1` goes on from the last checkpoint; "
            "worker.log says more",
        )
    ]
    finished(disturbed)
    the_same(calm, disturbed, STEPS)


WAITS = """
import sys, time
from engine.parallel import follower
follower._work = lambda *_: print("ready", flush=True) or time.sleep(600)
sys.exit(follower.main(sys.argv[1:]))
"""


def test_a_process_ends_with_the_worker_that_started_it(tmp_path: Path) -> None:
    program = f"""
import os, signal, subprocess, sys
from engine.runs import launch
real = subprocess.Popen
subprocess.Popen = lambda args, **how: real([sys.executable, "-c", {WAITS!r}, *args[4:]], stdout=-1, **how)
process, line = launch.start_follower(launch.Path({str(tmp_path)!r}), 1, 1, 2, 9)
assert process.stdout.readline() == b"ready\\n"
for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT):
    process.send_signal(number)  # for the worker to obey
print(process.pid, flush=True)
sys.stdin.read()
"""
    worker = subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(launch.__file__).parents[2],
    )
    assert worker.stdout is not None
    pid = int(worker.stdout.readline())
    host = os.uname().nodename
    assert launch.is_alive(pid, host) is True
    worker.kill()
    worker.wait()
    until(lambda: launch.is_alive(pid, host) is False)


class Said:
    def __getattr__(self, verb: str) -> Any:
        return lambda *_: None


@pytest.mark.parametrize(
    ("end", "line"),
    [
        ("os.write(0, b'no memory is left'); sys.exit(1)", "ended with exit code 1 (no memory is left)"),
        ("os.kill(os.getpid(), 9)", "was killed by signal SIGKILL"),
    ],
)
def test_a_process_that_fails_is_named_with_its_last_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str, line: str
) -> None:
    def start(*_: Any) -> Any:
        ours, theirs = socket.socketpair()
        with theirs:
            return subprocess.Popen([sys.executable, "-c", f"import os, sys; {end}"], stdin=theirs.fileno()), ours

    def join(*_: Any) -> Any:
        time.sleep(0.5)
        raise RuntimeError("Connection closed by peer")

    monkeypatch.setattr(processes, "start_follower", start)
    monkeypatch.setattr(processes, "join", join)
    with pytest.raises(QcrdError, match=rf"^process 2 of 2 {re.escape(line)}: `qcrd resume 7` goes on"):  # noqa: SIM117
        with processes.together(spec(2), tmp_path, 7, Said()):  # type: ignore[arg-type]
            raise AssertionError


def test_a_run_can_go_on_with_another_number_of_processes(tmp_path: Path) -> None:
    database = made(tmp_path / "1", spec(1))
    set_processes(database, 1, 3)
    with closing(open_reader(database)) as connection:
        assert stored_spec(connection, 1) == spec(3)
    with pytest.raises(UsageError, match=r"run 1 cannot go on with 9 processes: .* must not exceed .*batch_size = 7"):
        set_processes(database, 1, 9)


def test_each_process_needs_a_question_and_on_cuda_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    table = {"compute": {"processes": 4}, "training": {"batch_size": 3}}
    with pytest.raises(ValidationError, match=r"processes = 4 must not exceed training.batch_size = 3"):
        RunSpec.model_validate(table)
    processes.check(spec(2))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(UsageError, match="there are 1 GPUs here"):
        processes.check(spec(2))
    processes.check(spec(1))


def meanwhile(database: Path, step: int, act: Callable[[], Any]) -> int:
    """Works on the run in this process; `act` is called once it is past a step. The worker's exit code."""

    def wait() -> None:
        until(lambda: state(database)[2] >= step and state(database)[3] == "running" and followers(os.getpid()))
        act()

    helper = threading.Thread(target=wait)
    helper.start()
    code = worker.work(database, 1)
    helper.join()
    return code


def until(true: Callable[[], Any]) -> None:
    give_up = time.monotonic() + 120
    while not true():
        assert time.monotonic() < give_up
        time.sleep(0.005)


def followers(pid: int) -> list[int]:
    """The processes that a worker has started for its run."""
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, task.read_text().split()):
            if b"engine.parallel.follower" in Path(f"/proc/{child}/cmdline").read_bytes():
                found.append(child)
    return found
