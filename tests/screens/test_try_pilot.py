"""The screen that asks a student, driven; the student is played by what the test has it say."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from textual.widgets import Input

from app.console import Console
from engine.evaluation.reply import Asked, Doing, Failed, Given, Over, Piece, Ready, Reply, Told, Votes
from engine.runs import launch
from screens.live import LiveScreen
from screens.rationales import RationalesScreen
from screens.runs import RunsScreen
from screens.try_it import TryScreen
from screens.widgets.question_field import QuestionField
from tests.pilot import console, press, settle, shown, until
from tests.screens.test_hostile_pilot import HOSTILE


class Played:
    """In the client's place: what was asked, and what is said to it."""

    def __init__(self, post: Callable[[Reply], object]) -> None:
        self.asked: list[Asked] = []
        self.did: list[str] = []
        self._post = post

    def ask(self, asked: Asked) -> None:
        self.asked.append(asked)

    def __getattr__(self, name: str) -> Callable[[], None]:
        return lambda: self.did.append(name)

    def say(self, *replies: Callable[[int], Reply]) -> None:
        for reply in replies:
            self._post(reply(self.asked[-1].id))


def ready(number: int) -> Reply:
    return Ready(number, 2000, ("predict", "explain"), True)


def told(text: str, answer: str | None, right: bool | None = None) -> Callable[[int], Reply]:
    return lambda number: Told(number, "explain", text, answer, "strict", right, 0.91, 0.42)


def play(app: Console) -> Played:
    played = Played(lambda reply: app._places.asking.post_message(_replied(reply)))
    app._places.asking.client = played  # type: ignore[assignment]
    return played


def _replied(reply: Reply) -> object:
    from screens.try_it import Replied

    return Replied(reply)


@pytest.fixture
def database(database: Path) -> Path:
    """Run 4 has a student."""
    (database.parent / "runs" / "4" / "checkpoints" / "step-00002000").mkdir(parents=True)
    return database


async def test_a_question_of_ones_own_is_answered_as_it_is_written(database: Path) -> None:
    app = console(database, 4)
    played = play(app)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await settle(pilot)
        await press(pilot, "a")
        assert isinstance(app.screen, TryScreen)
        field = app.screen.query_one(QuestionField)
        assert field.has_focus
        await pilot.press("enter")  # nothing to ask
        await settle(pilot)
        assert played.asked == []
        await pilot.press("t", "1", "q", "enter")
        await until(pilot, lambda: len(played.asked) == 1)
        assert played.asked[0].text == "t1q"
        assert played.asked[0].example is None
        played.say(lambda number: Doing(number, "loading torch"))
        await until(pilot, lambda: "loading torch" in shown(pilot))
        assert "not a question of this run's data" in shown(pilot)
        played.say(
            ready,
            lambda number: Told(number, "predict", "9", "9", "", None, None, 0.1),
            lambda number: Piece(number, "explain", "first 4 plus"),
        )
        await until(pilot, lambda: "first 4 plus▌" in shown(pilot))
        assert "best checkpoint, step 2 000 · greedy" in shown(pilot)
        played.say(told("first 4 plus 5. Answer: 9", "9"), Over)
        await until(pilot, lambda: "by rule strict" in shown(pilot))
        assert "s 0.91" in shown(pilot)
        await pilot.press("escape")
        await pilot.press("y")
        assert app.clipboard.startswith("qcrd try 4 t1q --db ")
        await press(pilot, "escape")
        assert isinstance(app.screen, LiveScreen)
        assert played.did[-1] == "rest"


async def test_questions_of_the_data_have_gold_vote_and_the_teachers_rationales_beside(database: Path) -> None:
    app = console(database, 4)
    played = play(app)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await settle(pilot)
        await press(pilot, "3", "J", "a")
        screen = app.screen
        assert isinstance(screen, TryScreen)
        await until(pilot, lambda: "question 2 of 40, train" in shown(pilot))
        await press(pilot, "enter")
        await until(pilot, lambda: len(played.asked) == 1)
        assert played.asked[0].example == "train-0001"
        assert "+ positives" in shown(pilot)
        assert "− negatives" in shown(pilot)
        assert "gold" in shown(pilot)
        for key, place in (
            ("j", "question 3 of 40, train"),
            ("up", "question 2 of 40, train"),
            ("pagedown", "question 12 of 40, train"),
            ("pageup", "question 2 of 40, train"),
            ("G", "question 40 of 40, train"),
            ("g", "question 1 of 40, train"),
            ("s", "question 1 of 20, test"),
            ("s", "question 1 of 40, train"),
        ):
            await press(pilot, key)
            await until(pilot, lambda place=place: place in shown(pilot))
        await press(pilot, "s")
        await until(pilot, lambda: "the teacher was not asked this question" in shown(pilot))
        assert "evaluation, explain: " in shown(pilot)
        await pilot.press("e", "x")  # another question now
        await settle(pilot)
        assert "question 1 of 20" not in shown(pilot)
        await pilot.press("backspace", "enter")  # the same again: it is found
        await until(pilot, lambda: len(played.asked) == 2)
        assert played.asked[1].example == "test-0000"
        await press(pilot, "tab", "space", "J", "K", "escape")
        assert isinstance(app.screen, RationalesScreen)


