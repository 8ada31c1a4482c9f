"""The benchmark's arms do what their names say; no time is asserted."""

import pytest
import torch

from engine.bench import adapters, generate, shapes, step, timing, train
from engine.bench.naive import cross_entropies, naive_scores
from engine.bench.shares import Stopwatch
from engine.bench.timing import Taken
from engine.methods import dss, qcrd
from engine.randomness import uniforms
from engine.spec.methods import Dss, Qcrd

CPU = torch.device("cpu")


def test_median_quartiles_and_a_ratio_of_the_same_turns():
    assert timing.spread([4.0, 1.0, 2.0, 3.0, 5.0]) == {"median": 3.0, "q1": 2.0, "q3": 4.0}
    assert timing.spread([2.0]) == {"median": 2.0, "q1": 2.0, "q3": 2.0}
    ours = [Taken(2.0, 1.0), Taken(30.0, 4.0), Taken(8.0, 1.0)]
    theirs = [Taken(1.0, 1.0), Taken(10.0, 2.0), Taken(2.0, 2.0)]
    assert timing.ratio(ours, theirs) == {"wall": 3.0, "cpu": 1.0, "least": 1.0}  # of the medians it would be 4


def test_arms_take_turns_and_the_warm_up_does_not_count():
    said = []
    taken = timing.in_turns({"a": lambda: said.append("a"), "b": lambda: said.append("b")}, 1, 2, CPU)
    assert said == ["a", "b"] * 3
    assert {name: len(times) for name, times in taken.items()} == {"a": 2, "b": 2}


def test_memory_is_what_the_arm_adds():
    found = timing.peak_bytes(lambda: torch.ones(16 * 2**20), CPU)
    assert found is None or 60 * 2**20 < found < 100 * 2**20


@pytest.mark.parametrize("shape", ["tiny", "llama-tiny"])
def test_the_dss_peer_has_the_methods_loss(shape):
    """Of targets of one length: transformers weighs tokens, not questions."""
    student = shapes.student(shape, CPU, 0)
    rows = shapes.rows(student, shape, 1, 1, 0, 0)
    loss = dss.loss(Dss(), naive_scores(student, rows, None, torch.rand(1, 2))).loss
    student.model.zero_grad()
    loss.backward()
    wanted = {n: p.grad.clone() for n, p in student.model.named_parameters() if p.grad is not None}
    student.model.zero_grad()
    step._dss(student.model, student, step._dss_batches(student, rows))
    for name, p in student.model.named_parameters():
        if name in wanted:
            torch.testing.assert_close(p.grad, wanted[name], rtol=1e-4, atol=1e-5)


def test_nat_and_nce_are_measured_beside_plain_lora():
    found = adapters.measure("llama-tiny", 2, 2, "cpu", 1, 0)
    assert list(found["arms"]) == ["lora", "nat", "nce"]
    assert found["arms"]["lora"]["to_lora"] == {"wall": 1.0, "cpu": 1.0, "least": 1.0}
    assert all(arm["seconds"]["median"] > 0 for arm in found["arms"].values())


@pytest.mark.parametrize("shape", ["tiny", "llama-tiny"])
def test_a_step_is_measured_with_every_negative_active(shape):
    found = step.measure(shape, 3, 2, 1, "cpu", 1, 2)
    assert found["active_share"] == 1.0
    assert set(found["arms"]) == {"fast", "amortised", step.AGED, "judged", "naive", "dss", "dss-ours"}
    assert found["update_seconds"]["median"] > 0
    assert found["arms"]["dss"]["to_dss"] == {"wall": 1.0, "cpu": 1.0, "least": 1.0}
    for arm in found["arms"].values():
        assert 0 <= arm["padding"] < 1
        assert arm["tokens_per_second"] > 0


