"""A run is made once, worked on by one process at a time, and does as it is told."""

import os
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from engine.errors import Interrupted, QcrdError, UsageError
from engine.runs.orders import Orders
from engine.spec.run import RunSpec
from engine.store.connect import open_reader, open_writer
from engine.store.recorder import Recorder
from engine.store.runs.run import claim, create_run, folder_of, order, set_status, stored_spec
from engine.store.writer import Writer


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "x.db"


@pytest.fixture
def run(path: Path) -> int:
    return create_run(path, RunSpec(name="toy", seed=3))


def column(path: Path, name: str) -> object:
    conn = open_reader(path)
    try:
        return conn.execute(f"SELECT {name} FROM runs ORDER BY id DESC LIMIT 1").fetchone()[0]
    finally:
        conn.close()


def test_a_run_is_queued_with_its_spec_and_a_folder(path: Path, run: int) -> None:
    assert run == 1
    conn = open_reader(path)
    row = conn.execute("SELECT * FROM runs").fetchone()
    assert (row["status"], row["folder"], row["method"], row["seed"]) == ("queued", "runs/1", "qcrd", 3)
    assert folder_of(path, row).is_dir()
    assert stored_spec(conn, run) == RunSpec(name="toy", seed=3)
    with pytest.raises(UsageError, match="no run 7"):
        stored_spec(conn, 7)
    conn.close()


def test_a_spec_of_another_version_is_one_clear_line(path: Path, run: int) -> None:
    conn = open_writer(path)
    conn.execute("""UPDATE runs SET spec = '{"name": "toy", "later": 1}'""")
    with pytest.raises(UsageError, match="another version"):
        stored_spec(conn, run)
    conn.close()


def test_a_folder_left_behind_is_not_taken(path: Path) -> None:
    (path.parent / "runs" / "1").mkdir(parents=True)
    (path.parent / "runs" / "1" / "weights").touch()
    create_run(path, RunSpec())
    folder = str(column(path, "folder"))
    assert folder.startswith("runs/1-")
    assert (path.parent / folder).is_dir()


def test_a_file_in_the_way_of_the_folders(path: Path) -> None:
    (path.parent / "runs").touch()
    with pytest.raises(QcrdError, match="in the way"):
        create_run(path, RunSpec())
    assert column_count(path) == 0


def column_count(path: Path) -> int:
    conn = open_reader(path)
    try:
        return int(conn.execute("SELECT count(*) FROM runs").fetchone()[0])
    finally:
        conn.close()


def test_one_of_many_gets_a_run(path: Path, run: int) -> None:
    def attempt(_: int) -> bool:
        try:
            claim(path, run)
        except UsageError as error:
            refusals.append(str(error))
            return False
        return True

    refusals: list[str] = []
    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(attempt, range(8))) == 1
    assert [r for r in refusals if "is being worked on by process" not in r] == []
    assert column(path, "status") == "running"


def test_a_run_can_be_taken_when_its_worker_is_dead_or_silent(path: Path, run: int) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    claim(path, run, pid=dead.pid)
    claim(path, run, pid=1, host="elsewhere")  # its heartbeat is fresh, but on this machine it is seen to be dead
    with pytest.raises(UsageError, match="process 1 on elsewhere"):
        claim(path, run)
    conn = open_writer(path)
    conn.execute("UPDATE runs SET heartbeat_at = heartbeat_at - 60")
    conn.close()
    claim(path, run)
    for status in ("interrupted", "failed", "queued"):
        set_status(path, run, status)
        claim(path, run)
    set_status(path, run, "done")
    with pytest.raises(UsageError, match="is done"):
        claim(path, run)
    with pytest.raises(UsageError, match="no run 9"):
        claim(path, 9)


def test_the_session_that_claim_began_is_gone_on_with(path: Path, run: int) -> None:
    session = claim(path, run)
    with Writer(path) as writer:
        recorder = Recorder(writer, run)
        assert recorder.start_session(os.getpid(), socket.gethostname(), 40) == session
        recorder.end_session(session, "interrupted")
        assert recorder.start_session(os.getpid(), socket.gethostname(), 50) > session


def test_orders_are_given_to_a_live_worker_only(path: Path, run: int) -> None:
    order(path, run, "stop")  # a queued run: its worker is about to come
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    claim(path, run, pid=dead.pid)
    with pytest.raises(UsageError, match=r"worker of run 1 is gone.*qcrd resume 1"):
        order(path, run, "pause")
    set_status(path, run, "interrupted")
    with pytest.raises(UsageError, match="is interrupted: there is nothing to stop"):
        order(path, run, "stop")
    order(path, run, "resume")
    with pytest.raises(UsageError, match="no run 5"):
        order(path, 5, "stop")


