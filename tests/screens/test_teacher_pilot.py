"""The Teacher screen: every key of its table, hostile texts, and nothing that looks like a key."""

import json
import sqlite3
import zlib
from contextlib import closing
from pathlib import Path

import pytest

from engine.store.ledger.requests import read_ledger, read_request, with_clock
from engine.text import HOSTILE as HOSTILE_CHARACTERS
from screens.live import LiveScreen
from screens.teacher import TeacherScreen
from screens.widgets.grid import Grid
from screens.widgets.ledger_text import cells, columns, failures, pretty, usd, whole
from tests.pilot import console, press, settle, shown, until
from tests.screens.test_hostile_pilot import HOSTILE
from tests.seeded import NOW
from tests.seeded_ledger import ledger


@pytest.fixture
def bought(database: Path) -> Path:
    """The seeded database with its ledger."""
    return ledger(database)


async def test_a_ledger_is_walked_through(bought: Path) -> None:
    app = console(bought, 8)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await settle(pilot)
        await press(pilot, "6")
        page = shown(pilot)
        for words in ("arithmetic-qcrd-b · run 8", "55  done", "1  pending", "answers/min", "budget $0.00275 of $2.00"):
            assert words in page
        assert "requests · all · 60" in page
        grid = app.screen.query_one(Grid)
        for key, row in (
            ("j", 1),
            ("down", 2),
            ("k", 1),
            ("up", 0),
            ("G", 59),
            ("g", 0),
            ("pagedown", grid.page),
            ("pageup", 0),
        ):
            await pilot.press(key)
            assert grid.row == row, key
        await press(pilot, "f", "f", "f", "f")
        assert "requests · failed · 1" in shown(pilot)
        await until(pilot, lambda: "request 41" in shown(pilot))
        assert "timeout: no answer within 60 s" in shown(pilot)
        await press(pilot, "F")
        assert "requests · done · 55" in shown(pilot)
        await until(pilot, lambda: "came back" in shown(pilot) or "request 56" in shown(pilot))
        await press(pilot, "enter")
        assert app.screen.has_class("-tall")
        assert '"id": "chatcmpl-56"' in shown(pilot)
        await press(pilot, "J", "J", "K")
        await press(pilot, "y")
        assert app.clipboard == "qcrd requests 8 --request 56"
        await press(pilot, "escape", "f", "f", "f")
        await press(pilot, "a")
        assert "all runs" in shown(pilot)
        assert "requests · all · 64" in shown(pilot)
        await press(pilot, "a", "right_square_bracket", "left_square_bracket")
        assert "requests · all · 60" in shown(pilot)
        await press(pilot, "escape")
        assert isinstance(app.screen, LiveScreen)


async def test_narrow_panes_pages_and_the_clock(bought: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.store.ledger.requests.PAGE", 25)
    monkeypatch.setattr("screens.teacher.PAGE", 25)
    now = [NOW]
    app = console(bought, 8, clock=lambda: now[0])
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "6")
        assert "requests · all · 1 to 25 of 60" in shown(pilot)
        await press(pilot, "right_square_bracket", "right_square_bracket", "right_square_bracket")
        assert "51 to 60 of 60" in shown(pilot)
        await press(pilot, "t")
        assert "budget" in shown(pilot)
        await press(pilot, "t")
        assert "failures" in shown(pilot)
        await press(pilot, "t")
        now[0] = NOW + 60
        await until(pilot, lambda: "3  in doubt: at most $0.00210" in shown(pilot))


async def test_without_a_run_all_are_shown_and_an_empty_ledger_says_so(bought: Path, database: Path) -> None:
    app = console(bought)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await settle(pilot)
        await press(pilot, "G", "6")
        assert isinstance(app.screen, TeacherScreen)
        assert "No request to a teacher yet" in shown(pilot)  # run 1 bought nothing
        await press(pilot, "a")
        assert "requests · all · 64" in shown(pilot)


