"""Micro-batches: the loss and every gradient of the whole batch, whatever the method."""

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from engine.judge.discriminator import build
from engine.methods.table import METHODS
from engine.spec.methods import METHOD_MODELS, Mi, Qcrd, QcrdLoss, QcrdNegatives
from engine.training.losses import Wants
from engine.training.step import Row, step
from tests.engine.tiny_t5 import item, student

SCHEMES = ("minmax", "maxmin", "sampling", "mean", "weighted-mean")
CONFIGS = [Qcrd(loss=QcrdLoss(scheme=scheme, delta=4.5)) for scheme in SCHEMES]  # type: ignore[arg-type]
CONFIGS += [Qcrd(negatives=QcrdNegatives(select="min"), loss=QcrdLoss(delta=4.0))]
CONFIGS += [
    Mi(form="corrected"),
    *(model() for name, model in METHOD_MODELS.items() if name not in ("qcrd", "ranking")),
]


SINGLE = pytest.param((torch.float32, 1e-5), marks=pytest.mark.slow, id="float32")


@pytest.fixture(params=[pytest.param((torch.float64, 1e-9), id="float64"), SINGLE])
def precision(request):
    torch.set_default_dtype(request.param[0])
    yield request.param
    torch.set_default_dtype(torch.float32)


def learnt(s, judge, config, rows, draw, micro_batch):
    s.model.zero_grad()
    pads = config.form == "released" if config.name == "mi" else None
    stepped = step(
        s, judge, lambda x: METHODS[config.name].loss(config, x), rows, draw, 0.9, Wants(pads=pads), micro_batch
    )
    return stepped, {n: p.grad.clone() for n, p in s.model.named_parameters() if p.grad is not None}


def compare(config, shapes, micro_batch, seed, tolerance):
    s = student(seed=seed)
    random = torch.Generator().manual_seed(seed)
    if config.name in ("finetune", "single-task"):
        shapes = [(0, 0, True) for _ in shapes]
    elif config.name in ("dss", "mi"):
        shapes = [(min(m, 1), 0, label or m == 0) for m, _, label in shapes]
    items = [item(s, random, m, k, label) for m, k, label in shapes]
    rows = [Row(x, x.negatives, judge_all=i % 2 == 0) for i, x in enumerate(items)]
    draw = torch.rand(len(rows), 2, generator=random)
    judge = build("student-sized", s, 64, 64, seed) if config.name == "qcrd" else None
    s.model.train()
    whole, wanted = learnt(s, judge, config, rows, draw, 0)
    parts, found = learnt(s, judge, config, rows, draw, micro_batch)
    assert wanted.keys() == found.keys()
    for name, gradient in wanted.items():
        scale = max(1.0, gradient.abs().max().item())  # sums in another order round by what they are sums of
        torch.testing.assert_close(found[name], gradient, rtol=tolerance, atol=tolerance * scale, msg=name)
    torch.testing.assert_close(parts.outcome.loss, whole.outcome.loss, rtol=tolerance, atol=tolerance)
    for name, value in whole.outcome.terms.items():
        torch.testing.assert_close(parts.outcome.terms[name], value, rtol=tolerance, atol=tolerance)
    for name in ("predict_ce", "positive_ce", "negative_ce", "positive_quality", "negative_quality"):
        torch.testing.assert_close(
            getattr(parts.scores, name), getattr(whole.scores, name), rtol=tolerance, atol=tolerance
        )
    for name in ("positive", "negative", "active"):
        assert torch.equal(getattr(parts.outcome.choice, name), getattr(whole.outcome.choice, name))
    assert parts.target_tokens == whole.target_tokens


@pytest.mark.slow
@settings(max_examples=20, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2), st.booleans()), min_size=2, max_size=5),
    st.integers(1, 4),
    st.sampled_from(CONFIGS),
    st.integers(0, 1000),
)
def test_micro_batches_give_the_whole_batchs_loss_and_gradients(shapes, micro_batch, config, seed):
    assume(all(m or label for m, _, label in shapes))  # an item without either is never made
    torch.set_default_dtype(torch.float64)
    try:
        compare(config, shapes, micro_batch, seed, 1e-9)
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("config", CONFIGS, ids=lambda c: f"{c.name}-{c.loss.scheme}" if c.name == "qcrd" else c.name)
def test_every_method_and_scheme_on_a_ragged_batch(config, precision):
    shapes = [(3, 2, True), (1, 0, False), (0, 1, True), (2, 2, True), (1, 1, False)]
    compare(config, shapes, 2, 5, precision[1])


def test_a_part_without_a_label_and_one_without_a_candidate_are_no_special_cases():
    compare(CONFIGS[0], [(2, 1, False), (0, 0, True)], 1, 3, 1e-5)
