"""Negatives from an earlier self: which samples become negatives, and that they are the same when made again."""

import torch

from engine.negatives import self_adversarial
from engine.negatives.sampled import How, write
from engine.spec.methods import QcrdNegatives
from tests.engine.tiny_t5 import item, student


class Scripted:
    """A student that writes what it is told to, in the order of the prompts."""

    def __init__(self, texts: list[str]) -> None:
        self.texts = texts

    def generate(self, prompts, max_new, temperature, generator):
        return [self.texts.pop(0) for _ in prompts]


def written(texts: list[str], drop_right: bool = True, per_example: int = 1):
    s = student()
    random = torch.Generator().manual_seed(0)
    items = [item(s, random, 1, 0) for _ in range(len(texts) // per_example)]
    config, how = QcrdNegatives(per_example=per_example), How(kind="number", max_new=8, drop_right=drop_right)
    task = self_adversarial.task(items, config, iteration=4, seed=0, first_number=10, how=how)
    return write(Scripted(list(texts)), task)


def test_the_right_ones_are_dropped_and_the_empty_ones_are_no_rationale() -> None:
    found = written(["5 makes 7 Answer: 7", "5 makes 3 Answer: 3", "", "no number at all"])
    assert [r.polarity for r in found] == ["negative", "dropped", "unparsed", "negative"]
    assert [r.reason for r in found] == ["", "right", "", ""]
    assert [r.answer for r in found] == ["7", "3", None, None]
    assert [r.number for r in found] == [10, 11, 12, 13]
    assert {(r.source, r.iteration) for r in found} == {("self", 4)}


def test_an_answer_alone_is_no_rationale() -> None:
    found = written(["Answer: 7", "Explanation:"])
    assert [(r.polarity, r.reason) for r in found] == [("dropped", "no rationale"), ("unparsed", "")]


def test_without_a_label_the_answer_of_the_positives_is_right() -> None:
    s = student()
    unlabelled = item(s, torch.Generator().manual_seed(0), 1, 0, label=False)  # its positive ends in 3
    how = How(kind="number", max_new=8, drop_right=True)
    task = self_adversarial.task([unlabelled], QcrdNegatives(), iteration=1, seed=0, first_number=0, how=how)
    found = write(Scripted(["5 makes 3 Answer: 3"]), task)
    assert [r.polarity for r in found] == ["dropped"]


def test_right_ones_stay_where_the_spec_says_so() -> None:
    assert [r.polarity for r in written(["5 makes 3 Answer: 3"], drop_right=False)] == ["negative"]


def test_several_per_example_are_numbered_by_slot() -> None:
    found = written(["1 Answer: 1", "2 Answer: 2", "4 Answer: 4", "5 Answer: 5"], per_example=2)
    assert [r.slot for r in found] == [0, 1, 0, 1]


def test_a_resumed_run_writes_the_same_again() -> None:
    s = student()
    random = torch.Generator().manual_seed(1)
    items = [item(s, random, 1, 0) for _ in range(6)]

    how = How(kind="number", max_new=8, drop_right=True)

    def after(iteration: int):
        torch.manual_seed(iteration * 7)  # whatever the global generator does
        return write(
            s, self_adversarial.task(items, QcrdNegatives(), iteration=iteration, seed=0, first_number=0, how=how)
        )

    assert after(2) == after(2)
    assert [r.text for r in after(2)] != [r.text for r in after(3)]