async def test_a_run_that_reused_all_of_its_samples_says_so(bought: Path) -> None:
    with closing(sqlite3.connect(bought)) as con, con:
        con.execute("DELETE FROM samples")
        con.execute(
            "INSERT INTO samples (key, model, text_id, created_at)"
            " SELECT randomblob(32), 'gpt', id, 0 FROM texts LIMIT 3"
        )
        con.execute("INSERT INTO run_samples SELECT 1, 'x', id, id FROM samples")
    app = console(bought)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await settle(pilot)
        await press(pilot, "G", "6")
        assert "Nothing was asked: 3 samples were stored already" in shown(pilot)


async def test_the_cursor_keeps_its_request_as_others_come(bought: Path) -> None:
    app = console(bought, 8)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await press(pilot, "6", "j", "j")
        grid = app.screen.query_one(Grid)
        assert grid.rows[grid.row][0] == "58"
        con = sqlite3.connect(bought)
        con.execute(
            "INSERT INTO requests (run_id, purpose, example, model, asked, slots, state, created_at)"
            " VALUES (8, 'judge', 'new-one', 'm', x'00', '[0]', 'pending', 0)"
        )
        con.commit()
        con.close()
        await until(pilot, lambda: "new-one" in shown(pilot))
        assert grid.rows[grid.row][0] == "58"


async def test_hostile_texts(bought: Path) -> None:
    app = console(bought, 8)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await press(pilot, "6", "f", "f", "f")
        for kind, text in HOSTILE.items():
            con = sqlite3.connect(bought)
            raw = zlib.compress((json.dumps({"said": text}) if kind != "braces" else text).encode())
            for sql, value in (
                ("UPDATE requests SET model = ?, example = ?1 WHERE id IN (55, 56)", text),
                ("UPDATE spending SET model = ? WHERE run_id = 8 AND model <> ?1", text),
                ("UPDATE attempts SET error = 'server: ' || ?, status = 500 WHERE request_id IN (55, 56)", text),
                ("UPDATE attempts SET state = 'failed' WHERE ?1 <> '' AND request_id = 55", text),
                ("UPDATE responses SET raw = ? WHERE id IN (53, 54)", raw),
                ("UPDATE responses SET model = ?, provider_id = ?1 WHERE id IN (53, 54)", text),
                ("UPDATE batches SET status = ?, error = ?1", text),
                ("UPDATE messages SET text = ? || id WHERE id = (SELECT message_id FROM requests WHERE id = 55)", text),
            ):
                con.execute(sql, (value,))
            con.commit()
            con.close()
            pages = []
            for key in ("a", "enter"):  # all or one; whole or not: by turns
                await press(pilot, key)
                pages.append(shown(pilot))
            assert not [c for page in pages for c in page if c != "\n" and HOSTILE_CHARACTERS.match(c)], kind


def test_what_looks_like_a_key_is_not_shown(bought: Path) -> None:
    con = sqlite3.connect(bought)
    echoed = "your key sk-abcdefghijkl is wrong"
    con.execute("UPDATE attempts SET error = ? WHERE request_id = 5", (f"key: {echoed}",))
    con.execute("UPDATE responses SET raw = ?", (zlib.compress(json.dumps({"error": echoed}).encode()),))
    con.execute("UPDATE messages SET text = ? WHERE id = (SELECT message_id FROM requests WHERE id = 5)", (echoed,))
    seen, found = with_clock(read_ledger(con, 8, None, 0), NOW), read_request(con, 5)
    con.close()
    assert found is not None
    texts = [failures(seen).plain, whole(found).plain, *(t for row in seen.listed for t in cells(row, ["error"]))]
    assert sum(text.count("[redacted]") for text in texts) >= 5
    assert not any("abcdefghijkl" in text for text in texts)


def test_small_texts() -> None:
    assert [usd(v) for v in (None, 0.0, 0.00005, 0.0275, 1234.5)] == ["–", "$0.00", "$0.000050", "$0.0275", "$1 234.50"]
    assert pretty('{"a": "sk-abcdefghijkl"}') == '{\n  "a": "[redacted]"\n}'
    assert pretty("no json \x1b[2J") == "no json [2J"
    assert pretty("[" * 5000).startswith("[[[[")
    for width in range(60, 220):
        for one_run in (True, False):
            assert sum(c.width + 2 for c in columns(width, one_run)) <= max(width + 2, 74)
