"""Names, questions, rationales, logs and errors that try to reach the terminal: none of it arrives, nothing crashes."""

import sqlite3
from pathlib import Path

import pytest
from textual.pilot import Pilot

from screens.keys.table import PLACES
from tests.pilot import console, press, settle, shown
from tests.poison import escapes
from tests.poison import poison as poison_all
from tests.seeded_ledger import ledger

HOSTILE = {
    "markup": "[/] [/foo] [@click=app.quit]x[/] [bold red]loud",
    "escapes": "\x1b[2J\x1b]52;c;aGVsbG8=\x07 \x9b31m \x00 \x7f after",
    "bidi": "abc \u202egnp.exe\u202c \u2066x\u2069 \u061c",
    "wide": "日本語の長い名前 👩‍👩‍👧‍👦 e\u0301\u0301\u0301\u0301 ﷽ \u200b\ufeff" * 5,
    "one word of a megabyte": "x" * 1_000_000,
    "a megabyte of lines": "a \n\t" * 250_000,
    "braces": "{x} %s %(y)d $error $text-muted \\[ \\",
    "blank": "",
}


ONCE = ("one word of a megabyte", "a megabyte of lines", "bidi", "braces", "blank")
"""At 120 columns; at 80 under `make slow`. The others take up another room in other widths."""
HERE = "run_id IN (5, 8)"
QUESTIONS = f"{HERE} AND example IN ('train-0000', 'train-0001')"


def poison(database: Path, text: str) -> None:
    """Put `text` wherever a text of runs 5 and 8 can be."""
    con = sqlite3.connect(database)
    for sql in (
        "UPDATE runs SET name = ?1, student = ?1, teacher = ?1, dataset = ?1, error = ?1 WHERE id IN (5, 8)",
        "UPDATE runs SET method = ?1 WHERE id IN (5, 8)",
        f"UPDATE logs SET message = ?1, stage = ?1 WHERE {HERE}",
        f"UPDATE stages SET unit = ?1, name = ?1 || position WHERE {HERE}",
        "UPDATE examples SET question = ?1, answer = ?1 WHERE key IN ('train-0000', 'train-0001')",
        f"UPDATE rationales SET answer = ?1 WHERE {QUESTIONS}",
        f"UPDATE rationales SET source = ?1 WHERE {QUESTIONS} AND number % 2",
        f"UPDATE texts SET text = ?1 || id WHERE id IN (SELECT text_id FROM rationales WHERE {QUESTIONS})",
        f"UPDATE votes SET answer = ?1 WHERE {QUESTIONS}",
        f"UPDATE predictions SET answer = ?1 WHERE {QUESTIONS}",
        "INSERT INTO rationale_notes SELECT run_id, example, number, 1, ?1, 0 FROM rationales"
        f" WHERE {QUESTIONS} UNION SELECT run_id, example, -1, 1, ?1, 0 FROM votes WHERE {QUESTIONS}",
        f"UPDATE series SET name = 'loss/' || ?1 || id WHERE name LIKE 'loss/%' AND {HERE}",
        f"UPDATE scores SET who = ?1 || who, split = ?1 || split WHERE {HERE} AND head = 'explain'",
        "UPDATE sessions SET host = ?1",
    ):
        con.execute(sql, (text,))
    con.commit()
    con.close()


@pytest.mark.parametrize(
    ("kind", "size"),
    [
        pytest.param(
            kind, size, id=f"{kind}-{size[0]}", marks=[pytest.mark.slow] if kind in ONCE and size[0] == 80 else []
        )
        for kind in HOSTILE
        for size in ((120, 40), (80, 24))
    ],
)
async def test_every_screen_stands_hostile_text(database: Path, kind: str, size: tuple[int, int]) -> None:
    poison(database, HOSTILE[kind])
    app = console(database)
    async with app.run_test(size=size, notifications=True) as pilot:
        await settle(pilot)
        pages = [shown(pilot)]
        visits = ("jjjj", "k", "kk", ["enter"], "t", "t", "3", "w", "z", "zJ", ["left_square_bracket"], "2", "1")
        for names in visits:
            await press(pilot, *names)
            pages.append(shown(pilot))
        assert app.is_running
        for page in pages:
            bad = [c for c in page if (ord(c) < 32 and c != "\n") or 0x7F <= ord(c) < 0xA0 or c in "\u202e\u2066\u061c"]
            assert not bad
        if kind == "markup":
            assert all("[/]" in page for page in (pages[0], pages[4], pages[7]))
            assert "[@click=app.quit]" in pages[10]


async def test_a_text_that_is_not_utf8_is_shown_with_a_mark(database: Path) -> None:
    con = sqlite3.connect(database)
    con.execute("UPDATE runs SET name = CAST(X'66FF6F' AS TEXT) WHERE id = 9")
    con.commit()
    con.close()
    app = console(database)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        assert "f\ufffdo" in shown(pilot)


VISITS = {
    "runs": ("j", "S", "escape", "1"),
    "live": ("2", "t", "t", "v"),
    "rationales": ("3", "J", "d", "w"),
    "compare": ("1", "j", "space", "space", "c", "t", "t"),
    "sql": ("5", *"SELECT", "space", "*", "space", *"FROM", "space", *"logs", "f5", "escape", "j", "l"),
    "teacher": ("6", "enter", "j", "escape", "escape"),
    "new": ("1", "n", "escape"),
    "try": ("1", "a", "escape", "j", "s", "j", "J", "escape"),
    "votes": ("1", "e", "v", "w", "escape"),
    "settings": ("f2", "j", "escape"),
}
"""Keys that lead to each place, and about in it."""


async def walk(pilot: Pilot[None]) -> list[str]:
    """What every place shows on the way, help and palette as well."""
    pages = []
    assert VISITS.keys() == PLACES.keys() - {"all"}
    for keys in VISITS.values():
        for key in keys:
            await pilot.press(key)
            await pilot.pause(0.02)
            pages.append(shown(pilot))
        await settle(pilot)
        pages.append(shown(pilot))
    await pilot.press("question_mark")
    pages.append(shown(pilot))
    await pilot.press("escape")
    return pages


async def test_no_place_lets_hostile_text_through(database: Path) -> None:
    poison_all(ledger(database))
    app = console(database)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await settle(pilot)
        pages = await walk(pilot)
        assert not [page for page in pages if escapes(page)]
        assert sum("[/]" in page for page in pages) > 15
