"""The writer: nothing acknowledged is lost, no failure is silent."""

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from engine.errors import QcrdError
from engine.store import writer as writer_module
from engine.store.connect import open_reader, open_writer
from engine.store.writer import Writer

ADD = "INSERT INTO datasets (hash, name) VALUES (?, ?)"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "x.db"


def names(path: Path) -> list[str]:
    conn = open_reader(path)
    try:
        return [row["name"] for row in conn.execute("SELECT name FROM datasets ORDER BY id")]
    finally:
        conn.close()


def add(db: sqlite3.Connection, names: Sequence[str]) -> list[int]:
    """The rows there are after each."""
    found = []
    for name in names:
        db.execute(ADD, (name, name))
        found.append(db.execute("SELECT count(*) FROM datasets").fetchone()[0])
    return found


def test_rows_are_written_in_order_and_flush_waits_for_them(path: Path) -> None:
    with Writer(path) as writer:
        writer.execute(ADD, ("1", "one"))
        writer.many(ADD, [("2", "two"), ("3", "three")])
        writer.many(ADD, [])
        writer.flush()
        assert names(path) == ["one", "two", "three"]
        writer.execute(ADD, ("4", "four"))
    assert names(path) == ["one", "two", "three", "four"]


def test_calls_among_many_share_a_commit_and_one_that_is_not_hurries_them(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_module, "COMPANY", 600.0)
    done: list[str] = []
    with Writer(path) as writer:
        writer._conn.set_trace_callback(done.append)
        waiting = [writer.together(add, str(i)) for i in range(5)]
        assert done == []
        assert writer.call(lambda db: 7).result() == 7
        assert all(future.done() for future in waiting)
        assert done.count("COMMIT") == 1
        last = writer.together(add, "5")
    assert last.done()
    assert names(path) == list("012345")


def test_calls_wait_longer_for_company_while_the_writer_wakes_late_and_not_otherwise(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_module, "MOST_COMPANY", 600.0)
    with Writer(path) as writer:
        monkeypatch.setattr(writer_module, "LATE", 600.0)
        assert writer.together(add, "0").result(timeout=60) is not None
        monkeypatch.setattr(writer_module, "LATE", -1.0)
        waiting = [writer.together(add, str(i)) for i in (1, 2)]
        time.sleep(0.05)
        waiting.append(writer.together(add, "3"))
        assert not any(future.done() for future in waiting)
        assert writer.call(lambda db: 7).result() == 7
        assert all(future.done() for future in waiting)
        monkeypatch.setattr(writer_module, "MOST_COMPANY", 0.03)
        assert writer.together(add, "4").result(timeout=60) is not None
    assert names(path) == list("01234")


def test_one_that_fails_among_others_done_together_fails_alone(path: Path) -> None:
    with Writer(path) as writer:
        writer.execute(ADD, ("0", "0"))
        waiting = [writer.together(add, name) for name in ("1", "0", "2")]
        assert waiting[0].result() == 2
        with pytest.raises(sqlite3.IntegrityError):
            waiting[1].result()
        assert waiting[2].result() == 3
    assert names(path) == ["0", "1", "2"]


def test_rows_are_committed_without_a_flush(path: Path) -> None:
    with Writer(path) as writer:
        writer.execute(ADD, ("1", "one"))
        for _ in range(200):
            if names(path):
                break
            threading.Event().wait(0.02)
        assert names(path) == ["one"]


def test_a_call_gives_its_result_when_it_is_committed(path: Path) -> None:
    with Writer(path) as writer:
        writer.execute(ADD, ("1", "one"))
        number = writer.call(lambda conn: conn.execute(ADD, ("2", "two")).lastrowid).result(timeout=30)
        assert number == 2
        assert names(path) == ["one", "two"]


def test_what_a_call_raises_is_its_own_and_is_taken_back(path: Path) -> None:
    def half(conn: sqlite3.Connection) -> None:
        conn.execute(ADD, ("2", "half"))
        raise ZeroDivisionError

    with Writer(path) as writer:
        writer.execute(ADD, ("1", "one"))
        future = writer.call(half)
        with pytest.raises(ZeroDivisionError):
            future.result(timeout=30)
        writer.flush()
    assert names(path) == ["one"]


def test_a_cancelled_call_is_written_all_the_same(path: Path) -> None:
    with Writer(path) as writer:
        gate = threading.Event()
        writer.call(lambda conn: gate.wait(30))
        future = writer.call(lambda conn: conn.execute(ADD, ("1", "paid for")))
        future.cancel()
        gate.set()
        writer.flush()
        assert names(path) == ["paid for"]


def test_a_failing_statement_is_told_and_takes_nothing_with_it(path: Path) -> None:
    writer = Writer(path)
    writer.execute(ADD, ("1", "one"))
    writer.many(ADD, [("2", "two"), ("1", "again")])
    writer.execute(ADD, ("3", "three"))
    with pytest.raises(QcrdError, match="UNIQUE constraint failed"):
        writer.flush()
    with pytest.raises(QcrdError, match="UNIQUE constraint failed"):
        writer.execute(ADD, ("4", "four"))
    with pytest.raises(QcrdError, match="UNIQUE constraint failed"):
        writer.close()
    assert names(path) == ["one", "three"]


