"""The list of runs: filter, tree, sort, columns, choosing, marks, orders; each key of it, pressed."""

import json
import sqlite3
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from app.console import Console
from app.settings import save_kept
from engine.store.runs.listing import RunList, RunListReader
from screens.compare import CompareScreen
from screens.confirm import ConfirmScreen
from screens.doing import orders
from screens.reading.reader import Snapshot
from screens.remembered.kept import Kept, RunsKept
from screens.runs import RunsScreen
from screens.widgets.run_rows import RunRows
from tests.pilot import console, press, settle, shown, until
from tests.screens.test_hostile_pilot import HOSTILE
from tests.seeded import NOW

ALL = [9, 8, 7, 6, 5, 4, 3, 2, 1]


def screen(pilot: Pilot[None]) -> RunsScreen:
    found = pilot.app.screen
    assert isinstance(found, RunsScreen)
    return found


def listed(pilot: Pilot[None]) -> list[object]:
    """Ids in their order; a group as its last value."""
    return [row if isinstance(row, int) else row.path[-1] for row in screen(pilot).query_one(RunRows).rows]


async def fill(pilot: Pilot[None], key: str, text: str) -> None:
    """Open a prompt, write into it, and be done."""
    await pilot.press(key)
    field = pilot.app.screen.query_one("Prompt Field")
    field.value = text  # type: ignore[attr-defined]
    await pilot.press("enter")
    await settle(pilot)


def ask(database: Path, sql: str) -> list[tuple[object, ...]]:
    con = sqlite3.connect(database)
    try:
        return con.execute(sql).fetchall()
    finally:
        con.close()


async def test_filter_sort_columns_and_what_is_wrong(database: Path) -> None:
    app = console(database)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await settle(pilot)
        assert listed(pilot) == ALL
        await fill(pilot, "slash", "method=qcrd acc>0.5")
        assert listed(pilot) == [8, 6, 4]
        assert "Runs · 3 of 9 · / method=qcrd acc>0.5" in shown(pilot)
        await fill(pilot, "slash", "metod=qcrd")
        assert listed(pilot) == [8, 6, 4]
        assert "did you mean method?" in shown(pilot)
        await fill(pilot, "slash", "acc>0.99")
        assert "None of 9 runs" in shown(pilot)
        await fill(pilot, "slash", "")
        await fill(pilot, "S", "explain")
        assert listed(pilot) == [6, 4, 3, 8, 2, 7, 9, 5, 1]  # unknown ones last
        assert "▼explain" in shown(pilot)
        await fill(pilot, "S", "acc")  # the same by its other name: the other way round
        assert listed(pilot)[:2] == [7, 2]
        assert listed(pilot)[-3:] == [9, 5, 1]
        await fill(pilot, "S", "nam")
        assert "did you mean name?" in shown(pilot)
        await fill(pilot, "C", "name method.loss.delta tag seed")
        assert "delta" in shown(pilot).splitlines()[1]
        assert "method " not in shown(pilot).splitlines()[1]
        await fill(pilot, "S", "")
        assert listed(pilot) == ALL
        await pilot.press("slash", "escape")
        await settle(pilot)
        assert not screen(pilot).query_one("Prompt").has_class("-shown")


async def test_another_tree_is_unfolded(database: Path) -> None:
    app = console(database)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await settle(pilot)
        await fill(pilot, "b", "dataset")
        await press(pilot, "h")
        assert listed(pilot)[:2] == ["arithmetic", "svamp"]
        await fill(pilot, "b", "dataset method")
        assert listed(pilot)[:3] == ["arithmetic", "qcrd", 9]


async def test_a_tree_that_folds(database: Path) -> None:
    app = console(database)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await settle(pilot)
        await fill(pilot, "b", "dataset method")
        assert listed(pilot)[:4] == ["arithmetic", "qcrd", 9, 8]
        assert "▾ arithmetic (7)" in shown(pilot)
        rows = screen(pilot).query_one(RunRows)
        await press(pilot, "g", "j", "h")
        assert listed(pilot)[:3] == ["arithmetic", "qcrd", "positives"]
        await press(pilot, "h", "h")
        assert listed(pilot)[:3] == ["arithmetic", "svamp", "qcrd"]
        assert (rows.cursor_row, "▸ arithmetic (7)" in shown(pilot)) == (0, True)
        await press(pilot, "l", "right", "enter", "enter")
        assert listed(pilot)[:3] == ["arithmetic", "qcrd", "positives"]
        await press(pilot, "j", "l", "j", "j", "left")
        assert rows.cursor_row == 1
        await press(pilot, "space")  # a group's runs
        assert screen(pilot).chosen == {9, 8, 7, 4}
        await fill(pilot, "b", "")
        assert listed(pilot) == ALL


