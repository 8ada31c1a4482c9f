"""The term that ties the heads, against the model's own logits in a plain loop."""

import math

import pytest
import torch

from engine.bench.naive import naive_scores
from engine.methods import mi
from engine.spec.methods import Mi
from engine.training.losses import Wants
from engine.training.step import Row, step
from tests.engine.tiny_t5 import item, student
from tests.engine.training.test_step import gradients


@pytest.fixture(autouse=True)
def _float64():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def naive_pooled(s, prompts, targets, pads: bool) -> torch.Tensor:
    """transformers' own forward on the padded batch, as the released code has it."""
    longest = max(map(len, targets))
    wide = max(map(len, prompts))
    ids = torch.tensor([[*p, *[0] * (wide - len(p))] for p in prompts])
    labels = torch.tensor([[*t, *[-100] * (longest - len(t))] for t in targets])
    mask = torch.tensor([[1] * len(p) + [0] * (wide - len(p)) for p in prompts])
    logits = s.model(input_ids=ids, attention_mask=mask, labels=labels).logits
    lengths = [longest if pads else len(t) for t in targets]
    return torch.stack([torch.softmax(x[:n], -1).max(dim=0).values for x, n in zip(logits, lengths, strict=True)])


def naive_term(form: str, predict: torch.Tensor, explain: torch.Tensor) -> torch.Tensor:
    if form == "released":
        return torch.nn.CrossEntropyLoss()(explain, predict.detach())
    total = torch.zeros(())
    for p, e in zip(predict.detach(), explain, strict=True):
        total = total - sum(p[v] / p.sum() * torch.log(e[v] / e.sum()) for v in range(len(p)))
    return total / len(predict)


@pytest.mark.parametrize("form", ["released", "corrected"])
def test_the_step_equals_the_models_own_logits_in_a_loop(form: str) -> None:
    s = student(seed=2)
    random = torch.Generator().manual_seed(2)
    shapes = [(1, True), (1, True), (0, True), (1, False), (1, True)]
    items = [item(s, random, m, 0, label) for m, label in shapes]
    rows = [Row(x, (), judge_all=False) for x in items]
    config = Mi(form=form, alpha_mutual=0.7)
    pads = form == "released"
    draw = torch.rand(len(rows), 2)

    fast = step(s, None, lambda x: mi.loss(config, x), rows, draw, wants=Wants(pads=pads))
    found = gradients(s)
    s.model.zero_grad()

    labelled = [x for x in items if x.label]
    explained = [x for x in items if x.positives]
    predict = naive_pooled(s, [x.predict for x in labelled], [x.label for x in labelled], pads)
    explain = naive_pooled(s, [x.explain for x in explained], [x.positives[0].tokens for x in explained], pads)
    # items 0, 1 and 4 have both; 2 has a label alone, 3 a rationale alone
    term = naive_term(form, predict[[0, 1, 3]], explain[[0, 1, 3]])
    plain = mi.loss(config, naive_scores(s, rows, None, draw))
    (plain.loss + 0.7 * term).backward()
    assert float(fast.outcome.terms["mutual"]) == pytest.approx(float(term.detach()), rel=1e-6)
    for name, gradient in gradients(s).items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-5, atol=1e-6, msg=name)


def test_both_forms_by_hand() -> None:
    predict, explain = torch.tensor([[0.8, 0.4]]), torch.tensor([[0.6, 0.9]])
    down = math.log(math.exp(0.6) + math.exp(0.9))
    assert float(mi.tie("released", predict, explain)) == pytest.approx(-(0.8 * (0.6 - down) + 0.4 * (0.9 - down)))
    assert float(mi.tie("corrected", predict, explain)) == pytest.approx(-(2 / 3 * math.log(0.4) + math.log(0.6) / 3))


def test_a_token_that_the_explain_head_never_gives_has_a_finite_loss() -> None:
    predict, explain = torch.tensor([[0.5, 0.5]]), torch.tensor([[1.0, 0.0]])
    assert math.isfinite(float(mi.tie("corrected", predict, explain)))
