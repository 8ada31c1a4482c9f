"""The step against the naive one: every rationale through the whole model, all with gradient."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from engine.bench.naive import batch, cross_entropies, naive_scores
from engine.judge.discriminator import build
from engine.methods import (
    contrastive,
    cot_kd,
    dss,
    mix,
    negative_training,
    orpo,
    positives,
    qcrd,
    redi,
    unlikelihood,
)
from engine.methods.table import wants
from engine.spec.dust_into_gold import Contrastive, CotKd, Mix, NegativeTraining, Unlikelihood
from engine.spec.methods import Dss, Orpo, Positives, Qcrd, QcrdLoss, QcrdNegatives, Redi
from engine.training.batches import parted
from engine.training.losses import Wants
from engine.training.step import Row, step
from tests.engine.tiny_causal import student as causal_student
from tests.engine.tiny_t5 import item, student, text


@pytest.fixture(autouse=True)
def _float64():
    """Both ways in double precision: what is left of a difference is a mistake, not rounding."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def gradients(s) -> dict[str, torch.Tensor]:
    return {n: p.grad.clone() if p.grad is not None else torch.zeros_like(p) for n, p in s.model.named_parameters()}


def negatives_of(config, x):
    """An item's negatives; where they count from where they part, some begin as a positive does."""
    if not isinstance(config, Qcrd) or config.negatives.tokens == "all":
        return x.negatives
    begun = [x.positives[0].tokens[:j] if x.positives else [] for j in range(len(x.negatives))]
    longer = [replace(c, tokens=[*b, *c.tokens]) for b, c in zip(begun, x.negatives, strict=True)]
    return tuple(parted(c, x.positives) for c in longer)


def token_unlikelihoods(s, rows: Sequence[Row], mask: torch.Tensor) -> torch.Tensor:
    """Token-mean -log(1 - p) of every negative, one after the other, by transformers' own forward."""
    found = torch.zeros(mask.shape)
    for i, j in mask.nonzero().tolist():
        made = batch(s, [rows[i].item.explain], [rows[i].negatives[j].tokens])
        logits = s.model(input_ids=made.input_ids, attention_mask=made.attention_mask, labels=made.labels).logits
        chances = torch.softmax(logits[0], dim=-1)
        tokens = rows[i].negatives[j].tokens
        if not s.model.config.is_encoder_decoder:
            chances = chances[len(rows[i].item.explain) - 1 : -1]
        own = chances[torch.arange(len(tokens)), torch.tensor(tokens)]
        found[i, j] = -torch.log(1 - own).mean()
    return found


def compare(
    config, method, shapes: Sequence[tuple[int, int, bool]], seed: int, with_judge: bool, kind: str = "t5"
) -> None:
    s = student(seed=seed) if kind == "t5" else causal_student(kind, seed)
    random = torch.Generator().manual_seed(seed)
    items = [item(s, random, m, k, label) for m, k, label in shapes]
    rows = [Row(x, negatives_of(config, x), judge_all=i % 2 == 0) for i, x in enumerate(items)]
    draw = torch.rand(len(rows), 2, generator=random)
    judge = build("student-sized", student(seed=seed), 64, 64, seed) if with_judge else None

    def quality(r, c):
        with torch.no_grad():
            return judge([judge.pair(r.item.example.question, c.text)])[0]

    s.model.train()
    asked = wants(method, config)
    fast = step(s, judge, lambda x: method.loss(config, x), rows, draw, wants=asked)
    found = gradients(s)
    s.model.zero_grad()
    every = naive_scores(s, rows, quality if judge else None, draw)
    if asked.unlikely:
        every = replace(every, negative_unlikely=token_unlikelihoods(s, rows, every.negative_mask))
    slow = method.loss(config, every)
    slow.loss.backward()
    wanted = gradients(s)
    assert float(fast.outcome.loss.detach()) == pytest.approx(float(slow.loss.detach()), rel=1e-6)
    for name, gradient in wanted.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-5, atol=1e-6, msg=name)
    assert torch.equal(fast.outcome.choice.positive, slow.choice.positive)
    assert torch.equal(fast.outcome.choice.active, slow.choice.active)


@settings(max_examples=12, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3), st.booleans()), min_size=1, max_size=4),
    st.sampled_from(["minmax", "maxmin", "sampling", "mean", "weighted-mean"]),
    st.sampled_from(["max", "min"]),
    st.sampled_from(["absolute", "margin"]),
    st.sampled_from(["all", "parted"]),
    st.integers(0, 1000),
)
def test_fast_equals_naive_for_ragged_batches(shapes, scheme, select, hinge, tokens, seed):
    assume(any(m or label for m, _, label in shapes))  # an item without either is never made
    delta = 4.5 if hinge == "absolute" else 0.5
    config = Qcrd(
        loss=QcrdLoss(scheme=scheme, delta=delta, hinge=hinge), negatives=QcrdNegatives(select=select, tokens=tokens)
    )
    compare(config, qcrd, shapes, seed, with_judge=True)


