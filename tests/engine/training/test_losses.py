"""The losses against loops over examples in plain Python, and against numbers worked by hand."""

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.methods import dss, finetune, positives, qcrd
from engine.spec.methods import Dss, Finetune, Positives, Qcrd, QcrdDiscriminator, QcrdLoss, QcrdNegatives
from engine.training.losses import Choice, Scores, anchored, bradley_terry, choose, contrastive, pick_drawn, ranking


def scores(positive_ce, negative_ce, positive_s=None, negative_s=None, predict=None, draw=None) -> Scores:
    """Ragged lists -> padded float64 matrices."""
    rows = len(positive_ce)
    positive_s = positive_s or [[1.0] * len(row) for row in positive_ce]
    negative_s = negative_s or [[0.0] * len(row) for row in negative_ce]
    predict = predict if predict is not None else [None] * rows

    def pad(ragged):
        width = max(1, *(len(row) for row in ragged))
        values = [[*row, *[0.0] * (width - len(row))] for row in ragged]
        mask = [[j < len(row) for j in range(width)] for row in ragged]
        return torch.tensor(values, dtype=torch.float64), torch.tensor(mask)

    p, pm = pad(positive_ce)
    n, nm = pad(negative_ce)
    return Scores(
        predict_ce=torch.tensor([v or 0.0 for v in predict], dtype=torch.float64),
        predict_mask=torch.tensor([v is not None for v in predict]),
        positive_ce=p,
        positive_mask=pm,
        negative_ce=n,
        negative_mask=nm,
        positive_quality=pad(positive_s)[0],
        negative_quality=pad(negative_s)[0],
        draw=draw if draw is not None else torch.zeros(rows, 2, dtype=torch.float64),
    )


def naive(config: QcrdLoss, select: str, s: Scores, normalise: bool) -> float:
    """L_cl as the paper writes it, one example after the other."""
    rows = []
    for i in range(len(s.positive_ce)):
        good = [j for j in range(s.positive_ce.shape[1]) if s.positive_mask[i, j]]
        bad = [j for j in range(s.negative_ce.shape[1]) if s.negative_mask[i, j]]
        if good:
            rows.append((i, good, bad))
    ce = lambda i, j: float(s.positive_ce[i, j])  # noqa: E731
    bad_ce = lambda i, j: float(s.negative_ce[i, j])  # noqa: E731
    reference = dict.fromkeys(range(len(s.positive_ce)), 0.0)
    hinge = lambda i, j: min(bad_ce(i, j) - reference[i] - config.delta, 0.0)  # noqa: E731
    beta = config.beta * (min(1.0, s.progress / config.ramp) if config.ramp else 1.0)
    quality = lambda i, j: float(s.positive_quality[i, j])  # noqa: E731
    badness = lambda i, j: 1 - float(s.negative_quality[i, j])  # noqa: E731
    chosen = []
    for i, good, bad in rows:
        if config.scheme == "minmax":
            up = [min(good, key=lambda j: ce(i, j))]
            by = max if select == "max" else min
            down = [by(bad, key=lambda j: bad_ce(i, j))] if bad else []
        elif config.scheme == "maxmin":
            up = [max(good, key=lambda j: ce(i, j))]
            down = [min(bad, key=lambda j: bad_ce(i, j))] if bad else []
        elif config.scheme == "sampling":
            up = [good[int(float(s.draw[i, 0]) * len(good))]]
            down = [bad[int(float(s.draw[i, 1]) * len(bad))]] if bad else []
        else:
            up, down = good, bad
        chosen.append((i, up, down))
        if config.hinge == "margin":
            reference[i] = sum(ce(i, j) for j in up) / len(up)
    ups = [quality(i, j) for i, up, _ in chosen for j in up]
    downs = [badness(i, j) for i, _, down in chosen for j in down]
    up_level = max(sum(ups) / len(ups), 1e-6) if normalise and ups else 1.0
    down_level = max(sum(downs) / len(downs), 1e-6) if normalise and downs else 1.0
    total = 0.0
    for i, up, down in chosen:
        if config.scheme == "weighted-mean":
            whole = max(sum(quality(i, j) for j in up), 1e-6)
            total += sum(quality(i, j) / whole * ce(i, j) for j in up)
            whole = max(sum(badness(i, j) for j in down), 1e-6)
            total -= beta * sum(badness(i, j) / whole * hinge(i, j) for j in down)
        else:
            total += sum(quality(i, j) / up_level * ce(i, j) for j in up) / len(up)
            if down:
                total -= beta * sum(badness(i, j) / down_level * hinge(i, j) for j in down) / len(down)
    return total / max(len(rows), 1)


number = st.floats(0.01, 8.0)
share = st.floats(0.0, 1.0)


