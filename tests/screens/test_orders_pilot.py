"""Orders to a run, by the keys of the live screen."""

import sqlite3
from pathlib import Path

import pytest

from screens.confirm import ConfirmScreen
from screens.doing import orders
from screens.live import LiveScreen
from screens.reading.reader import Reader, Said
from tests.pilot import console, press, settle, shown, until


def given_orders(database: Path) -> list[tuple[int, str]]:
    con = sqlite3.connect(database)
    try:
        return con.execute("SELECT run_id, name FROM orders ORDER BY id").fetchall()
    finally:
        con.close()


async def test_pause_checkpoint_and_stop_are_orders(database: Path) -> None:
    app = console(database, 8)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await settle(pilot)
        await press(pilot, "p")
        await until(pilot, lambda: given_orders(database) == [(8, "pause")])
        await until(pilot, lambda: "asked to pause" in shown(pilot))
        await press(pilot, "c")
        await until(pilot, lambda: given_orders(database)[1:] == [(8, "checkpoint")])
        await pilot.press("x")
        assert isinstance(app.screen, ConfirmScreen)
        await pilot.press("n")
        await settle(pilot)
        assert len(given_orders(database)) == 2
        await pilot.press("x")
        await pilot.press("y")
        await until(pilot, lambda: given_orders(database)[2:] == [(8, "stop")])


async def test_p_and_r_let_a_paused_run_go_on(database: Path) -> None:
    con = sqlite3.connect(database)
    con.execute("UPDATE runs SET status = 'paused' WHERE id = 8")
    con.commit()
    con.close()
    app = console(database, 8)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await settle(pilot)
        assert "‖ paused" in shown(pilot)
        await press(pilot, "p")
        await until(pilot, lambda: given_orders(database) == [(8, "resume")])
        await press(pilot, "r")
        await until(pilot, lambda: given_orders(database) == [(8, "resume")] * 2)


async def test_a_run_that_is_over_takes_no_orders(database: Path) -> None:
    app = console(database, 4)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await settle(pilot)
        await press(pilot, "p", "c", "x", "r")
        assert isinstance(app.screen, LiveScreen)
        assert given_orders(database) == []
        assert "the run is done" in shown(pilot)


@pytest.mark.parametrize("run_id", [5, 6, 7, 9])
async def test_r_starts_a_worker(database: Path, monkeypatch: pytest.MonkeyPatch, run_id: int) -> None:
    started = []

    def start(path: Path, run: int) -> None:
        started.append((path, run))

    monkeypatch.setattr(orders.launch, "start_worker", start)
    app = console(database, run_id)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await settle(pilot)
        await press(pilot, "r")
        await until(pilot, lambda: started == [(database, run_id)])
        await until(pilot, lambda: "started a worker" in shown(pilot))


async def test_a_worker_that_cannot_start_says_why(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def start(path: Path, run: int) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(orders.launch, "start_worker", start)
    app = console(database, 7)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await settle(pilot)
        await press(pilot, "r")
        await until(pilot, lambda: "Read-only file system" in shown(pilot))


def test_orders_go_through_the_store(database: Path) -> None:
    reader = Reader(database, lambda _: None)
    assert orders.order(reader, 8, "pause") == Said("asked run 8 to pause")
    assert given_orders(database) == [(8, "pause")]
