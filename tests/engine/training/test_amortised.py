"""The choice made once an iteration: the same numbers where nothing was learnt since, and a resume bit for bit."""

import torch

from engine.methods import positives, qcrd
from engine.spec.methods import Positives, Qcrd, QcrdLoss
from engine.students.t5 import T5Student
from engine.training import amortised
from engine.training.step import Row, step
from tests.engine.tiny_runs import Said, fresh, numbered, setup, trained, weights
from tests.engine.tiny_t5 import student


def rows_of(s: T5Student, count: int) -> list[Row]:
    """Three positives each, a negative for every other."""
    items = numbered(s, count, positives=3, negatives=1)
    return [Row(x, x.negatives if i % 2 else (), judge_all=False) for i, x in enumerate(items)]


def test_before_a_step_is_learnt_from_both_choose_and_compute_the_same(monkeypatch):
    s = student()
    rows = rows_of(s, 7)
    draw = torch.rand(7, 2)
    monkeypatch.setattr(amortised, "AT_ONCE_CPU", 40)  # several groups
    known = amortised.with_earlier(rows, amortised.renewed(s, rows, {}, 1, 1))
    for method, config in ((qcrd, Qcrd(loss=QcrdLoss(delta=4.5))), (positives, Positives())):
        found = {}
        for name, given in (("exact", rows), ("amortised", known)):
            s.model.zero_grad()
            stepped = step(s, None, lambda x, m=method, c=config: m.loss(c, x), given, draw)
            found[name] = (stepped, {n: p.grad.clone() for n, p in s.model.named_parameters()})
        exact, again = found["exact"], found["amortised"]
        assert torch.equal(exact[0].outcome.choice.positive, again[0].outcome.choice.positive)
        assert torch.equal(exact[0].outcome.choice.active, again[0].outcome.choice.active)
        torch.testing.assert_close(again[0].scores.positive_ce, exact[0].scores.positive_ce)
        torch.testing.assert_close(again[0].scores.negative_ce, exact[0].scores.negative_ce)
        for name, gradient in exact[1].items():
            torch.testing.assert_close(again[1][name], gradient, rtol=1e-5, atol=1e-6)


def test_a_step_scores_the_chosen_alone(monkeypatch):
    s = student()
    rows = rows_of(s, 4)
    known = amortised.with_earlier(rows, amortised.renewed(s, rows, {}, 1, 1))
    score, targets = s.score, []
    monkeypatch.setattr(s, "score", lambda e, r, t, *_: targets.append(len(t)) or score(e, r, t))
    step(s, None, lambda x: positives.loss(Positives(), x), known, torch.rand(4, 2))
    assert targets == [4, 4]  # the labels, and one rationale each


def test_what_is_known_and_young_enough_is_not_scored_again(monkeypatch):
    s = student()
    rows = rows_of(s, 4)
    first = amortised.renewed(s, rows[:3], {}, 1, 2)
    score, targets = s.score, []
    monkeypatch.setattr(s, "score", lambda e, r, t, *_: targets.append(len(t)) or score(e, r, t))
    second = amortised.renewed(s, rows, first, 2, 2)
    assert sum(targets) == 4  # the fourth row's three positives and its negative
    assert {n: second[n] for n in first} == first
    third = amortised.renewed(s, rows[:1], second, 3, 2)  # what iteration 1 found is two iterations old
    assert {n: x.iteration for n, x in third.items()} == {
        c.rationale.number: i for row, i in ((rows[3], 2), (rows[0], 3)) for c in (*row.item.positives, *row.negatives)
    }
    torch.testing.assert_close(
        torch.tensor([third[c.rationale.number].cross_entropy for c in rows[0].item.positives]),
        torch.tensor([first[c.rationale.number].cross_entropy for c in rows[0].item.positives]),
    )


def test_memory_that_runs_out_halves_the_group(monkeypatch):
    s = student()
    rows = rows_of(s, 6)
    wanted = amortised.score(s, rows)
    score = s.score

    def limited(encoded, owners, targets, starts=None, unlikely=False):
        if len(set(owners)) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return score(encoded, owners, targets)

    monkeypatch.setattr(s, "score", limited)
    found = amortised.score(s, rows)
    assert found.keys() == wanted.keys()
    torch.testing.assert_close(torch.tensor(list(found.values())), torch.tensor([wanted[n] for n in found]))


def test_a_resume_within_an_iteration_is_bit_exact(tmp_path, monkeypatch):
    """Checkpoints at 2 and 4 of iterations that end at 3 and 6."""
    sections = {
        "compute": {"choice": "iteration", "choice_age": 2},
        "training": {"keep": 9, "iterations": 2},
        "method": {"name": "qcrd", "negatives": {"sources": ["minority"]}, "loss": {"delta": 4.5}},
    }
    whole, calm = fresh(dropout=0.1), Said()
    progress = trained(monkeypatch, setup(tmp_path, whole, calm, **sections))
    assert progress.scored_in == 2
    for at in (2, 4):
        again, said = fresh(dropout=0.1), Said()
        trained(monkeypatch, setup(tmp_path, again, said, **sections), resume_at=at)
        assert all(torch.equal(p, weights(again)[name]) for name, p in weights(whole).items())
        assert said.seen == [(step, v) for step, v in calm.seen if step > at]
