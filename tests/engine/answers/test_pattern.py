"""A user's own rule: tried after the strict layout, the last match counts, and nothing that it says can hang a run."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from engine.answers import kinds
from engine.answers import pattern as own
from engine.errors import UsageError
from engine.records import Example, Sample
from engine.spec.sections import DataConfig
from engine.voting.vote import vote

MINE = r"(?im)^\s*result\s*=\s*(.+)$"


@pytest.mark.parametrize(
    ("text", "answer", "rule", "rationale"),
    [
        ("So 3 + 4.\nResult = 7", "7", "pattern", "So 3 + 4."),
        ("Result = 5\nno:\nresult = 7\nand 9 pears", "7", "pattern", "Result = 5\nno:"),
        ("So.\nResult = 7\n<Answer>: 8", "8", "strict", "So.\nResult = 7"),
        ("So.\nResult = 7\nThe answer is 9.", "7", "pattern", "So."),
        ("So.\nResult = none\nThe answer is 9.", "9", "the-answer-is", "So.\nResult = none"),
        ("So.\nResult = 7\n\nQ: next?\nA: so.\nResult = 8", "7", "pattern", "So."),
    ],
)
def test_the_last_match_that_holds_an_answer_counts(text: str, answer: str, rule: str, rationale: str) -> None:
    found = kinds.parse("number", text, pattern=MINE)
    assert (found.answer, found.rule, found.rationale) == (answer, rule, rationale)


def test_a_match_within_a_line_is_part_of_its_sentence() -> None:
    found = kinds.parse("number", "There remain ==7== pears of 9.", pattern="==(.+?)==")
    assert (found.answer, found.rule, found.rationale) == ("7", "pattern", "There remain ==7== pears of 9.")


def test_without_a_pattern_nothing_changes() -> None:
    assert kinds.rules("number") == ("strict", "hash-marks", "the-answer-is", "boxed", "last-number")
    assert kinds.rules("latex", "(x)") == ("strict", "pattern", "boxed", "the-answer-is")


@pytest.mark.parametrize(
    ("pattern", "said"),
    [("result = .*", "0 groups"), ("(a)(b)", "2 groups"), ("(a", "not a regular expression"), ("", "0 groups")],
)
def test_what_is_no_pattern_with_one_group_is_refused(pattern: str, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        DataConfig(answer_pattern=pattern)


def test_a_pattern_that_runs_away_is_stopped_counted_and_then_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own, "LIMIT", 0.05)
    runs_away = r"^((?:\w|\w\w)+)[;:]$"
    samples = [Sample("q", i, "x" * 60 + "! The answer is 4.") for i in range(own.MOST_TIMEOUTS)]
    before = time.process_time()
    made = vote([Example("q", "?")], {"q": samples}, kind="number", tie="drop", labels="teacher",
                drop_right_negatives="auto", pattern=runs_away)  # fmt: skip
    assert time.process_time() - before < 60  # without a limit: for ever
    assert made.facts["pattern timeouts"] == own.MOST_TIMEOUTS
    assert made.voted[0].answer == "4", "each counts as no match"
    with pytest.raises(UsageError, match=r"data\.answer_pattern"):
        kinds.parse("number", "so", pattern=runs_away)


def test_only_the_end_of_a_long_text_is_searched() -> None:
    assert own.clauses("x=(.)", "x=1" + "." * own.LONGEST) == []
    assert own.clauses("x=(.)", "." * own.LONGEST + "x=1")[0].content == "1"


@given(st.text(), st.sampled_from([MINE, "(.*)", "()", "(?:a|(b))", r"(?<=x)(\d)?"]))
def test_it_never_raises_on_any_text(text: str, pattern: str) -> None:
    kinds.parse("number", text, pattern=pattern)
