"""The rationale screen's keys: search, filters, flags and notes, the pair, its history, long texts."""

import json
import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from engine.store.rationales.filter import Filter, parse
from engine.store.rationales.questions import Question, read_keys, read_question
from screens.base import Read
from screens.rationales import RationalesScreen
from screens.reading import rationale_reading
from screens.reading.rationale_reading import RationalesWatch
from screens.reading.reader import Snapshot
from screens.widgets.reasons import reasons
from tests.pilot import console, press, settle, shown, until

WIDE = (120, 40)


async def typed(pilot: Pilot[None], key: str, text: str) -> None:
    """Open the line at the foot, and have it say this."""
    await pilot.press(key)
    field = pilot.app.screen.query_one("#search", Input)
    field.value = text
    await pilot.press("enter")
    await settle(pilot)


def changed(database: Path, sql: str, *values: Any) -> None:
    con = sqlite3.connect(database)
    con.execute(sql, values)
    con.commit()
    con.close()


async def test_both_sides_say_where_they_part_and_d_leaves_the_words_away(database: Path) -> None:
    app = console(database, 8)
    async with app.run_test(size=WIDE) as pilot:
        await settle(pilot)
        await press(pilot, "3")
        assert shown(pilot).count("parts company here") == 2
        assert "[minus]" in shown(pilot)
        assert "[plus]" in shown(pilot)
        await press(pilot, "d")
        assert "[plus]" not in shown(pilot)
        assert shown(pilot).count("parts company here") == 2
        # the minority negative is nearest to the other phrasing
        await press(pilot, *["left_square_bracket"] * 3)
        row = next(row for row in shown(pilot).splitlines() if "parts company here" in row)
        assert row.count("parts company here") == 1


async def test_the_next_question_is_shown_at_once_and_then_as_it_is_by_now(database: Path) -> None:
    app = console(database, 8)
    async with app.run_test(size=WIDE) as pilot:
        await settle(pilot)
        await press(pilot, "3")
        screen = pilot.app.screen
        assert isinstance(screen, RationalesScreen)
        con, kept = sqlite3.connect(database), dict[str, Any]()
        alone = screen.wanted().read(con, kept)
        seen = screen.wanted().read(con, kept)
        con.close()
        assert alone is not None
        assert alone.beside == ()  # what was asked for comes first
        assert seen is not None
        here = seen.question.index
        (beside,) = (one.question for one in seen.beside if one.question.index == here + 1)
        app._frames.pressed(time.monotonic())  # neighbours do not wait for keys: they take no frame
        app.on_read(Read(Snapshot(screen.wanted(), seen)))
        sql = (
            "UPDATE examples SET question = 'quite another one' WHERE key = ?"
            " AND dataset_id = (SELECT dataset_id FROM run_datasets WHERE run_id = 8)"
        )
        changed(database, sql, beside.example)
        screen.action_question(1)
        assert beside.text in shown(pilot)  # before anything was read
        screen.action_question(-1)
        assert seen.question.text in shown(pilot)
        screen.action_question(1)
        await until(pilot, lambda: "quite another one" in shown(pilot))


