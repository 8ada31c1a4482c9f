"""ORPO and REDI against the papers' formulas in fifty digits, one example after the other."""

from dataclasses import replace
from decimal import Decimal, getcontext

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.methods import orpo, redi
from engine.spec.methods import Orpo, Redi
from tests.engine.training.test_losses import scores

getcontext().prec = 50
number = st.floats(1e-3, 30.0)


def log_odds(ce: float) -> Decimal:
    p = (-Decimal(ce)).exp()
    return (p / (1 - p)).ln()


@pytest.mark.parametrize("ce", [1e-6, 1e-4, 0.01, 0.69, 0.7, 1.0, 5.0, 40.0, 700.0])
def test_the_log_odds_are_exact_from_a_sure_target_to_an_impossible_one(ce: float) -> None:
    exact = torch.tensor(ce, dtype=torch.float64, requires_grad=True)
    found = orpo.log_odds(exact)
    found.backward()
    assert float(found.detach()) == pytest.approx(float(log_odds(ce)), rel=1e-9)
    assert exact.grad is not None
    assert float(exact.grad) == pytest.approx(float(-1 / (1 - (-Decimal(ce)).exp())), rel=1e-9)
    assert float(orpo.log_odds(torch.tensor(ce))) == pytest.approx(float(log_odds(ce)), rel=1e-4)


def test_a_target_of_no_loss_at_all_has_a_finite_gradient() -> None:
    batch = scores([[0.0], [0.0]], [[0.0], [1000.0]])
    ce = batch.negative_ce.clone().requires_grad_()
    loss = orpo.loss(Orpo(), replace(batch, negative_ce=ce)).loss
    loss.backward()
    assert torch.isfinite(loss)
    assert ce.grad is not None
    assert torch.isfinite(ce.grad).all()


@st.composite
def batches(draw):
    rows = draw(st.integers(1, 4))
    positive = [[draw(number) for _ in range(draw(st.integers(0, 3)))] for _ in range(rows)]
    negative = [[draw(number) for _ in range(draw(st.integers(0, 3)))] for _ in range(rows)]
    predict = [draw(st.none() | number) for _ in range(rows)]
    uniform = [[draw(st.floats(0, 1, exclude_max=True)) for _ in range(2)] for _ in range(rows)]
    batch = scores(positive, negative, predict=predict, draw=torch.tensor(uniform, dtype=torch.float64))
    pairs = [
        (min(good), bad[int(u[1] * len(bad))] if bad else None)
        for good, bad, u in zip(positive, negative, uniform, strict=True)
        if good
    ]
    labels = [p for p in predict if p is not None]
    return batch, pairs, sum(labels) / max(len(labels), 1)


@settings(max_examples=80, deadline=None)
@given(batches())
def test_orpo_equals_the_paper_written_as_a_loop(made) -> None:
    batch, pairs, predict = made
    total = Decimal(0)
    for good, bad in pairs:
        total += Decimal(good)
        if bad is not None:
            ratio = (log_odds(good) - log_odds(bad)).exp()
            total -= Decimal("0.3") * (ratio / (1 + ratio)).ln()
    found = orpo.loss(Orpo(odds_weight=0.3, alpha_predict=0.4, alpha_explain=0.6), batch)
    wanted = 0.4 * predict + 0.6 * float(total) / max(len(pairs), 1)
    assert float(found.loss) == pytest.approx(wanted, rel=1e-8, abs=1e-12)


@settings(max_examples=30, deadline=None)
@given(batches())
def test_the_weights_that_orpo_reports_are_its_gradient(made) -> None:
    batch, pairs, _ = made
    up, down = (x.clone().requires_grad_() for x in (batch.positive_ce, batch.negative_ce))
    found = orpo.loss(Orpo(alpha_explain=1.0), replace(batch, positive_ce=up, negative_ce=down))
    found.loss.backward()
    n = max(len(pairs), 1)
    torch.testing.assert_close(up.grad * n, found.positive_weight, rtol=1e-8, atol=1e-12)
    torch.testing.assert_close(-down.grad * n, found.negative_weight, rtol=1e-8, atol=1e-12)


@settings(max_examples=50, deadline=None)
@given(batches(), st.sampled_from([0.0, 0.5, 0.79, 0.8, 0.99]))
def test_redi_has_negatives_in_its_second_stage_alone(made, progress: float) -> None:
    batch, pairs, predict = made
    alpha = 0.8 if progress >= 0.8 else 0.0
    total = sum(good - alpha * (bad or 0.0) for good, bad in pairs)
    found = redi.loss(Redi(), replace(batch, progress=progress))
    wanted = 0.5 * predict + 0.5 * total / max(len(pairs), 1)
    assert float(found.loss) == pytest.approx(wanted, rel=1e-9, abs=1e-12)
    assert found.choice.active.any() == (alpha > 0 and any(bad is not None for _, bad in pairs))
