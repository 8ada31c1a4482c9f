"""What each method trains an example on."""

import pytest

from engine.methods.table import METHODS
from engine.records import Example, Rationale, Voted
from engine.spec.methods import METHOD_MODELS, Dss, Finetune, Mi, Orpo, Positives, Qcrd, QcrdNegatives, Redi, SingleTask
from engine.spec.negatives import Negatives


def rationale(slot: int, answer: str | None, polarity) -> Rationale:
    return Rationale(slot, "x", f"because {slot}", answer, "strict", polarity, "teacher", slot=slot)


# the first sample is wrong: 7; the vote says 5; gold says 6
VOTED = Voted(
    example=Example("x", "how many?", "6"),
    answer="5",
    votes=2,
    parsed=3,
    tie=False,
    positives=(rationale(1, "5", "positive"), rationale(3, "5", "positive")),
    negatives=(rationale(0, "7", "negative"),),
    others=(rationale(2, None, "unparsed"),),
)
TIE = Voted(VOTED.example, None, 1, 2, True, (), (), (rationale(0, "7", "dropped"), rationale(1, "5", "dropped")))


def supervise(config, voted=VOTED, labels="teacher"):
    found = METHODS[config.name].supervise(config, voted, labels)
    return found.label, [r.slot for r in found.positives], [r.slot for r in found.negatives]


@pytest.mark.parametrize(
    ("config", "by_teacher", "by_gold"),
    [
        (Finetune(), ("6", [], []), ("6", [], [])),
        (SingleTask(), ("5", [], []), ("5", [], [])),
        (Dss(samples="first"), ("7", [0], []), ("6", [0], [])),
        (Dss(samples="majority"), ("5", [1], []), ("6", [1], [])),
        (Mi(), ("5", [1], []), ("6", [1], [])),
        (Positives(), ("5", [1, 3], []), ("6", [1, 3], [])),
        (Qcrd(), ("5", [1, 3], [0]), ("6", [1, 3], [0])),
        (Qcrd(negatives=QcrdNegatives(sources=("self",))), ("5", [1, 3], []), ("6", [1, 3], [])),
        (Orpo(), ("5", [1, 3], [0]), ("6", [1, 3], [0])),
        (Redi(negatives=Negatives(sources=("self",))), ("5", [1, 3], []), ("6", [1, 3], [])),
    ],
)
def test_label_positives_and_negatives(config, by_teacher, by_gold) -> None:
    assert supervise(config) == by_teacher
    assert supervise(config, labels="gold") == by_gold


@pytest.mark.parametrize(
    "config", [SingleTask(), Dss(samples="first"), Dss(), Mi(), Positives(), Qcrd(), Orpo(), Redi()]
)
def test_a_tie_leaves_the_example_out_of_every_teacher_supervised_method_alike(config) -> None:
    assert supervise(config, TIE) == (None, [], [])


def test_every_method_of_the_spec_is_in_the_table() -> None:
    assert METHODS.keys() == METHOD_MODELS.keys() - {"ranking"}  # which trains no student


def test_the_first_sample_of_dss_is_one_with_an_answer_and_a_rationale() -> None:
    bare = Rationale(0, "x", "", "7", "strict", "dropped", "teacher", slot=0)
    whole = rationale(1, "5", "positive")
    some = Voted(VOTED.example, "5", 1, 2, False, (whole,), (), (bare,))
    assert supervise(Dss(samples="first"), some) == ("5", [1], [])
    none = Voted(VOTED.example, None, 0, 0, False, (), (), (rationale(0, None, "unparsed"),))
    assert supervise(Dss(samples="first"), none, labels="gold") == ("6", [], [])
    assert supervise(Dss(samples="first"), none) == (None, [], [])
