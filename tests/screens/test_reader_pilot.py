"""The reader: no database, a strange one, one that goes away; nothing painted when nothing changed; the clock."""

import shutil
import sqlite3
import threading
import time
from pathlib import Path

import pytest

from engine.runs import launch
from engine.store.schema.tables import APPLICATION_ID, SCHEMA_VERSION, TABLES
from engine.store.schema.views import STALE_AFTER, VIEWS
from screens.live import LiveScreen, LiveWatch
from screens.rationales import RationalesWatch
from screens.reading.reader import Answer, Reader, Said, Snapshot
from tests.pilot import console, press, settle, shown, until
from tests.seeded import NOW


def change(database: Path, sql: str) -> None:
    con = sqlite3.connect(database)
    con.executescript(sql)
    con.close()


async def test_no_database_says_what_to_do_and_one_that_appears_is_shown(seeded: Path, tmp_path: Path) -> None:
    database = tmp_path / "experiments.db"
    app = console(database)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        assert "no database at" in shown(pilot)
        assert "✗" not in shown(pilot)  # nothing is wrong
        assert "No run yet" in shown(pilot)
        shutil.copy(seeded, tmp_path / "made.db")
        (tmp_path / "made.db").rename(database)
        await until(pilot, lambda: "arithmetic-qcrd-b" in shown(pilot))
        assert "no database at" not in shown(pilot)


async def test_an_empty_database_says_how_to_begin(tmp_path: Path) -> None:
    database = tmp_path / "experiments.db"
    change(database, f"{TABLES}{VIEWS}PRAGMA user_version={SCHEMA_VERSION}; PRAGMA application_id={APPLICATION_ID};")
    app = console(database)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await settle(pilot)
        assert "qcrd init" in shown(pilot)
        await press(pilot, "2")
        await until(pilot, lambda: "no run to show yet" in shown(pilot))


async def test_the_first_run_is_begun_from_an_empty_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[tuple[Path, int]] = []
    monkeypatch.setattr(launch, "start_worker", lambda database, run_id: started.append((database, run_id)))
    database = tmp_path / "experiments.db"
    app = console(database)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        assert "starts the built-in experiment" in shown(pilot)
        await pilot.press("enter", "enter")
        await until(pilot, lambda: "arithmetic-qcrd" in shown(pilot) and isinstance(app.screen, LiveScreen))
        assert started == [(database, 1)]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: path.write_text("not a database, but long enough to have a header" * 20), "not a database"),
        (lambda path: path.write_text(""), "is empty"),
        (lambda path: path.mkdir(), "is a folder"),
        (lambda path: change(path, "CREATE TABLE x (y); PRAGMA user_version = 3"), "another program"),
        (
            lambda path: change(
                path, f"CREATE TABLE x (y); PRAGMA application_id={APPLICATION_ID}; PRAGMA user_version=99"
            ),
            "newer qcrd",
        ),
    ],
    ids=["text", "empty", "folder", "other", "newer"],
)
async def test_a_strange_file_is_named_not_traced(tmp_path: Path, make: object, words: str) -> None:
    database = tmp_path / "experiments.db"
    make(database)  # type: ignore[operator]
    app = console(database)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        assert words in " ".join(shown(pilot).split())


async def test_a_database_deleted_under_us_keeps_what_was_read(database: Path) -> None:
    app = console(database, 4)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        database.unlink()
        await until(pilot, lambda: "is gone" in shown(pilot))
        assert "arithmetic-qcrd" in shown(pilot)
        for place in ("3", "1"):
            await press(pilot, place)
            assert "is gone" in shown(pilot)
            assert "no rationales" not in shown(pilot)


async def test_a_run_that_is_not_there(database: Path) -> None:
    app = console(database, 77)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        assert "there is no run 77" in shown(pilot)


