"""What goes on beside the steps: the same results, whenever it ends, and nothing of it lost where a run stops."""

import os
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from engine.errors import Interrupted
from engine.judge import training as judge_training
from engine.judge.discriminator import build
from engine.parallel.ranks import ALONE, Ranks
from engine.training import checkpoint, spare_core
from engine.training import train as training
from engine.training.spare_core import HERE
from engine.training.train import train
from tests.engine.tiny_runs import NoOrders, Said, fresh, setup, trained, weights

STEPS = {"steps": 16, "iterations": 8, "checkpoint_every": 100, "keep": 9}
METHOD = {"name": "qcrd", "negatives": {"sources": ["minority", "self"], "lag": 2}, "discriminator": {"every": 1}}


class Late(Executor):
    """Does nothing until somebody waits for it."""

    def submit(self, fn, /, *args, **kwargs):
        found: Future = Future()
        wait = found.result

        def result(timeout=None):
            if not found.done():
                found.set_result(fn(*args, **kwargs))
            return wait(timeout)

        found.result = result
        return found


class Stop(NoOrders):
    """Asks the run to stop after some steps."""

    def __init__(self, after: int) -> None:
        self.left = after

    def poll(self) -> None:
        self.left -= 1
        self.stop = self.left == 0


class Kept(Said):
    """The rationales, too."""

    def __init__(self) -> None:
        super().__init__()
        self.written = []

    def rationales(self, found) -> None:
        self.written += found


def with_discriminator(folder, aside: Executor, **training):
    said, student = Kept(), fresh(dropout=0.1)
    made = setup(folder, student, said, method=METHOD, training=STEPS | training)
    judge = build("student-sized", student, 64, 64, 0)
    optimizer = judge_training.optimizer(judge, made.spec.method.discriminator)
    return replace(made, judge=judge, judge_optimizer=optimizer, aside=aside)


def results(made):
    return weights(made.student), weights(SimpleNamespace(model=made.judge)), made.recorder


def assert_equal(made, other) -> None:
    for ours, theirs in zip(results(made)[:2], results(other)[:2], strict=True):
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(p, theirs[name]) for name, p in ours.items())
    assert made.recorder.written == other.recorder.written
    assert made.recorder.seen == other.recorder.seen
    left_out = ("tokens_per_second", "memory/host")
    ours, theirs = (
        {at: {k: v for k, v in found.items() if k not in left_out} for at, found in one.recorder.metrics.items()}
        for one in (made, other)
    )
    assert ours == theirs


@pytest.mark.parametrize("compute", ["late", "threads"])
def test_what_goes_on_beside_the_steps_changes_nothing(tmp_path, monkeypatch, compute):
    here = with_discriminator(tmp_path / "here", HERE)
    trained(monkeypatch, here)
    assert {r.iteration for r in here.recorder.written} == {1, 2, 3, 4, 5, 6}
    aside = Late() if compute == "late" else ThreadPoolExecutor(2)
    beside = with_discriminator(tmp_path / "beside", aside)
    trained(monkeypatch, beside)
    assert_equal(here, beside)


def test_a_stop_keeps_what_was_being_written(tmp_path, monkeypatch):
    """Stopped after step 5: what was begun after step 4 is for steps 9 and 10."""
    monkeypatch.setattr(training, "validate", lambda *_: 0.5)
    whole = with_discriminator(tmp_path / "whole", HERE)
    train(whole, None)
    stopped = replace(with_discriminator(tmp_path / "stopped", Late()), orders=Stop(5))
    with pytest.raises(Interrupted):
        train(stopped, None)
    assert checkpoint.latest(tmp_path / "stopped") == 5
    again = with_discriminator(tmp_path / "stopped", Late())
    progress = train(again, 5)
    assert progress.number == 100 + 8 * 6
    written = stopped.recorder.written + again.recorder.written
    assert written == whole.recorder.written
    for ours, theirs in zip(results(again)[:2], results(whole)[:2], strict=True):
        assert all(torch.equal(p, theirs[name]) for name, p in ours.items())


def test_what_fails_beside_the_steps_ends_the_training(tmp_path, monkeypatch):
    made = with_discriminator(tmp_path, ThreadPoolExecutor(2))

    def broken(*_, **__):
        raise RuntimeError("no more")

    monkeypatch.setattr("engine.negatives.self_adversarial.write", broken)
    with pytest.raises(RuntimeError, match="no more"):
        trained(monkeypatch, made)


@pytest.mark.parametrize(
    ("threads", "cores", "ranks", "most", "spare"),
    [(1, 2, ALONE, 2**22, True), (2, 2, ALONE, 2**22, False), (1, 1, ALONE, 2**22, False),
     (1, 2, Ranks(0, 2), 2**22, False), (1, 2, ALONE, 10, False)],
    ids=["a core is idle", "the student takes both", "there is one", "processes share them", "a large student"],
)  # fmt: skip
def test_a_core_is_used_where_the_student_leaves_one_idle(monkeypatch, threads, cores, ranks, most, spare):
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    monkeypatch.setattr(spare_core, "cores", lambda: cores)
    monkeypatch.setattr(spare_core, "SMALL", most)
    found = spare_core.spare_core(fresh(), ranks)
    assert (found is not HERE) == spare
    if spare:
        assert found.submit(os.getpid).result() == os.getpid()
        found.shutdown()