class Worker:
    """The part of a worker that listens."""

    def __init__(self, path: Path, run: int) -> None:
        self.session = claim(path, run)
        self.writer = Writer(path)
        self.recorder = Recorder(self.writer, run)
        self.orders = Orders(path, run, self.recorder, self.session)

    def poll(self) -> None:
        """Poll until a look has been taken."""
        for _ in range(3):
            self.orders.poll()
            time.sleep(0.15)

    def close(self) -> None:
        self.orders.close()
        self.writer.close()


def test_stop_and_checkpoint(path: Path, run: int) -> None:
    worker = Worker(path, run)
    worker.poll()
    worker.orders.raise_if_stopped()
    order(path, run, "checkpoint")
    worker.poll()
    assert (worker.orders.checkpoint, worker.orders.stop) == (True, False)
    worker.orders.checkpoint = False
    worker.poll()
    assert not worker.orders.checkpoint, "an order is taken once"
    order(path, run, "stop")
    worker.poll()
    assert worker.orders.stop
    with pytest.raises(Interrupted, match="qcrd resume 1"):
        worker.orders.raise_if_stopped()
    worker.close()
    conn = open_reader(path)
    assert conn.execute("SELECT count(*) FROM orders WHERE taken_at IS NULL").fetchone()[0] == 0
    conn.close()


def test_a_signal_stops_at_once(path: Path, run: int) -> None:
    worker = Worker(path, run)
    worker.orders.request_stop()
    with pytest.raises(Interrupted):
        worker.orders.raise_if_stopped()
    worker.close()


def test_resume_takes_back_what_a_dead_worker_never_read(path: Path, run: int) -> None:
    order(path, run, "stop")
    order(path, run, "pause")
    order(path, run, "resume")
    worker = Worker(path, run)
    worker.poll()
    assert not worker.orders.stop
    worker.close()
    set_status(path, run, "interrupted")
    order(path, run, "resume")
    conn = open_writer(path)
    conn.execute("INSERT INTO orders (run_id, name, created_at) VALUES (?, 'stop', 0)", (run,))
    conn.close()
    worker = Worker(path, run)
    worker.poll()
    assert worker.orders.stop, "asked after resume: meant"
    worker.close()


@pytest.mark.parametrize("end", ["resume", "stop"])
def test_a_paused_run_waits(path: Path, run: int, end: str) -> None:
    worker = Worker(path, run)
    order(path, run, "pause")
    thread = threading.Thread(target=worker.orders.poll)
    thread.start()
    wait_for(path, "paused")
    order(path, run, "checkpoint")
    thread.join(timeout=30)  # the worker is let out to save it
    assert worker.orders.checkpoint
    worker.orders.checkpoint = False
    thread = threading.Thread(target=worker.orders.poll)
    thread.start()
    order(path, run, end)  # type: ignore[arg-type]
    thread.join(timeout=30)
    assert not thread.is_alive()
    assert worker.orders.stop == (end == "stop")
    worker.recorder.flush()
    assert column(path, "status") == "running"
    worker.close()


def test_a_worker_whose_run_was_taken_over_ends(path: Path, run: int) -> None:
    worker = Worker(path, run)
    conn = open_writer(path)
    conn.execute("UPDATE runs SET heartbeat_at = 0")
    conn.close()
    claim(path, run)
    worker.poll()
    with pytest.raises(QcrdError, match="taken over"):
        worker.orders.raise_if_stopped()
    worker.close()


GIVER = """
import sys
from pathlib import Path
from engine.store.runs.run import order
for _ in range(25):
    order(Path(sys.argv[1]), int(sys.argv[2]), "checkpoint")
"""


def test_four_processes_give_orders_beside_a_busy_writer(path: Path, run: int) -> None:
    worker = Worker(path, run)
    givers = [
        subprocess.Popen([sys.executable, "-c", GIVER, str(path), str(run)], stderr=subprocess.PIPE) for _ in range(4)
    ]
    step = 0
    while any(giver.poll() is None for giver in givers):
        for _ in range(20):
            worker.recorder.points(step, {"loss": 1.0, "accuracy": 0.5})
            step += 1
        worker.orders.poll()
        worker.recorder.flush()
    assert [(g.communicate()[1], g.returncode) for g in givers] == [(b"", 0)] * 4
    worker.poll()
    worker.close()
    conn = open_reader(path)
    assert conn.execute("SELECT count(*), count(taken_at) FROM orders").fetchone()[:] == (100, 100)
    assert conn.execute("SELECT count(*) FROM metric_points").fetchone()[0] == 2 * step
    conn.close()


def wait_for(path: Path, status: str) -> None:
    for _ in range(500):
        if column(path, "status") == status:
            return
        time.sleep(0.02)
    raise AssertionError(f"never {status}")