@pytest.mark.parametrize("shape", ["tiny", "llama-tiny"])
def test_padded_texts_have_the_cross_entropies_that_each_has_alone(shape):
    student = shapes.student(shape, CPU, 0)
    items = [row.item for row in shapes.rows(student, shape, 4, 1, 0, 0)]
    prompts, targets = [x.explain for x in items], [x.positives[0].tokens for x in items]
    together = cross_entropies(student, prompts, targets, [0, 1, 2, 3])
    alone = [cross_entropies(student, [p], [t], [j]) for j, (p, t) in enumerate(zip(prompts, targets, strict=True))]
    torch.testing.assert_close(together, torch.cat(alone))


def test_tokens_are_counted_once_forward_and_twice_backward():
    passes = step._Passes(prompts=10, supervised=5, scored=7, scored_prompts=2)
    assert passes.all == 3 * 15 + 9
    student = shapes.student("tiny", CPU, 0)
    rows = shapes.rows(student, "tiny", 2, 2, 1, 0)
    stepped = step.step(student, None, lambda scores: qcrd.loss(Qcrd(), scores), rows, torch.zeros(2, 2))
    made = step._passes(rows, stepped)
    prompts = sum(len(r.item.explain) + len(r.item.predict) for r in rows)
    assert made["fast"].prompts == made["dss"].prompts == prompts
    assert made["naive"].prompts == prompts + 2 * sum(len(r.item.explain) for r in rows)
    candidates = [c for r in rows for c in (*r.item.positives, *r.negatives)]
    assert made["fast"].scored == sum(len(c.tokens) for c in candidates)


def test_a_part_within_another_counts_as_the_other():
    class Work:
        def inner(self):
            return 1

        def outer(self):
            return self.inner() + 1

    work, watch = Work(), Stopwatch(CPU)
    ticks = iter(range(100))
    watch.now = lambda: (float(next(ticks)), 0.0)
    since = watch.start()  # 0
    with watch.watches(work, "inner", "a"), watch.watches(work, "outer", "b"):
        assert work.outer() == 2  # 1 to 2
        assert work.inner() == 1  # 3 to 4
    found = watch.shares(since, ("a", "b", "c"))["wall"]  # 5
    assert found == {"a": 0.2, "b": 0.2, "c": 0.0, "together": 0.4}
    assert work.outer() == 2
    assert watch.wall == {"a": 1.0, "b": 1.0}


@pytest.mark.parametrize(("shape", "temperature"), [("tiny", 1.0), ("tiny", 1.5), ("llama-tiny", 1.5)])
def test_random_weights_end_their_texts_about_where_they_are_told_to(shape, temperature):
    student = shapes.student(shape, CPU, 0)
    prompts = [row.item.explain for row in shapes.rows(student, shape, 64, 1, 0, 0)]
    shapes.ending_after(student, prompts, 8, temperature)
    tokens = student.generate(prompts, 64, temperature, uniforms(0, range(len(prompts)), 64))
    mean = sum(len(text.split()) for text in tokens) / 64
    assert 4 < mean < 12


@pytest.mark.parametrize(("shape", "peer"), [("tiny", "Seq2SeqTrainer"), ("llama-tiny", "Trainer")])
def test_generation_and_training_are_measured_beside_their_peers(shape, peer, monkeypatch):
    monkeypatch.setattr(train, "ITERATION", 4)
    monkeypatch.setattr(train, "QUESTIONS", 2)
    found = generate.measure(shape, 4, "cpu", 1)
    assert set(found["arms"]) == {"ours", "generate"}
    pytest.importorskip("accelerate")
    trained = train.measure(shape, 2, 2, 1, "cpu", 2)
    arms = {"dss", "positives", "qcrd", peer}
    if shape == "llama-tiny":
        assert ("SFTTrainer" in trained["arms"]) != ("SFTTrainer" in trained["missing"])
        arms |= trained["arms"].keys() & {"SFTTrainer"}
    assert set(trained["arms"]) == arms
    assert trained["arms"][peer]["to_trainer"] == {"wall": 1.0, "cpu": 1.0}
    for shares in trained["shares"].values():
        assert 0 < shares["discriminator"] < 1
        assert 0 < shares["sampling"] < 1
        assert shares["together"] < 1
