"""Work without gradient that memory runs out in: half as many at once, the same results, said once."""

import pytest
import torch

from engine.errors import Interrupted
from engine.evaluation.evaluate import answer
from engine.judge.discriminator import Discriminator
from engine.negatives import sampled
from engine.negatives.sampled import How
from engine.records import Example
from engine.spec.negatives import Negatives
from engine.training import amortised
from engine.training.memory import AtOnce
from engine.training.step import Row
from tests.engine.tiny_runs import numbered
from tests.engine.tiny_t5 import student

FULL = torch.OutOfMemoryError("CUDA out of memory")


def room_for(most: int, work, error: Exception = FULL):
    """`work`, which now fails on more than `most` of its first argument, and the sizes that were tried."""
    tried = []

    def limited(some, *rest):
        tried.append(len(some))
        if len(some) > most:
            raise error
        return work(some, *rest)

    return limited, tried


def test_the_rest_is_done_in_parts_as_small_as_memory_asks_for() -> None:
    said = []
    at_once = AtOnce(said.append)
    work, tried = room_for(2, lambda some: [x * x for x in some], MemoryError())
    groups = [range(5), range(5, 6), range(6, 13)]
    assert at_once.each("squaring", groups, work) == [x * x for x in range(13)]
    assert tried == [5, 3, 2, 2, 1, 1, 2, 2, 2, 1]
    assert said == ["out of memory in squaring with 5 at once: goes on with half as many, or fewer"]
    work, tried = room_for(2, list)
    assert at_once.each("squaring", [range(8)], work) == list(range(8))
    assert max(tried) == 2
    at_once.each("cubing", [range(8)], work)
    assert len(said) == 2


@pytest.mark.parametrize("error", [FULL, RuntimeError("shapes do not match")])
def test_one_that_does_not_fit_and_other_errors_come_through(error: Exception) -> None:
    work, tried = room_for(0, list, error)
    with pytest.raises(type(error)):
        AtOnce().each("squaring", [range(4)], work)
    assert tried == ([4, 2, 1] if error is FULL else [4])


def test_answers_and_samples_do_not_depend_on_it(monkeypatch) -> None:
    s = student()
    items = numbered(s, 7)
    examples = [Example(f"x{i}", "ben has " + "two " * i) for i in range(7)]

    def both(at_once: AtOnce):
        how = How(kind="number", max_new=8, drop_right=True, at_once=at_once)
        config = Negatives(sources=("self",), per_example=2)
        prompts = [x.explain for x in items]
        task = sampled.Task(items, prompts, config, source="self", iteration=1, seed=3, first_number=0, how=how)
        written = sampled.write(s, task)
        greedy, drawn = (
            answer(s, examples, "explain", "number", max_new=8, batch_size=5, temperature=t, at_once=at_once)
            for t in (0.0, 0.7)
        )
        return written, greedy, drawn

    wanted = both(AtOnce())
    said = []
    limited, tried = room_for(2, s.generate)
    monkeypatch.setattr(s, "generate", limited)
    assert both(AtOnce(said.append)) == wanted
    assert [line.split(" with ")[0] for line in said] == [
        "out of memory in sampling negatives",
        "out of memory in answering",
    ]
    assert tried[:4] == [14, 7, 4, 2]


def test_the_discriminator_reads_fewer_pairs_at_once(monkeypatch) -> None:
    s = student()
    judge = Discriminator(s.model.get_encoder(), s.tokenizer, 20, 20)
    pairs = [judge.pair("ben has two", "two " * (1 + i % 4)) for i in range(9)]
    wanted = judge.judge(pairs)
    torch.testing.assert_close(judge(pairs).detach(), wanted)  # in the order of the pairs
    said = []
    judge.at_once = AtOnce(said.append)
    limited, _ = room_for(2, judge._read)
    monkeypatch.setattr(judge, "_read", limited)
    judge.train()
    torch.testing.assert_close(judge.judge(pairs), wanted)
    assert judge.training
    assert said == ["out of memory in the discriminator's reading with 9 at once: goes on with half as many, or fewer"]


def test_scoring_in_bulk_says_so_too(monkeypatch) -> None:
    s = student()
    rows = [Row(x, x.negatives, judge_all=False) for x in numbered(s, 6)]
    wanted = amortised.score(s, rows)
    limited, _ = room_for(2, s.encode)
    monkeypatch.setattr(s, "encode", limited)
    said = []
    assert amortised.score(s, rows, at_once=AtOnce(said.append)) == pytest.approx(wanted, rel=1e-5)
    assert len(said) == 1


def test_questions_are_asked_until_somebody_says_stop() -> None:
    s = student()
    looks = []

    def look() -> None:
        looks.append(1)
        if len(looks) == 3:
            raise Interrupted("asked to stop")

    examples = [Example(f"x{i}", "ben has two") for i in range(8)]
    with pytest.raises(Interrupted):
        answer(s, examples, "predict", "number", max_new=4, batch_size=2, between=look)
    assert len(looks) == 3
