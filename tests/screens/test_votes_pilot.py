"""The votes screen, driven; the process that draws is played by what the test has it do."""

import sqlite3
import threading
from pathlib import Path

import pytest
from textual.widgets import Input

from engine.errors import Interrupted
from engine.runs import evaluation_client
from engine.runs.evaluation_client import Made, Wanted
from screens.runs import RunsScreen
from screens.votes import VotesScreen
from tests.pilot import console, press, settle, shown, until
from tests.screens.test_hostile_pilot import HOSTILE
from tests.seeded_votes import RANKER, votes


async def test_votes_are_counted_weighed_and_told_apart(database: Path) -> None:
    app = console(votes(database), 4)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await press(pilot, "e")
        assert isinstance(app.screen, VotesScreen)
        page = shown(pilot)
        assert (
            "evaluation 1 of 2 · test · explain · temperature 1.5 · 40 of 80 answers" in page
        )  # the newest, half drawn
        await press(pilot, "j")
        page = shown(pilot)
        assert "evaluation 2 of 2 · test · explain · temperature 0.7 · 160 of 160 answers" in page
        assert "each counts 1" in page
        assert "20 of 20 questions" in page
        assert "weighed" not in page.replace("weighed by", "")
        await press(pilot, "v")
        page = shown(pilot)
        assert f"weighed s by the ranking model of run {RANKER}" in page
        assert "difference" in page
        told = app.screen._seen.points[-1]  # type: ignore[union-attr]
        assert told.samples == 8
        assert told.weighted.value > told.count.value
        await press(pilot, "w")
        assert "weighed 1+s by the ranking model" in shown(pilot)
        await press(pilot, "y")
        assert app.clipboard.startswith(
            "qcrd evaluate 4 --samples 8 --limit 20 --temperature 0.7 --vote asc --ranking 10 --weight 1+s"
        )
        await press(pilot, "v")
        assert "by the discriminator of run 4" in shown(pilot)
        await press(pilot, "v", "k")
        assert "each counts 1" in shown(pilot)
        await press(pilot, "v")
        assert "Not scored by this judge yet" in shown(pilot)
        await press(pilot, "escape")
        assert app.screen is app._places.live


async def test_more_are_drawn_stopped_and_gone_on_with(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Wanted] = []
    go = threading.Event()

    def evaluate(path: Path, wanted: Wanted, say: object, stop: object) -> Made:
        asked.append(wanted)
        while not stop():  # type: ignore[operator]
            if go.wait(0.01):
                con = sqlite3.connect(path)
                con.execute("UPDATE evaluations SET samples = 2 WHERE id = 2")
                con.commit()
                con.close()
                return Made(2, 20, None)
        raise Interrupted("stopped; what was drawn is stored, the same command goes on")

    monkeypatch.setattr(evaluation_client, "evaluate", evaluate)
    app = console(votes(database))
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await settle(pilot)
        await press(pilot, "G", "k", "k", "k", "k", "k", "k")
        app._runs.rows.move_to(4)
        await press(pilot, "e", "n")
        assert app.screen.query_one(Input).value == "4"
        await pilot.press("enter")
        await until(pilot, lambda: "drawing 4 of each (run 4); x stops" in shown(pilot))
        assert asked == [Wanted(4, 4, "explain", "test", 20, 1.5, None)]
        await pilot.press("n")
        await until(pilot, lambda: "already" in shown(pilot))
        await pilot.press("x")
        await until(pilot, lambda: "stopped: n goes on" in shown(pilot))
        go.set()
        await press(pilot, "n")
        app.screen.query_one(Input).value = "2"
        await pilot.press("enter")
        await until(pilot, lambda: "40 of 40 answers" in shown(pilot))
        await press(pilot, "n")
        assert app.screen.query_one(Input).value == "4"  # twice as many
        app.screen.query_one(Input).value = "many"
        await pilot.press("enter")
        await until(pilot, lambda: "a number from 1 to 1024" in shown(pilot))
        await press(pilot, "escape")
        assert isinstance(app.screen, RunsScreen)


async def test_ranking_models_are_not_asked_and_not_compared(database: Path) -> None:
    app = console(votes(database))
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await settle(pilot)
        app._runs.rows.move_to(RANKER)
        await press(pilot, "e")
        assert "This run trained a ranking model" in shown(pilot)
        await press(pilot, "n")
        await until(pilot, lambda: "answers no questions" in shown(pilot))
        await press(pilot, "2")
        page = shown(pilot)
        assert all(words in page for words in ("right above wrong", "q 0.81", "m 0.74"))
        await press(pilot, "a")
        await pilot.press(*"how", "enter")
        await until(pilot, lambda: "it answers nothing" in shown(pilot))
        await press(pilot, "escape", "1", "space", "space", "c")
        await until(pilot, lambda: "it has no answers to compare" in shown(pilot))
        await press(pilot, "escape")
        app._runs.rows.move_to(9)
        await press(pilot, "e")
        assert "No answers were drawn" in shown(pilot)
        assert "qcrd evaluate 9" in shown(pilot)


async def test_hostile_words_do_no_harm(database: Path) -> None:
    votes(database)
    con = sqlite3.connect(database)
    con.execute("UPDATE runs SET name = ?1, student = ?1, method = ?1 WHERE id IN (4, 10)", (HOSTILE["escapes"],))
    con.execute("UPDATE evaluations SET split = ?", (HOSTILE["markup"],))
    con.commit()
    con.close()
    app = console(database, 4)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "e", "j", "v", "v", "w")
        page = shown(pilot)
        assert "[/] [/foo]" in page
        assert not [c for c in page if (ord(c) < 32 and c != "\n") or 0x7F <= ord(c) < 0xA0]
