"""The baselines of Turning Dust into Gold against loops over rationales in plain Python, and their weights."""

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import cross_entropy

from engine.methods import contrastive, cot_kd, mix, negative_training, unlikelihood
from engine.records import Example, Rationale, Voted
from engine.spec.dust_into_gold import Contrastive, CotKd, Mix, NegativeTraining, Unlikelihood
from engine.students.scoring import token_mean
from engine.training.batches import items
from tests.engine.tiny_t5 import student
from tests.engine.training.test_losses import scores

number = st.floats(0.01, 12.0)


@st.composite
def batches(draw):
    """Scores, and the same as lists: right and wrong of each question, and which of them are drawn."""
    rows = draw(st.integers(1, 4))
    right = [[draw(number) for _ in range(draw(st.integers(0, 3)))] for _ in range(rows)]
    wrong = [[draw(number) for _ in range(draw(st.integers(0, 3)))] for _ in range(rows)]
    uniform = [[draw(st.floats(0, 1, exclude_max=True)) for _ in range(2)] for _ in range(rows)]
    return scores(right, wrong, draw=torch.tensor(uniform, dtype=torch.float64)), right, wrong, uniform


def mean(values: list[float]) -> float:
    return sum(values) / max(len(values), 1)


def flat(lists: list[list[float]]) -> list[float]:
    return [value for row in lists for value in row]


@settings(max_examples=40, deadline=None)
@given(batches())
def test_right_alone_mixed_and_taken_away_equal_their_loops(made) -> None:
    batch, right, wrong, _ = made
    good, bad = flat(right), flat(wrong)
    found = cot_kd.loss(CotKd(), batch)
    assert float(found.loss) == pytest.approx(mean(good))
    assert not found.choice.negative.any()
    assert float(mix.loss(Mix(), batch).loss) == pytest.approx(mean(good + bad))
    found = negative_training.loss(NegativeTraining(weight=0.2, cap=6.0), batch)
    wanted = (sum(good) - 0.2 * sum(min(ce, 6.0) for ce in bad)) / max(len(good + bad), 1)
    assert float(found.loss) == pytest.approx(wanted)
    assert int(found.choice.active.sum()) == sum(ce < 6.0 for ce in bad)


@settings(max_examples=40, deadline=None)
@given(batches())
def test_contrastive_is_a_hinge_on_one_drawn_pair_a_question(made) -> None:
    batch, right, wrong, uniform = made
    gaps = [
        max(0.0, 1.5 + good[int(u[0] * len(good))] - bad[int(u[1] * len(bad))])
        for good, bad, u in zip(right, wrong, uniform, strict=True)
        if good and bad
    ]
    found = contrastive.loss(Contrastive(weight=0.3, margin=1.5), batch)
    assert float(found.loss) == pytest.approx(mean(flat(right)) + 0.3 * mean(gaps))
    assert int(found.choice.active.sum()) == sum(gap > 0 for gap in gaps)


@settings(max_examples=30, deadline=None)
@given(batches())
def test_the_weights_told_are_the_gradient(made) -> None:
    batch, right, wrong, _ = made
    for config, method, total in (
        (CotKd(), cot_kd, len(flat(right))),
        (Mix(), mix, len(flat(right + wrong))),
        (NegativeTraining(cap=6.0), negative_training, len(flat(right + wrong))),
        (Contrastive(), contrastive, len(flat(right))),
    ):
        up, down = (x.clone().requires_grad_() for x in (batch.positive_ce, batch.negative_ce))
        found = method.loss(config, replace(batch, positive_ce=up, negative_ce=down))
        found.loss.backward()
        assert up.grad is not None
        torch.testing.assert_close(up.grad * max(total, 1), found.positive_weight.to(up.dtype))
        lower = torch.zeros_like(down) if down.grad is None else down.grad
        torch.testing.assert_close(-lower * max(total, 1), found.negative_weight.to(down.dtype))


def test_unlikelihood_by_hand() -> None:
    batch = scores([[1.0, 3.0], []], [[2.0], [4.0]])
    unlikely = torch.tensor([[0.2], [0.6]], dtype=torch.float64, requires_grad=True)
    found = unlikelihood.loss(Unlikelihood(weight=0.25), replace(batch, negative_unlikely=unlikely))
    assert float(found.loss.detach()) == pytest.approx(2.0 + 0.25 * 0.4)
    found.loss.backward()
    assert unlikely.grad is not None
    assert unlikely.grad.tolist() == [[0.125], [0.125]]
    assert (found.negative_weight / 2).tolist() == [[0.125], [0.125]]  # of N = 2 right rationales


def test_a_token_that_is_certain_has_a_finite_unlikelihood() -> None:
    states = torch.tensor([[[0.0], [60.0], [-1.0]]], requires_grad=True)
    labels, real = torch.tensor([[1, 1, 0]]), torch.tensor([[True, True, True]])

    def logits(hidden: torch.Tensor) -> torch.Tensor:
        return torch.cat([torch.zeros_like(hidden), hidden], dim=-1)

    found = token_mean(states, labels, real, logits, 2, unlikely=True)
    found.sum().backward()
    assert states.grad is not None
    assert torch.isfinite(states.grad).all()
    chance = [0.5, 1 - 1e-6, 1 / (1 + math.exp(-1.0))]
    assert float(found.detach()) == pytest.approx(mean([-math.log(1 - p) for p in chance]), rel=1e-3)
    plain = token_mean(states, labels, real, logits, 2)
    assert float(plain.detach()) == pytest.approx(float(cross_entropy(logits(states[0]), labels[0]).detach()))


def test_the_label_is_known_but_not_learnt_and_a_question_of_wrong_ones_alone_stays() -> None:
    def rationale(number: int, polarity) -> Rationale:
        return Rationale(number, "x", "2 plus 2", "4", "strict", polarity, "teacher")

    def voted(*sides: str) -> Voted:
        right = tuple(rationale(0, "positive") for side in sides if side == "right")
        wrong = tuple(rationale(1, "negative") for side in sides if side == "wrong")
        return Voted(Example("x", "how many", "4"), "4", 3, 5, False, right, wrong)

    some = [voted("right", "wrong"), voted("wrong"), voted()]
    found = items(student(), mix, Mix(), some, labels="gold", answer_in_rationale=True)
    assert [(len(x.positives), len(x.negatives), x.label, x.answer) for x in found] == [
        (1, 1, None, "4"),
        (0, 1, None, "4"),
    ]
    assert not items(student(), cot_kd, CotKd(), [voted("wrong")], labels="gold", answer_in_rationale=True)