async def test_several_answers_are_counted_and_an_answer_can_be_stopped(database: Path) -> None:
    app = console(database)
    played = play(app)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "G", "k", "k", "k", "k", "k", "k", "j", "j", "j")
        screen = app.screen
        assert isinstance(screen, RunsScreen)
        assert screen.selected == 4
        await press(pilot, "a", "escape", "j")
        await until(pilot, lambda: "question 1 of 20, test" in shown(pilot))
        await pilot.press("plus", "minus", "minus", "T")
        await press(pilot, "v")
        await until(pilot, lambda: len(played.asked) == 1)
        assert (played.asked[0].samples, played.asked[0].temperature) == (4, 1.0)
        given = (Given("9", 3, True, "so 9"), Given("8", 1, False, "so 8"), Given(None, 1, False, "so so"))
        played.say(ready, lambda number: Votes(number, "explain", 1.0, given, 0.5), Over)
        await until(pilot, lambda: "3 of 5  9 ✓" in shown(pilot))
        assert "no answer found" in shown(pilot)
        await press(pilot, "enter")
        await until(pilot, lambda: len(played.asked) == 2)
        played.say(ready, lambda number: Piece(number, "predict", "1 2"))
        await until(pilot, lambda: "1 2▌" in shown(pilot))
        await pilot.press("x")
        await until(pilot, lambda: "stopped; Enter asks again" in shown(pilot))
        assert "stop" in played.did
        played.say(told("late", "9"))
        await press(pilot, "enter")
        assert "late" not in shown(pilot)
        await until(pilot, lambda: len(played.asked) == 3)
        played.say(lambda number: Failed(number, "the inference worker ended by signal 9"), Over)
        await until(pilot, lambda: "✗ the inference worker ended by signal 9" in shown(pilot))


async def test_a_run_without_a_checkpoint_cannot_be_asked(database: Path) -> None:
    app = console(database, 9)
    played = play(app)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await settle(pilot)
        await press(pilot, "a")
        await pilot.press("x", "enter")
        await until(pilot, lambda: "run 9 has no student to ask" in shown(pilot))
        assert played.asked == []


@pytest.mark.parametrize("kind", ["markup", "escapes", "bidi", "wide", "one word of a megabyte"])
async def test_whatever_a_student_writes_stays_text(database: Path, kind: str) -> None:
    text = HOSTILE[kind]
    with sqlite3.connect(database) as con:
        con.execute("UPDATE examples SET question = ?1, answer = ?1 WHERE key = 'test-0000'", (text,))
    app = console(database, 4)
    played = play(app)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await settle(pilot)
        await press(pilot, "a", "escape", "j", "enter")
        await until(pilot, lambda: len(played.asked) == 1)
        assert played.asked[0].example == "test-0000"
        given = (Given(text, 2, None, text),)
        played.say(
            lambda number: Doing(number, text),
            ready,
            lambda number: Piece(number, "predict", text),
            told(text, text),
            lambda number: Votes(number, "predict", 0.7, given, 1.0),
            lambda number: Failed(number, text),
            Over,
        )
        await until(pilot, lambda: app._places.asking.exchange is not None and app._places.asking.exchange.over)
        await settle(pilot)
        page = shown(pilot)
        assert not [
            c for c in page if (ord(c) < 32 and c != "\n") or 0x7F <= ord(c) < 0xA0 or c in "\u202e\u2066\u061c"
        ]


async def test_a_student_is_exported_to_a_folder_that_is_asked_for(
    database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    made: list[tuple[int, Path]] = []

    def export(database: Path, run_id: int, folder: Path, stop: Callable[[], bool]) -> Path:
        made.append((run_id, folder))
        return folder.absolute()

    monkeypatch.setattr(launch, "run_export", export)
    app = console(database, 4)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await settle(pilot)
        await pilot.press("E")
        await pilot.pause()
        assert app.screen.query_one(Input).value == "arithmetic-qcrd-student"
        await pilot.press("enter")
        await until(pilot, lambda: "the student is in" in shown(pilot))
        await press(pilot, "1")
        await pilot.press("E")
        await pilot.pause()
        await pilot.press("escape")  # not after all
        await settle(pilot)
    assert made == [(4, Path("arithmetic-qcrd-student"))]