async def test_choosing_marks_and_their_command_lines(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QCRD_DB", str(database))
    app = console(database)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await settle(pilot)
        await press(pilot, "y")
        assert app.clipboard == "qcrd runs"
        await press(pilot, "j", "space", "space")
        assert screen(pilot).chosen == {8, 7}
        assert "◆ 2 chosen" in shown(pilot)
        await press(pilot, "asterisk")
        await until(pilot, lambda: "starred runs 8, 7" in shown(pilot))
        await until(pilot, lambda: shown(pilot).count("◆★") == 2)
        await press(pilot, "y")
        assert app.clipboard == "qcrd star 8 7"
        await press(pilot, "asterisk")
        await until(pilot, lambda: shown(pilot).count("★") == 0)
        await fill(pilot, "t", "paper #fig2")
        await until(pilot, lambda: ask(database, "SELECT count(*) FROM run_tags") == [(4,)])
        await fill(pilot, "number_sign", "-paper two")
        await until(pilot, lambda: ask(database, "SELECT DISTINCT tag FROM run_tags") == [("fig2",), ("two",)])
        await press(pilot, "y")
        assert app.clipboard == "qcrd tag 8 7 --add two --remove paper"
        await press(pilot, "escape")
        assert screen(pilot).chosen == frozenset()
        await fill(pilot, "N", "it's good")
        await until(pilot, lambda: "it's good" in shown(pilot))
        await press(pilot, "y")
        assert app.clipboard == "qcrd note 6 'it'\"'\"'s good'"
        await press(pilot, "d")
        await until(pilot, lambda: listed(pilot) == [9, 8, 7, 5, 4, 3, 2, 1])
        assert "1 archived" in shown(pilot)
        assert screen(pilot).selected == 5  # the next one, at the same height
        await press(pilot, "A")
        assert listed(pilot) == ALL
        await fill(pilot, "slash", "archived")
        assert listed(pilot) == [6]
        await press(pilot, "y")
        assert app.clipboard == "qcrd runs --where archived --archived"
        await press(pilot, "d")
        await until(pilot, lambda: listed(pilot) == [])


async def test_compare_stop_and_resume(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[int] = []
    monkeypatch.setattr(orders.launch, "start_worker", lambda path, run_id: started.append(run_id))
    app = console(database)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await settle(pilot)
        await press(pilot, "c")
        assert "choose two to eight runs" in shown(pilot)
        await press(pilot, "space", "space")
        await pilot.press("x")
        assert isinstance(app.screen, ConfirmScreen)
        await pilot.press("n")
        assert ask(database, "SELECT * FROM orders") == []
        await pilot.press("x", "y")
        wanted = [(9, "stop"), (8, "stop")]
        await until(pilot, lambda: ask(database, "SELECT run_id, name FROM orders ORDER BY run_id DESC") == wanted)
        await press(pilot, "escape", "space", "space", "r")
        assert isinstance(app.screen, ConfirmScreen)
        await pilot.press("y")
        await until(pilot, lambda: bool(started))
        await settle(pilot)
        await press(pilot, "escape", "G", "x", "r")
        assert "nothing to stop" in shown(pilot)
        assert "nothing to resume" in shown(pilot)
        await press(pilot, "space", "k", "space", "c")
        assert isinstance(app.screen, CompareScreen)


async def test_the_mouse_moves_opens_and_sorts(database: Path) -> None:
    app = console(database)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await pilot.click(RunRows, offset=(10, 3))
        await settle(pilot)
        assert screen(pilot).selected == 6
        await pilot.click("#header", offset=(6, 0))
        await settle(pilot)
        assert screen(pilot).kept.sort == "name"
        at = listed(pilot).index(6)
        await pilot.click(RunRows, offset=(10, at))
        await settle(pilot)
        assert app.run_id == 6


async def test_rows_keep_their_place_and_the_cursor_its_run_while_all_changes(database: Path) -> None:
    app = console(database)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await settle(pilot)
        await fill(pilot, "S", "explain")
        await press(pilot, "g", "j")
        con = sqlite3.connect(database)
        con.execute("UPDATE scores SET accuracy = 0.99 WHERE run_id = 8")
        con.execute("UPDATE runs SET step = 1999 WHERE id = 8")
        con.commit()
        await until(pilot, lambda: "1 999/2k" in shown(pilot))
        assert listed(pilot)[:4] == [6, 4, 3, 8]
        con.execute(
            "INSERT INTO runs SELECT 12, 'brand-new', 'queued', method, dataset, teacher, student, seed, spec, folder,"
            " created_at, NULL, NULL, NULL, 0, steps, 0, iterations, NULL FROM runs WHERE id = 4"
        )
        con.commit()
        con.close()
        await until(pilot, lambda: "New: brand-new" in shown(pilot))
        assert listed(pilot)[:4] == [8, 6, 4, 3]
        assert (screen(pilot).selected, screen(pilot).query_one(RunRows).cursor_row) == (4, 2)


async def test_a_key_is_not_lost_to_what_is_read_at_that_moment(database: Path) -> None:
    async with console(database).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        runs = screen(pilot)
        runs.rows.move_cursor(1)
        runs.show(Snapshot(runs.wanted(), runs._seen))  # before the cursor's message has arrived
        await settle(pilot)
        assert runs.selected == runs.rows.under == ALL[1]


async def test_a_list_longer_than_the_screen_scrolls_with_its_cursor(database: Path) -> None:
    con = sqlite3.connect(database)
    con.executemany(
        "INSERT INTO runs SELECT ?, 'more', 'done', method, dataset, teacher, student, seed, spec, folder,"
        " created_at, NULL, NULL, NULL, 0, steps, 0, iterations, NULL FROM runs WHERE id = 4",
        [(i,) for i in range(10, 500)],
    )
    con.commit()
    app = console(database)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        rows = screen(pilot).query_one(RunRows)
        await press(pilot, "G")
        assert (screen(pilot).selected, "arithmetic-finetune" in shown(pilot)) == (1, True)
        await press(pilot, "pageup", "k")
        height = rows.cursor_row - rows.scroll_offset.y
        before = screen(pilot).selected
        con.execute(
            "INSERT INTO runs SELECT 600, 'top', 'queued', method, dataset, teacher, student, seed, spec, folder,"
            " created_at, NULL, NULL, NULL, 0, steps, 0, iterations, NULL FROM runs WHERE id = 4"
        )
        con.commit()
        await until(pilot, lambda: 600 in listed(pilot))
        assert (screen(pilot).selected, rows.cursor_row - rows.scroll_offset.y) == (before, height)
        await pilot.resize_terminal(120, 12)
        await settle(pilot)
        assert rows.scroll_offset.y <= rows.cursor_row < rows.scroll_offset.y + rows.size.height
    con.close()


@pytest.mark.parametrize("kind", ["markup", "escapes", "one word of a megabyte"])
async def test_marks_settings_and_groups_stand_hostile_text(database: Path, kind: str) -> None:
    text = HOSTILE[kind]
    con = sqlite3.connect(database)
    con.execute(
        "UPDATE runs SET dataset = ?1, spec = ?2 WHERE id IN (5, 8)", (text, json.dumps({"data": {"dataset": text}}))
    )
    con.executemany("INSERT INTO run_marks VALUES (?1, 1, 0, ?2, ?1)", [(5, text), (8, text)])
    con.execute("INSERT INTO run_tags VALUES (8, ?)", (text,))
    con.commit()
    con.close()
    app = console(database)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await settle(pilot)
        pages = []
        for key, value in (("C", "name data.dataset tag note"), ("b", "dataset"), ("slash", text[:200]), ("slash", "")):
            await fill(pilot, key, value)
            pages.append(shown(pilot))
        await press(pilot, "j", "h", "y", "l", "N", "escape")
        pages.append(shown(pilot))
        assert app.is_running
        for page in pages:
            assert not [
                c for c in page if (ord(c) < 32 and c != "\n") or 0x7F <= ord(c) < 0xA0 or c in "\u202e\u2066\u061c"
            ]


async def test_the_cursor_is_on_the_run_one_comes_from_however_old(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("screens.runs.NEWEST", 3)
    app = console(database, 2)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await press(pilot, "1")
        await until(pilot, lambda: screen(pilot).rows.under == 2)
        await settle(pilot)
        assert listed(pilot) == ALL
        assert "run 2" in shown(pilot)


async def test_where_few_are_let_through_from_the_start_a_filter_that_means_nothing_keeps_them(
    database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("screens.runs.NEWEST", 3)
    save_kept(tmp_path / "console.json", Kept(RunsKept("id<3")))
    app = Console(database, settings=tmp_path / "console.json", clock=lambda: NOW)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        assert listed(pilot) == [2, 1]
        runs = screen(pilot)
        runs.keep(replace(runs.kept, where="nonsense=3"))
        await settle(pilot)
        assert listed(pilot) == [2, 1]


async def test_the_newest_are_there_first_and_the_last_row_is_found_when_all_are(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("screens.runs.NEWEST", 3)
    read, go_on = RunListReader.read, threading.Event()

    def slow(reader: RunListReader, *arguments: Any) -> RunList:
        if not arguments[-1]:  # all of them
            go_on.wait(20)
        return read(reader, *arguments)

    monkeypatch.setattr(RunListReader, "read", slow)
    app = console(database)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: listed(pilot) == ALL[:3])
        assert "Runs · 9 " in shown(pilot)
        await pilot.press("G")
        assert screen(pilot).rows.cursor_row == 2
        go_on.set()
        await settle(pilot)
        assert listed(pilot) == ALL
        assert screen(pilot).rows.cursor_row == 8
