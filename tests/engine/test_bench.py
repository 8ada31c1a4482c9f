"""The benchmark's arms do what their names say; no time is asserted."""

import pytest
import torch

from engine.bench import generate, shapes, step, timing, train
from engine.bench.naive import naive_scores
from engine.bench.timing import Taken
from engine.methods import dss
from engine.randomness import uniforms
from engine.spec.methods import Dss

CPU = torch.device("cpu")


def test_median_quartiles_and_a_ratio_of_the_same_turns():
    assert timing.spread([4.0, 1.0, 2.0, 3.0, 5.0]) == {"median": 3.0, "q1": 2.0, "q3": 4.0}
    assert timing.spread([2.0]) == {"median": 2.0, "q1": 2.0, "q3": 2.0}
    ours = [Taken(2.0, 1.0), Taken(30.0, 4.0), Taken(8.0, 1.0)]
    theirs = [Taken(1.0, 1.0), Taken(10.0, 2.0), Taken(2.0, 2.0)]
    assert timing.ratio(ours, theirs) == {"wall": 3.0, "cpu": 1.0}  # of the medians it would be 4


def test_arms_take_turns_and_the_warm_up_does_not_count():
    said = []
    taken = timing.in_turns({"a": lambda: said.append("a"), "b": lambda: said.append("b")}, 1, 2, CPU)
    assert said == ["a", "b"] * 3
    assert {name: len(times) for name, times in taken.items()} == {"a": 2, "b": 2}


def test_memory_is_what_the_arm_adds():
    found = timing.peak_bytes(lambda: torch.ones(16 * 2**20), CPU)
    assert found is None or 60 * 2**20 < found < 100 * 2**20


def test_the_dss_peer_has_the_methods_loss():
    """Of targets of one length: transformers weighs tokens, not questions."""
    student = shapes.student("tiny", CPU, 0)
    rows = shapes.rows(student, "tiny", 1, 1, 0, 0)
    loss = dss.loss(Dss(), naive_scores(student, rows, None, torch.rand(1, 2))).loss
    student.model.zero_grad()
    loss.backward()
    wanted = {n: p.grad.clone() for n, p in student.model.named_parameters() if p.grad is not None}
    student.model.zero_grad()
    step._dss(student.model, student, step._dss_batches(student, rows))
    for name, p in student.model.named_parameters():
        if name in wanted:
            torch.testing.assert_close(p.grad, wanted[name], rtol=1e-4, atol=1e-5)


def test_a_step_is_measured_with_every_negative_active():
    found = step.measure("tiny", 3, 2, 1, "cpu", 1, 2)
    assert found["active_share"] == 1.0
    assert set(found["arms"]) == {"fast", "amortised", "judged", "naive", "dss", "dss-ours"}
    assert found["arms"]["dss"]["to_dss"] == {"wall": 1.0, "cpu": 1.0}
    for arm in found["arms"].values():
        assert 0 <= arm["padding"] < 1
        assert arm["tokens_per_second"] > 0


@pytest.mark.parametrize("temperature", [1.0, 1.5])
def test_random_weights_end_their_texts_about_where_they_are_told_to(temperature):
    student = shapes.student("tiny", CPU, 0)
    shapes.ending_after(student, 8, temperature)
    prompts = [row.item.explain for row in shapes.rows(student, "tiny", 64, 1, 0, 0)]
    tokens = student.generate(prompts, 64, temperature, uniforms(0, range(len(prompts)), 64))
    mean = sum(len(text.split()) for text in tokens) / 64
    assert 2 < mean < 30


def test_generation_and_training_are_measured_beside_their_peers():
    found = generate.measure("tiny", 4, "cpu", 1)
    assert set(found["arms"]) == {"ours", "generate"}
    pytest.importorskip("accelerate")
    trained = train.measure("tiny", 2, 2, 0, "cpu", 2)
    assert set(trained["arms"]) == {"dss", "positives", "Seq2SeqTrainer"}
    assert trained["arms"]["Seq2SeqTrainer"]["to_trainer"] == 1.0