def test_a_value_that_sqlite_does_not_know_is_told(path: Path) -> None:
    writer = Writer(path)
    writer.execute(ADD, (object(), "x"))
    with pytest.raises(QcrdError, match=r"cannot write|database error"):
        writer.flush()
    with pytest.raises(QcrdError):
        writer.close()


def test_a_full_disk_is_told_to_everybody_and_what_was_committed_stays(path: Path) -> None:
    writer = Writer(path)
    writer.execute(ADD, ("1", "one"))
    writer.flush()

    def fill(conn: sqlite3.Connection) -> None:
        conn.execute(f"PRAGMA max_page_count = {conn.execute('PRAGMA page_count').fetchone()[0]}")

    writer.call(fill).result(timeout=30)
    future = writer.call(lambda conn: conn.execute(ADD, ("2", "x" * 1_000_000)))
    with pytest.raises(QcrdError, match=r"disk full while writing .*free some space, then `qcrd resume`"):
        future.result(timeout=30)
    for attempt in (lambda: writer.execute(ADD, ("3", "y")), writer.flush, writer.close):
        with pytest.raises(QcrdError, match="disk full"):
            attempt()
    assert names(path) == ["one"]
    with Writer(path) as again:  # room was made
        again.execute(ADD, ("4", "four"))
    assert names(path) == ["one", "four"]


def test_a_deleted_database_is_noticed(path: Path) -> None:
    writer = Writer(path)
    writer.flush()
    path.unlink()
    writer.execute(ADD, ("1", "one"))
    with pytest.raises(QcrdError, match="deleted or replaced"):
        writer.flush()
    with pytest.raises(QcrdError, match="deleted"):
        writer.close()


def test_a_lock_that_is_never_given_back(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.store.connect.BUSY_SECONDS", 0.02)
    monkeypatch.setattr(writer_module, "LOCK_SECONDS", 0.1)
    writer = Writer(path)
    holder = open_writer(path)
    holder.execute("BEGIN IMMEDIATE")
    writer.execute(ADD, ("1", "one"))
    with pytest.raises(QcrdError, match="locked by another program"):
        writer.flush()
    holder.close()
    with pytest.raises(QcrdError, match="locked"):
        writer.close()


def test_a_lock_that_is_given_back_costs_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.store.connect.BUSY_SECONDS", 0.02)
    with Writer(path) as writer:
        holder = open_writer(path)
        holder.execute("BEGIN IMMEDIATE")
        future = writer.call(lambda conn: conn.execute(ADD, ("1", "one")))
        threading.Event().wait(0.1)
        assert not future.done()
        holder.execute("COMMIT")
        holder.close()
        future.result(timeout=30)
    assert names(path) == ["one"]


def test_whoever_is_faster_than_the_disk_waits(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer_module, "QUEUE_ROWS", 10)
    writer = Writer(path)
    gate = threading.Event()
    writer.call(lambda conn: gate.wait(30))
    threading.Event().wait(0.05)  # the writer is now inside that call
    done = threading.Event()

    def put() -> None:
        for i in range(30):
            writer.execute(ADD, (str(i), str(i)))
        done.set()

    thread = threading.Thread(target=put)
    thread.start()
    assert not done.wait(0.2)
    gate.set()
    assert done.wait(30)
    thread.join()
    writer.close()
    assert len(names(path)) == 30


def test_many_threads(path: Path) -> None:
    with Writer(path) as writer, ThreadPoolExecutor(8) as pool:

        def work(i: int) -> int:
            writer.execute(ADD, (f"a{i}", "a"))
            return writer.call(lambda conn: int(conn.execute(ADD, (f"b{i}", "b")).lastrowid or 0)).result(timeout=30)

        found = list(pool.map(work, range(100)))
    assert len(set(found)) == 100
    assert len(names(path)) == 200


def test_after_closing_nothing_is_taken(path: Path) -> None:
    writer = Writer(path)
    writer.close()
    writer.close()
    with pytest.raises(QcrdError, match="closed"):
        writer.execute(ADD, ("1", "one"))


VICTIM = """
import sys
from pathlib import Path
from engine.store.writer import Writer
writer = Writer(Path(sys.argv[1]))
at = int(sys.argv[2])
while True:
    writer.many("INSERT INTO datasets (hash, name) VALUES (?, ?)", [(f"{at}-{i}", "x") for i in range(50)])
    writer.call(lambda conn: None).result()
    print(at, flush=True)
    at += 1
"""


def test_kill_9_loses_nothing_that_was_acknowledged(path: Path) -> None:
    at = 0
    for round_ in range(5):
        victim = subprocess.Popen([sys.executable, "-c", VICTIM, str(path), str(at)], stdout=subprocess.PIPE, text=True)
        assert victim.stdout is not None
        for _ in range(3 + 7 * round_):
            victim.stdout.readline()
        os.kill(victim.pid, signal.SIGKILL)
        rest = victim.stdout.read().split()
        victim.wait()
        conn = open_reader(path)
        assert conn.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
        last = conn.execute("SELECT hash FROM datasets ORDER BY id DESC LIMIT 1").fetchone()["hash"]
        stored = int(last.split("-")[0])
        assert conn.execute("SELECT count(*) FROM datasets").fetchone()[0] == (stored + 1) * 50, "whole batches"
        conn.close()
        acknowledged = int(rest[-1]) if rest else at + 2 + 7 * round_
        assert stored >= acknowledged
        at = stored + 1
