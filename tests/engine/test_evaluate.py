"""Counting what is right."""

from engine.evaluate import Answered, is_right, majority_class, right_of, vote_and_pass
from engine.records import Example


def answered(id: str, answer: str | None) -> Answered:
    return Answered(Example(id, "q", None), answer or "", answer)


def test_missing_gold_is_left_out_and_no_answer_is_wrong() -> None:
    gold = {"a": "1", "b": "2", "c": None}
    found = [answered("a", "1.0"), answered("b", None), answered("c", "3")]
    assert right_of("number", found, gold) == (1, 2)
    assert is_right("number", None, "3") is None


def test_majority_vote_and_pass_at_k() -> None:
    gold = {"a": "1", "b": "2", "c": "3", "d": None}
    rounds = [
        [answered("a", "1"), answered("b", "5"), answered("c", None), answered("d", "1")],
        [answered("a", "1"), answered("b", "2"), answered("c", None), answered("d", "1")],
        [answered("a", "4"), answered("b", "5"), answered("c", None), answered("d", "1")],
    ]
    # a: the vote is right; b: only one sample is; c: nothing was said; d has no gold
    assert vote_and_pass("number", gold, rounds) == (1, 2, 3)


def test_majority_class_is_the_commonest_label() -> None:
    assert majority_class(["3", "1", "3"]) == "3"
    assert majority_class([]) is None
