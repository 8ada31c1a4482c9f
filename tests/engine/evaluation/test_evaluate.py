"""Counting what is right."""

from engine.evaluation.evaluate import Answered, is_right, judge_sampled, majority_class, right_of
from engine.evaluation.sampled import Sampled
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
    assert judge_sampled("number", gold, rounds) == {
        "a": Sampled(3, 2, True),
        "b": Sampled(3, 1, False),
        "c": Sampled(3, 0, False),  # nothing was said
    }  # d has no gold


def test_the_earliest_of_equally_common_answers_is_the_majority() -> None:
    def vote(*answers: str | None) -> bool:
        return judge_sampled("number", {"a": "1"}, [[answered("a", answer)] for answer in answers])["a"].majority

    assert vote("1", "2")
    assert not vote("2", "1")
    assert vote(None, None, "1")
    assert vote("2", "1", "3", "1.0")


def test_majority_class_is_the_commonest_label() -> None:
    assert majority_class(["3", "1", "3"]) == "3"
    assert majority_class([]) is None