@st.composite
def batches(draw):
    rows = draw(st.integers(1, 5))
    shape = [(draw(st.integers(0, 4)), draw(st.integers(0, 3))) for _ in range(rows)]
    lists = lambda value, side: [[draw(value) for _ in range(s[side])] for s in shape]  # noqa: E731
    uniform = st.floats(0, 1, exclude_max=True)
    return scores(
        lists(number, 0),
        lists(number, 1),
        lists(share, 0),
        lists(share, 1),
        draw=torch.tensor([[draw(uniform), draw(uniform)] for _ in range(rows)], dtype=torch.float64),
    )


@settings(max_examples=150, deadline=None)
@given(
    batches(),
    st.sampled_from(["minmax", "maxmin", "sampling", "mean", "weighted-mean"]),
    st.sampled_from(["max", "min"]),
    st.booleans(),
    st.sampled_from(["absolute", "margin"]),
    st.sampled_from([(0.0, 0.0), (0.5, 0.2), (0.5, 0.7)]),
)
def test_contrastive_equals_the_paper_written_as_a_loop(batch, scheme, select, normalise, hinge, ramp_and_progress):
    ramp, progress = ramp_and_progress
    config = QcrdLoss(scheme=scheme, hinge=hinge, ramp=ramp)
    batch = replace(batch, progress=progress)
    choice = choose(config, select, batch)
    found, _, _ = contrastive(config, batch, choice, normalise)
    assert float(found) == pytest.approx(naive(config, select, batch, normalise), rel=1e-9, abs=1e-9)


def test_contrastive_by_hand():
    # one example: min CE 0.5 with s 0.8; the easiest negative has CE 2, s 0.25: 0.8*0.5 - 0.2*0.75*(2 - 3) = 0.55
    batch = scores([[0.5, 0.9]], [[2.0, 1.0]], [[0.8, 0.3]], [[0.25, 0.9]])
    config = QcrdLoss()
    total, positive_weight, negative_weight = contrastive(config, batch, choose(config, "max", batch), normalise=False)
    assert float(total) == pytest.approx(0.55)
    assert positive_weight.tolist() == [[pytest.approx(0.8), 0.0]]
    assert negative_weight.tolist() == [[pytest.approx(0.15), 0.0]]


def test_one_negative_beyond_delta_silences_the_whole_term_under_max_and_none_under_min():
    batch = scores([[1.0]], [[4.1, 1.0]])
    config = QcrdLoss()
    easiest, hardest = choose(config, "max", batch), choose(config, "min", batch)
    assert easiest.negative.tolist() == [[True, False]]
    assert not easiest.active.any()
    assert float(contrastive(config, batch, easiest, False)[0]) == pytest.approx(1.0)
    assert hardest.active.tolist() == [[False, True]]
    assert float(contrastive(config, batch, hardest, False)[0]) == pytest.approx(1.0 + 0.2 * 2.0)


def test_a_silent_negative_adds_nothing_when_the_positive_has_moved_since_the_choice():
    config = QcrdLoss(hinge="margin", delta=1.0)
    before = scores([[1.0]], [[2.05]])
    choice = choose(config, "max", before)
    assert not choice.active.any()
    after = scores([[1.2]], [[2.05]])  # dropout: now it would be within the margin
    assert float(contrastive(config, after, choice, False)[0]) == pytest.approx(1.2)


def test_an_example_without_a_positive_is_in_neither_the_sum_nor_n():
    with_it = scores([[1.0], []], [[1.0], [0.5]])
    without = scores([[1.0]], [[1.0]])
    config = QcrdLoss()
    for normalise in (False, True):
        a = contrastive(config, with_it, choose(config, "max", with_it), normalise)[0]
        b = contrastive(config, without, choose(config, "max", without), normalise)[0]
        assert float(a) == pytest.approx(float(b))


def test_normalising_sets_the_mean_weight_of_the_chosen_to_one():
    batch = scores([[1.0], [2.0], [0.5]], [[1.0], [], [2.0]], [[0.1], [0.2], [0.3]], [[0.9], [], [0.7]])
    config = QcrdLoss()
    _, positive_weight, negative_weight = contrastive(config, batch, choose(config, "max", batch), normalise=True)
    assert float(positive_weight.sum() / 3) == pytest.approx(1.0)
    assert float(negative_weight.sum() / 2) == pytest.approx(config.beta)


def test_no_gradient_reaches_the_discriminator_through_the_student_loss():
    batch = scores([[1.0, 2.0]], [[1.0]], [[0.4, 0.6]], [[0.5]], predict=[1.0])
    quality = batch.positive_quality.clone().requires_grad_()
    ce = batch.positive_ce.clone().requires_grad_()
    outcome = qcrd.loss(Qcrd(), replace(batch, positive_quality=quality, positive_ce=ce))
    outcome.loss.backward()
    assert quality.grad is None
    assert ce.grad is not None
    assert ce.grad[0, 0] > 0