def test_of_the_neighbours_the_one_that_was_left_is_not_read_again(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = list[int]()

    def reading(*arguments: Any) -> Question | None:
        read.append(arguments[3])
        return read_question(*arguments)

    monkeypatch.setattr(rationale_reading, "read_question", reading)
    con, kept = sqlite3.connect(database), dict[str, Any]()
    negatives = parse("polarity=negative")  # with a filter there are no neighbours
    looks = [(3, Filter()), (3, Filter()), (4, Filter()), (4, Filter()), (4, negatives), (5, Filter()), (5, Filter())]
    seen = [RationalesWatch(8, at, None, wanted).read(con, kept) for at, wanted in looks]
    con.close()
    assert read == [3, 3, 2, 4, 4, 4, 5, 4, 5, 5, 4, 6]
    beside = [[] if one is None else [other.question.index for other in one.beside] for one in seen]
    assert beside == [[], [2, 4], [], [3, 5], [], [], [4, 6]]


async def test_the_history_says_when_which_pair_was_chosen(database: Path) -> None:
    app = console(database, 8)
    async with app.run_test(size=WIDE) as pilot:
        await settle(pilot)
        await press(pilot, "3")
        assert "which +      1────────────────────  always the same" in shown(pilot)
        assert "which −      4───────────────────s  changed 1×, last at 1 300" in shown(pilot)
        assert "3 of 6 right" in shown(pilot)


async def test_n_and_shift_n_go_through_matches_and_mark_them(database: Path) -> None:
    app = console(database, 8)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await settle(pilot)
        await press(pilot, "3")
        await typed(pilot, "slash", "train-0031")
        await until(pilot, lambda: "question 32/40 · match 1 of 1" in shown(pilot))
        await typed(pilot, "slash", "8 COINS")
        await until(pilot, lambda: "match " in shown(pilot) and "question 32/40" not in shown(pilot))
        first = shown(pilot).split("question ")[1].split(" ─")[0]
        await press(pilot, "n")
        await until(pilot, lambda: first not in shown(pilot))
        await press(pilot, "N")
        await until(pilot, lambda: first in shown(pilot))
        styled = [seg for strip in pilot.app.screen._compositor.render_strips(app.size) for seg in strip]
        assert any("8 coins" in seg.text and seg.style is not None and seg.style.reverse for seg in styled)


async def test_a_filter_decides_which_questions_are_gone_through(database: Path) -> None:
    app = console(database, 8)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await settle(pilot)
        await press(pilot, "3", "J", "J")
        await typed(pilot, "F", "polarity=unparsed")
        await until(pilot, lambda: "question 6/40 · polarity=unparsed: 2 of 8" in shown(pilot))
        await press(pilot, "J")
        assert "question 11/40 · polarity=unparsed: 3 of 8" in shown(pilot)
        await press(pilot, "K", "K", "K")
        assert "question 1/40 · polarity=unparsed: 1 of 8" in shown(pilot)
        await press(pilot, "G", "J")
        assert "question 36/40 · polarity=unparsed: 8 of 8" in shown(pilot)
        await typed(pilot, "slash", "train-0031")
        await until(pilot, lambda: "no question or rationale holds" in shown(pilot))
        await press(pilot, "g")
        # what is wrong stays to be mended
        await typed(pilot, "F", "polarity=unparsd")
        await until(pilot, lambda: "none of positive, negative, dropped, unparsed" in shown(pilot))
        field = app.screen.query_one("#search", Input)
        field.value = "flipped source=peer"
        await pilot.press("enter")
        await until(pilot, lambda: "no question has source=peer flipped=yes" in shown(pilot))
        await until(pilot, lambda: "– of 0" in shown(pilot))
        await press(pilot, "J", "G")
        await typed(pilot, "F", "")
        assert "question 1/40 ─" in shown(pilot)
        await press(pilot, "J")
        assert "question 2/40 ─" in shown(pilot)


async def test_the_visit_that_a_filter_let_in_is_the_one_that_is_shown(database: Path) -> None:
    app = console(database, 8)
    async with app.run_test(size=WIDE) as pilot:
        await settle(pilot)
        await press(pilot, "3")
        await typed(pilot, "F", "active")
        await until(pilot, lambda: "active=yes: 1 of" in shown(pilot))
        view = app.screen
        assert isinstance(view, RationalesScreen)
        seen = view._seen
        assert seen is not None
        assert any(c.active for c in seen.question.negatives)
        # the run comes by again and the hinge silences it: the visit that was let in stays, ] goes to the new one
        with sqlite3.connect(database) as con:
            columns = "run_id, example, step, number, iteration, quality, cross_entropy, weight, chosen, active"
            con.execute(
                f"INSERT INTO visits ({columns}) SELECT run_id, example, step + 9, number, iteration, quality, 9, 0,"
                " chosen, 0 FROM visits WHERE run_id = 8 AND example = ? AND step = ?",
                (seen.question.example, seen.question.step),
            )
        con.close()
        await until(
            pilot, lambda: view._seen is not None and len(view._seen.question.visits) > len(seen.question.visits)
        )
        assert view._seen is not None
        assert view._seen.question.step == seen.question.step
        assert "active=yes: 1 of" in shown(pilot)
        await press(pilot, "right_square_bracket")
        assert view._seen.question.step == (seen.question.step or 0) + 9
        assert "active=yes: – of" in shown(pilot)


async def test_the_filter_line_offers_terms(database: Path) -> None:
    app = console(database, 8)
    async with app.run_test(size=WIDE) as pilot:
        await settle(pilot)
        await press(pilot, "3")
        await pilot.press("F", *"pol")
        field = app.screen.query_one("#search", Input)
        await until(pilot, lambda: field._suggestion == "polarity=")
        await pilot.press("right", "n")
        await until(pilot, lambda: field._suggestion == "polarity=negative")
        await pilot.press("escape")
        assert not field.has_class("-shown")
        assert isinstance(app.screen, RationalesScreen)


async def test_a_rationale_and_a_question_are_flagged_and_noted(database: Path) -> None:
    app = console(database, 8)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await settle(pilot)
        await press(pilot, "3", "m")
        await until(pilot, lambda: "⚑ max has 7 shells" in shown(pilot))
        await press(pilot, "l", "right_curly_bracket", "right_curly_bracket", "m")
        await until(pilot, lambda: "⚑ teacher minority, sample 4" in shown(pilot))
        await typed(pilot, "M", "took [/] the\x1b[2J wrong branch")
        await until(pilot, lambda: "✎ took [/] the[2J wrong branch" in shown(pilot))
        await press(pilot, "left_curly_bracket", "left_curly_bracket")
        await typed(pilot, "M", "a good one")
        await until(pilot, lambda: "✎ a good one" in shown(pilot))
        await press(pilot, "m")
        await until(pilot, lambda: "⚑ max" not in shown(pilot))
        await typed(pilot, "F", "flagged")
        await until(pilot, lambda: "flagged=yes: 1 of 1" in shown(pilot))
        # the one of two equal samples that was flagged is the one whose flag is taken away
        await press(pilot, "h", "right_curly_bracket", "m")
        await until(pilot, lambda: "⚑ teacher ×2" in shown(pilot))
        await press(pilot, "m")
        await until(pilot, lambda: "⚑ teacher ×2" not in shown(pilot))
        assert app.screen.query_one("#positives").has_focus
    con = sqlite3.connect(database)
    rows = con.execute("SELECT number, flagged, note FROM rationale_notes WHERE run_id = 8 ORDER BY number").fetchall()
    assert rows == [(-1, 0, "a good one"), (3, 1, "took [/] the\x1b[2J wrong branch")]


async def test_what_was_left_aside_is_shown_with_its_reason(database: Path) -> None:
    changed(database, "UPDATE rationales SET polarity = 'dropped', reason = 'right' WHERE run_id = 8 AND number = 3")
    app = console(database, 8)
    async with app.run_test(size=WIDE) as pilot:
        await settle(pilot)
        await press(pilot, "3")
        assert "dropped: its answer is right" in shown(pilot)
        assert "teacher, sample 5   unparsed" in shown(pilot)
        assert "1 dropped (right answer)" in shown(pilot)


def seen(database: Path, **loss: Any) -> Question:
    spec = {"method": {"name": "qcrd", "loss": {"delta": 3.0, **loss}, "negatives": {"select": "max"}}}
    changed(database, "UPDATE runs SET spec = ? WHERE id = 8", json.dumps(spec))
    con = sqlite3.connect(database)
    question = read_question(con, 8, read_keys(con, 8), 0)
    con.close()
    assert question is not None
    return question


@pytest.mark.parametrize(
    ("loss", "self_ce", "chosen", "words"),
    [
        ({}, 1.2, "minority", {"self": "silenced by sample 4: CE 4.10 > 3", "minority": "4.10 > 3, and with it"}),
        ({"hinge": "margin"}, 1.2, "minority", {"self": "silenced by sample 4: CE 4.10 > 0.3", "minority": "+ 3, and"}),
        ({"scheme": "maxmin"}, 1.2, "self", {"minority": "silent: 4.10 > 3"}),
        ({"scheme": "sampling"}, 1.2, "minority", {"self": "not chosen", "minority": "silent: 4.10 > 3"}),
        ({"scheme": "mean"}, 3.5, "both", {"self": "silent: 3.50 > 3", "minority": "silent: 4.10 > 3"}),
    ],
)  # fmt: skip
def test_why_a_negative_has_no_weight(
    database: Path, loss: dict[str, Any], self_ce: float, chosen: str, words: dict[str, str]
) -> None:
    for source, ce in (("self", self_ce), ("minority", 4.1)):
        changed(
            database,
            "UPDATE visits SET cross_entropy = ?1, chosen = ?2, active = ?2 AND ?1 < 3 WHERE run_id = 8 AND number ="
            " (SELECT number FROM rationales WHERE run_id = 8 AND example = 'train-0000' AND source = ?3)",
            ce,
            chosen in (source, "both"),
            source,
        )
    question = seen(database, **loss)
    found = reasons(question)
    for negative in question.negatives:
        if negative.source in words:
            assert words[negative.source] in found[negative.number]
        else:
            assert negative.number not in found
    assert "whole term" not in found.get(3, "") or question.greatest


async def test_a_long_rationale_is_cut_with_its_count_and_alone_shows_more(database: Path) -> None:
    long = " ".join(f"then {i} plus 1 makes {i + 1}." for i in range(2_000))  # about 10,000 tokens
    changed(database, "UPDATE texts SET text = ? WHERE id = (SELECT text_id FROM rationales WHERE run_id = 8"
            " AND number = 0)", long)  # fmt: skip
    app = console(database, 8)
    async with app.run_test(size=WIDE) as pilot:
        await settle(pilot)
        await press(pilot, "3", "h")
        pane = app.screen.query_one("#positives")
        short = pane.virtual_size.height
        assert short < 200
        await press(pilot, "z")
        assert pane.virtual_size.height > short
        pane.scroll_end(animate=False)
        await until(pilot, lambda: "more characters)" in shown(pilot) or "begin 7." in shown(pilot))
        await press(pilot, "z")
        assert pane.virtual_size.height == short
        await press(pilot, "z", "escape")
        assert app.screen.maximized is None
        assert pane.virtual_size.height == short


async def test_what_the_mouse_is_drawn_over_is_selected(database: Path) -> None:
    app = console(database, 8)
    async with app.run_test(size=WIDE) as pilot:
        await settle(pilot)
        await press(pilot, "3")
        row = shown(pilot).split("\n")[app.screen.query_one("#positives").content_region.y + 1]
        wanted = row[4:20].rstrip()
        await pilot.mouse_down("#positives", offset=(4, 2))
        await pilot.hover("#positives", offset=(3 + len(wanted), 2))
        await pilot.mouse_up("#positives", offset=(3 + len(wanted), 2))
        await until(pilot, lambda: app.screen.get_selected_text() == wanted)


@pytest.mark.parametrize("left", ["1", "2"])
async def test_what_was_read_for_the_screen_that_was_just_left_is_not_taken_for_its_own(
    database: Path, left: str
) -> None:
    app = console(database, 8)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        for key in ("3", left):
            await press(pilot, key)
            await settle(pilot)
        late = app._latest
        app.action_go("rationales")
        app.on_read(Read(late))  # it was on its way when the key came
        await settle(pilot)
        assert "positives" in shown(app)
