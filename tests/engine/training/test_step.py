"""The step against the naive one: every rationale through the whole model, all with gradient."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from engine.bench.naive import cross_entropies, naive_scores
from engine.judge.discriminator import build
from engine.methods import dss, orpo, positives, qcrd, redi
from engine.spec.methods import Dss, Orpo, Positives, Qcrd, QcrdLoss, QcrdNegatives, Redi
from engine.training.batches import parted
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
    fast = step(s, judge, lambda x: method.loss(config, x), rows, draw)
    found = gradients(s)
    s.model.zero_grad()
    slow = method.loss(config, naive_scores(s, rows, quality if judge else None, draw))
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