def test_silenced_negatives_get_no_gradient_and_active_ones_are_pushed_up():
    batch = scores([[1.0], [1.0]], [[3.5], [2.5]])
    ce = batch.negative_ce.clone().requires_grad_()
    loss = qcrd.loss(Qcrd(), replace(batch, negative_ce=ce)).loss
    loss.backward()
    assert ce.grad is not None
    assert ce.grad[0, 0] == 0
    assert ce.grad[1, 0] < 0


def test_ranking_by_hand():
    # -log((e^0.9 + e^0.8) / e^0.3) for the first; the second has no negative and does not count
    positive = torch.tensor([[0.9, 0.8], [0.5, 0.0]], dtype=torch.float64)
    negative = torch.tensor([[0.3], [0.0]], dtype=torch.float64)
    found = ranking(positive, torch.tensor([[True, True], [True, False]]), negative, torch.tensor([[True], [False]]))
    assert float(found) == pytest.approx(-math.log((math.exp(0.9) + math.exp(0.8)) / math.exp(0.3)))


def test_ranking_without_pairs_is_zero_and_can_be_differentiated():
    s = torch.rand(2, 1, requires_grad=True)
    mask = torch.tensor([[True], [True]])
    loss = ranking(s, mask, torch.zeros(2, 1), torch.zeros(2, 1, dtype=torch.bool))
    loss.backward()
    assert float(loss.detach()) == 0.0
    assert s.grad is not None
    assert s.grad.abs().sum() == 0


def test_sampling_draws_every_candidate_equally_often():
    mask = torch.tensor([[True, False, True, True]]).repeat(3000, 1)
    draw = torch.rand(3000, generator=torch.Generator().manual_seed(0))
    share = pick_drawn(draw, mask).float().mean(dim=0)
    assert share[1] == 0
    assert all(abs(float(x) - 1 / 3) < 0.03 for x in share[[0, 2, 3]])


def test_methods_without_contrast_by_hand():
    batch = scores([[0.7, 0.4], [2.0]], [[], []], predict=[1.0, None])
    assert float(finetune.loss(Finetune(), batch).loss) == pytest.approx(1.0)
    found = positives.loss(Positives(alpha_predict=0.3, alpha_explain=0.7), batch)
    assert float(found.loss) == pytest.approx(0.3 * 1.0 + 0.7 * (0.4 + 2.0) / 2)
    assert found.choice.positive.tolist() == [[False, True], [True, False]]
    assert float(dss.loss(Dss(), batch).loss) == pytest.approx(0.5 * 1.0 + 0.5 * 1.2)


def test_the_second_pass_keeps_the_choice_of_the_first():
    batch = scores([[0.7, 0.4]], [[1.0, 2.0]])
    other = Choice(torch.tensor([[True, False]]), torch.tensor([[True, False]]), torch.tensor([[True, False]]))
    config = Qcrd(
        loss=QcrdLoss(alpha_predict=0),
        negatives=QcrdNegatives(),
        discriminator=QcrdDiscriminator(normalise=False),
    )
    assert float(qcrd.loss(config, replace(batch, choice=other)).terms["contrast"]) == pytest.approx(
        0.7 - 0.2 * (1.0 - 3.0)
    )


def sigmoid(z: float) -> float:
    return 1 / (1 + math.exp(-z))


def test_the_discriminators_other_losses_by_hand():
    up, down = torch.tensor([[1.0, 2.0], [0.5, 0.0]]), torch.tensor([[0.0, 0.0], [-1.0, 3.0]])
    up_mask, down_mask = torch.tensor([[True, True], [True, False]]), torch.tensor([[True, False], [True, True]])
    first = -(math.log(sigmoid(1.0)) + math.log(sigmoid(2.0))) / 2 - math.log(sigmoid(0.0))
    second = -math.log(sigmoid(0.5)) - (math.log(sigmoid(1.0)) + math.log(sigmoid(-3.0))) / 2
    assert float(anchored(up, up_mask, down, down_mask)) == pytest.approx((first + second) / 2)
    first = -(math.log(sigmoid(1.0)) + math.log(sigmoid(2.0))) / 2
    second = -(math.log(sigmoid(1.5)) + math.log(sigmoid(-2.5))) / 2
    assert float(bradley_terry(up, up_mask, down, down_mask)) == pytest.approx((first + second) / 2)


def test_an_example_without_both_sides_teaches_the_discriminator_nothing():
    up, down = torch.tensor([[1.0], [5.0]], requires_grad=True), torch.tensor([[0.0], [7.0]])
    up_mask, down_mask = torch.tensor([[True], [True]]), torch.tensor([[True], [False]])
    for loss in (anchored, bradley_terry):
        (gradient,) = torch.autograd.grad(loss(up, up_mask, down, down_mask), up)
        assert gradient[0, 0] != 0
        assert gradient[1, 0] == 0
