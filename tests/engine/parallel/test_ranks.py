"""Ranks that share a batch: loss and gradients of the whole one, whatever the method. Here they are threads."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch

from engine.judge.discriminator import build
from engine.methods.table import METHODS
from engine.parallel.ranks import ALONE, Heard, Ranks
from engine.spec.methods import Mi
from engine.training.losses import Wants
from engine.training.step import Row, step
from tests.engine.tiny_t5 import item, student
from tests.engine.training.test_accumulation import CONFIGS


class Table:
    """Where threads lay down what they have, and see what all have."""

    def __init__(self, count: int) -> None:
        self.laid: list[Any] = [None] * count
        self.barrier = threading.Barrier(count, timeout=60)

    def exchange(self, rank: int, value: Any) -> list[Any]:
        self.laid[rank] = value
        self.barrier.wait()
        found = list(self.laid)
        self.barrier.wait()
        return found


class Thread(Ranks):
    """A rank that is a thread; counts what it was asked."""

    def __init__(self, rank: int, table: Table) -> None:
        super().__init__(rank, len(table.laid))
        object.__setattr__(self, "table", table)
        object.__setattr__(self, "asked", [])

    def by_row(self, tensors: Any) -> Any:
        self.asked.append(len(tensors))
        return [
            torch.stack([side[i % self.count][i] for i in range(len(side[0]))])
            for side in zip(*self.table.exchange(self.rank, [t.clone() for t in tensors]), strict=True)
        ]


@pytest.fixture
def float64():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def lesson(config, shapes):
    """A student, a discriminator and a batch, equal at every call; made one after the other, of torch's generator."""
    s = student(seed=5)
    random = torch.Generator().manual_seed(5)
    items = [item(s, random, m, k, label) for m, k, label in shapes]
    rows = [Row(x, x.negatives, judge_all=i % 2 == 0) for i, x in enumerate(items)]
    draw = torch.rand(len(rows), 2, generator=random)
    return s, build("student-sized", s, 64, 64, 5) if config.name == "qcrd" else None, rows, draw


def learnt(config, lesson, micro_batch, ranks):
    s, judge, rows, draw = lesson
    s.model.train()
    pads = config.form == "released" if isinstance(config, Mi) else None
    stepped = step(
        s, judge, lambda x: METHODS[config.name].loss(config, x), rows, draw, 0.9, Wants(pads=pads), micro_batch, ranks
    )
    return stepped, {n: p.grad for n, p in s.model.named_parameters() if p.grad is not None}


def made_for(config, shapes):
    if config.name in ("finetune", "single-task"):
        return [(0, 0, True) for _ in shapes]
    if config.name in ("dss", "mi"):
        return [(min(m, 1), 0, label or m == 0) for m, _, label in shapes]
    return shapes


RAGGED = [(3, 2, True), (1, 0, False), (0, 1, True), (2, 2, True), (1, 1, False)]


@pytest.mark.parametrize("config", CONFIGS, ids=lambda c: f"{c.name}-{c.loss.scheme}" if c.name == "qcrd" else c.name)
def test_ranks_give_the_whole_batchs_loss_and_gradients(config, float64) -> None:
    shapes = made_for(config, RAGGED)
    whole, wanted = learnt(config, lesson(config, shapes), 0, ALONE)
    table, lessons = Table(2), [lesson(config, shapes) for _ in range(2)]
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda r: learnt(config, lessons[r], 2 * r, Thread(r, table)), range(2)))
    names = {name for _, gradients in found for name in gradients}
    assert names == wanted.keys()
    for name in names:
        summed = sum(gradients[name] for _, gradients in found if name in gradients)
        torch.testing.assert_close(summed, wanted[name], rtol=1e-9, atol=1e-9, msg=name)
    for stepped, _ in found:
        torch.testing.assert_close(stepped.outcome.loss, whole.outcome.loss, rtol=1e-9, atol=1e-9)
        for name in ("predict_ce", "positive_ce", "negative_ce", "positive_quality", "negative_quality"):
            torch.testing.assert_close(
                getattr(stepped.scores, name), getattr(whole.scores, name), rtol=1e-9, atol=1e-9, msg=name
            )
        assert torch.equal(stepped.outcome.choice.positive, whole.outcome.choice.positive)
        assert torch.equal(stepped.outcome.choice.active, whole.outcome.choice.active)
        assert torch.equal(stepped.judged_negative, whole.judged_negative)
        assert stepped.target_tokens == whole.target_tokens


def test_a_step_tried_again_does_not_ask_the_others_again(float64) -> None:
    config = CONFIGS[0]
    table, lessons = Table(2), [lesson(config, RAGGED) for _ in range(2)]
    ranks = [Thread(rank, table) for rank in range(2)]

    def one(rank: int):
        heard = Heard(ranks[rank])
        if rank == 1:  # memory runs out in its gradient pass, after all were asked for their choice and their qualities
            lessons[1][0].score, real = short_of_memory(lessons[1][0].score, 2), lessons[1][0].score
            with pytest.raises(torch.OutOfMemoryError):
                learnt(config, lessons[1], 0, heard)
            lessons[1][0].score = real
            lessons[1][0].model.zero_grad()
        heard.again()
        return learnt(config, lessons[rank], 1 if rank == 1 else 0, heard)

    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(one, range(2)))
    assert [r.asked for r in ranks] == [[2, 2, 3], [2, 2, 3]]
    torch.testing.assert_close(found[0][0].outcome.loss, found[1][0].outcome.loss, rtol=1e-12, atol=0)


def short_of_memory(score, calls):
    left = [calls]

    def tight(*given):
        left[0] -= 1
        if left[0] < 0:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return score(*given)

    return tight


def test_one_alone_says_nothing_to_anybody() -> None:
    tensors = [torch.ones(3, 2)]
    assert ALONE.by_row(tensors)[0] is tensors[0]
    assert list(ALONE.share(3)) == [0, 1, 2]
    assert ALONE.spread("abc", lambda some: [x.upper() for x in some]) == ["A", "B", "C"]
    assert ALONE.agree(7) == ALONE.led(lambda: 7) == 7
    assert [list(Ranks(rank, 3).share(7)) for rank in range(3)] == [[0, 3, 6], [1, 4], [2, 5]]