@settings(max_examples=10, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3), st.booleans()), min_size=1, max_size=4),
    st.sampled_from(["minmax", "maxmin", "sampling", "mean"]),
    st.sampled_from(["llama", "qwen2", "gpt2"]),
    st.sampled_from(["all", "parted"]),
    st.integers(0, 1000),
)
def test_fast_equals_naive_for_causal_students(shapes, scheme, kind, tokens, seed):
    assume(any(m or label for m, _, label in shapes))
    # about half of the negatives of a fresh model are beyond it
    config = Qcrd(loss=QcrdLoss(scheme=scheme, delta=4.5), negatives=QcrdNegatives(tokens=tokens))
    compare(config, qcrd, shapes, seed, with_judge=True, kind=kind)


@pytest.mark.parametrize("shapes", [[(1, 0, True)], [(4, 2, True), (1, 1, False), (0, 2, True)], [(2, 0, False)]])
def test_fast_equals_naive_for_the_plain_methods(shapes):
    compare(Positives(), positives, shapes, 1, with_judge=False)
    compare(Orpo(), orpo, shapes, 1, with_judge=False)
    compare(Redi(supervised=0.0), redi, shapes, 1, with_judge=False)
    compare(Dss(), dss, [(min(m, 1), 0, label) for m, _, label in shapes], 1, with_judge=False)
    compare(Positives(), positives, shapes, 1, with_judge=False, kind="llama")


@pytest.mark.parametrize("kind", ["t5", "llama"])
def test_fast_equals_naive_for_the_methods_of_rationales_alone(kind: str):
    shapes = [(4, 2, False), (1, 1, False), (0, 2, False), (2, 0, False)]
    compare(CotKd(), cot_kd, shapes, 1, with_judge=False, kind=kind)
    compare(Mix(), mix, shapes, 1, with_judge=False, kind=kind)
    compare(Contrastive(), contrastive, shapes, 1, with_judge=False, kind=kind)
    compare(NegativeTraining(cap=4.5), negative_training, shapes, 1, with_judge=False, kind=kind)
    compare(Unlikelihood(), unlikelihood, shapes, 1, with_judge=False, kind=kind)


def test_micro_batches_change_no_unlikelihood():
    s = student()
    random = torch.Generator().manual_seed(2)
    rows = [Row(x, x.negatives, False) for x in (item(s, random, m, k, False) for m, k in ((2, 1), (1, 2), (3, 0)))]
    found = []
    for micro_batch in (0, 1):
        s.model.zero_grad()
        taken = step(
            s, None, lambda x: unlikelihood.loss(Unlikelihood(), x), rows, torch.zeros(3, 2), micro_batch=micro_batch,
            wants=Wants(unlikely=True),
        )  # fmt: skip
        found.append((float(taken.outcome.loss), gradients(s)))
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-9)
    for name, gradient in found[0][1].items():
        torch.testing.assert_close(found[1][1][name], gradient, rtol=1e-6, atol=1e-9)


def test_a_batch_of_many_is_scored_in_length_buckets_and_comes_back_in_order():
    s = student()
    random = torch.Generator().manual_seed(3)
    prompts = [s.prompt("explain: " + text(random, 2)) for _ in range(5)]
    targets = [s.target(text(random, 1, 20)) for _ in range(40)]
    owners = [int(i) for i in torch.randint(5, (40,), generator=random)]
    s.model.eval()
    with torch.no_grad():
        found = s.score(s.encode(prompts), owners, targets)
        wanted = cross_entropies(s, [prompts[i] for i in owners], targets)
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)


def test_judged_are_the_chosen_the_students_own_and_whole_rows_that_ask():
    s = student()
    random = torch.Generator().manual_seed(0)
    items = [item(s, random, 3, 2) for _ in range(2)]
    rows = [Row(items[0], items[0].negatives, judge_all=True), Row(items[1], items[1].negatives, judge_all=False)]
    judge = build("student-sized", s, 64, 64, 0)
    found = step(s, judge, lambda x: qcrd.loss(Qcrd(), x), rows, torch.rand(2, 2))
    assert found.judged_positive[0].all()
    assert found.judged_negative[0].all()
    assert found.judged_positive[1].sum() == 1
    assert found.judged_negative[1].sum() == 1