async def test_a_new_run_is_announced_and_moves_no_cursor(database: Path) -> None:
    app = console(database)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await settle(pilot)
        await press(pilot, "j")
        change(
            database,
            "INSERT INTO runs (name,status,method,dataset,teacher,student,seed,spec,folder,created_at,steps,iterations)"
            f" VALUES ('brand-new','queued','dss','a','t','s',0,'{{}}','runs/10',{NOW},100,10)",
        )
        await until(pilot, lambda: "New: brand-new" in shown(pilot))
        rows = [line for line in shown(pilot).splitlines() if "arithmetic" in line or "brand-new" in line]
        assert "brand-new" in rows[0]
        assert "run 8" in shown(pilot)


async def test_a_run_goes_stale_by_the_clock_alone(database: Path) -> None:
    now = [NOW]
    app = console(database, 8, clock=lambda: now[0])
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        assert "● running" in shown(pilot)
        now[0] = NOW + STALE_AFTER + 1
        await until(pilot, lambda: "no sign of life since" in shown(pilot))
        assert "? stale" in shown(pilot)


class Watched:
    """A reader whose posts are kept."""

    def __init__(self, database: Path) -> None:
        self.got: list[Snapshot | Said | Answer] = []
        self.reader = Reader(database, self.got.append, lambda: NOW)

    def wait(self, count: int) -> None:
        give_up = time.monotonic() + 20
        while len(self.got) < count:
            assert time.monotonic() < give_up, self.got
            time.sleep(0.01)


def test_nothing_is_posted_when_nothing_changed(database: Path) -> None:
    watched = Watched(database)
    watched.reader.watch(LiveWatch(8))
    watched.reader.start()
    try:
        watched.wait(1)
        time.sleep(0.8)  # three looks
        assert len(watched.got) == 1
        change(database, "UPDATE runs SET step = 1313 WHERE id = 8")
        watched.wait(2)
        before, after = watched.got
        assert isinstance(before, Snapshot)
        assert isinstance(after, Snapshot)
        assert before.content is not None
        assert after.content is not None
        assert after.content.run.step == 1313
        assert after.content.curves == before.content.curves
    finally:
        watched.reader.stop()


def test_no_transaction_is_left_open(database: Path) -> None:
    watched = Watched(database)
    watched.reader.watch(RationalesWatch(8, None, None))
    watched.reader.start()
    try:
        watched.wait(1)
        time.sleep(0.1)
        con = sqlite3.connect(database, timeout=0.1)
        con.execute("UPDATE runs SET step = 1 WHERE id = 8")
        con.commit()
        busy, pages, moved = con.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        con.close()
        assert (busy, pages, moved) == (0, 0, 0)
    finally:
        watched.reader.stop()


def test_the_thread_ends_in_the_middle_of_a_long_query(database: Path) -> None:
    watched = Watched(database)
    begun = threading.Event()

    def forever(reader: Reader) -> Said:
        endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"

        def read(con: sqlite3.Connection, kept: dict[str, object]) -> None:
            begun.set()
            con.execute(endless).fetchone()

        reader.read(read)
        return Said("never")

    watched.reader.start()
    watched.wait(1)
    watched.reader.do(forever)
    assert begun.wait(10)
    time.sleep(0.1)
    watched.reader.stop()
    assert not watched.reader.alive


def test_a_locked_database_is_said_and_read_again_later(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("screens.reading.reader.BUSY_MS", 50)
    change(database, "PRAGMA journal_mode = DELETE")
    holder = sqlite3.connect(database, isolation_level=None)
    watched = Watched(database)
    watched.reader.start()
    try:
        watched.wait(1)
        holder.execute("BEGIN EXCLUSIVE")
        watched.reader.watch(LiveWatch(8))
        watched.wait(2)
        assert isinstance(watched.got[1], Snapshot)
        assert "locked" in (watched.got[1].problem or "")
        holder.execute("ROLLBACK")
        watched.wait(3)
        assert isinstance(watched.got[2], Snapshot)
        assert watched.got[2].problem is None
        assert watched.got[2].content is not None
    finally:
        holder.close()
        watched.reader.stop()
