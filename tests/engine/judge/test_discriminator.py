"""The discriminator: its input, its scores, and that it learns to rank."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from engine.evaluation.intervals import auc
from engine.judge import training as judge_training
from engine.judge.discriminator import Judged, augment, balance, build, judge_loss
from engine.spec.methods import QcrdDiscriminator
from engine.training.losses import ranking
from tests.engine.tiny_t5 import student

GOOD = "first ben has 5 then he finds 4 makes 9"
BAD = "first ben has 5 then he finds 4 makes 1"


def test_scores_are_in_0_1_and_do_not_depend_on_the_batch() -> None:
    judge = build("student-sized", student(), 64, 64, 0)
    pairs = [judge.pair("ben has two", text) for text in (GOOD, BAD, "9", GOOD + " " + BAD)]
    together = judge.judge(pairs)
    alone = torch.cat([judge.judge([p]) for p in pairs])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-6)
    assert ((together > 0) & (together < 1)).all()


def test_the_batched_loss_is_the_mean_over_examples_that_have_both() -> None:
    judge = build("student-sized", student(), 64, 64, 0)
    examples = [
        Judged("ben has 1", (GOOD, "1 makes 2"), (BAD,)),
        Judged("ben has 2", ("2",), ("3", "4", BAD)),
        Judged("ben has 3", ("3",), ()),
    ]
    found = judge_loss(judge, examples)
    wanted = []
    for x in examples[:2]:
        up = judge([judge.pair(x.question, t) for t in x.positives])[None]
        down = judge([judge.pair(x.question, t) for t in x.negatives])[None]
        wanted.append(ranking(up, torch.ones_like(up).bool(), down, torch.ones_like(down).bool()))
    torch.testing.assert_close(found, torch.stack(wanted).mean(), rtol=1e-4, atol=1e-5)


def test_it_learns_to_tell_good_from_bad() -> None:
    judge = build("student-sized", student(), 64, 64, 0)
    optimizer = torch.optim.AdamW(judge.parameters(), lr=1e-3)
    examples = [Judged(f"ben has {i}", (GOOD,), (BAD,)) for i in range(1, 5)]
    for _ in range(40):
        optimizer.zero_grad()
        judge_loss(judge, examples).backward()
        optimizer.step()
    up = judge.judge([judge.pair(x.question, GOOD) for x in examples]).tolist()
    down = judge.judge([judge.pair(x.question, BAD) for x in examples]).tolist()
    assert auc(up, down) == 1.0


def test_pretraining_ends_when_held_out_loss_falls_no_more() -> None:
    judge = build("student-sized", student(), 64, 64, 0)
    optimizer = torch.optim.AdamW(judge.parameters(), lr=1e-3)
    examples = [Judged(f"ben has {i}", (GOOD,), (BAD,)) for i in range(1, 5)]
    seen: list[int] = []
    taken = judge_training.pretrain(
        judge,
        optimizer,
        examples,
        examples,
        QcrdDiscriminator(pretrain_steps=400),
        0,
        lambda step, _: seen.append(step),
    )
    assert seen == list(range(1, taken + 1))
    assert 75 <= taken < 400
    seen.clear()
    # nothing held out: nothing to stop by
    assert (
        judge_training.pretrain(
            judge, optimizer, examples, [], QcrdDiscriminator(pretrain_steps=90), 0, lambda step, _: seen.append(step)
        )
        == 90
    )
    assert len(seen) == 90


words = st.lists(st.sampled_from(["a", "b", "c", "d"]), min_size=1, max_size=30)


@given(words, st.integers(0, 1000))
def test_augmenting_keeps_the_length_and_touches_at_least_one_word(text: list[str], seed: int) -> None:
    found = augment(" ".join(text), ["x", "y"], "<gap>", torch.Generator().manual_seed(seed)).split()
    assert len(found) == len(text)
    touched = sum(a != b for a, b in zip(found, text, strict=True))
    assert touched >= 1
    assert set(found) <= {*text, "x", "y", "<gap>"}


def test_balance_makes_as_many_negatives_as_positives_and_keeps_the_teachers() -> None:
    random = torch.Generator().manual_seed(0)
    found = balance(Judged("q", ("a b", "c d", "e f"), ("teacher's",)), ["x"], "<gap>", random)
    assert found.negatives[0] == "teacher's"
    assert len(found.negatives) == 3
    assert len(balance(Judged("q", ("a b",), ("1", "2")), ["x"], "<gap>", random).negatives) == 2


def test_pairs_read_in_groups_score_as_if_read_alone_and_a_long_one_is_cut_on_both_sides() -> None:
    s = student()
    eos = s.tokenizer.eos_token_id
    judge = build("student-sized", s, 8, 300, 0)
    pair = judge.pair("ben has 1 2 3 4 5 6 7 8 9", "1 " * 500)
    assert len(pair) == 308
    assert pair[7] == pair[-1] == eos
    pairs = [judge.pair("ben", "1 " * n) for n in range(1, 250, 6)] * 3  # more than one group
    found = judge.judge(pairs)
    torch.testing.assert_close(found, torch.cat([judge.judge([p]) for p in pairs]), rtol=1e-4, atol=1e-6)
