"""The student's own negatives over a training: written by a helper beside it, they are what they are without one."""

import json
import os
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from engine.errors import Interrupted, QcrdError
from engine.negatives import during, sampled
from engine.training import checkpoint
from tests.engine.tiny_runs import NoOrders, Said, fresh, setup, trained, weights

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks on Linux alone")


class Kept(Said):
    def __init__(self) -> None:
        super().__init__()
        self.written: list[Any] = []

    def rationales(self, some: list[Any]) -> None:
        self.written += some


def learn(folder, monkeypatch, helped: bool, lag: int = 2, every: int = 5, orders: Any = None, said: Any = None):
    """Twelve steps in six iterations; what was said, the weights, and what the checkpoints hold."""
    s, said = fresh(), said or Kept()
    made = setup(
        folder,
        s,
        said,
        method={
            "name": "qcrd",
            "discriminator": {"encoder": "none"},
            "negatives": {"lag": lag, "sources": ["minority", "self", "fixed"]},
        },
        training={"steps": 12, "iterations": 6, "checkpoint_every": every, "keep": 20},
    )
    made = replace(made, helped=helped, orders=orders or made.orders)
    resume_at = checkpoint.latest(folder)
    progress = trained(monkeypatch, made, resume_at)
    states = [
        json.loads((checkpoint.folder_of(folder, n) / "progress.json").read_text()) for n in checkpoint.saved(folder)
    ]
    return said, weights(s), progress, states


@pytest.mark.parametrize(("lag", "every"), [(1, 1), (1, 5), (2, 5), (3, 2)])
@pytest.mark.parametrize("seconds", [0.0, 0.1])
def test_a_helper_writes_what_the_training_process_would(tmp_path, monkeypatch, lag, every, seconds):
    alone = learn(tmp_path / "alone", monkeypatch, False, lag, every)
    draft = sampled.draft

    def slow(*arguments):
        time.sleep(seconds)
        return draft(*arguments)

    monkeypatch.setattr(sampled, "draft", slow)
    beside = learn(tmp_path / "beside", monkeypatch, True, lag, every)
    assert sum(name == "self_right_share" for found in beside[0].metrics.values() for name in found) == 6 - lag
    assert [r.number for r in alone[0].written] == sorted(r.number for r in beside[0].written)
    assert sorted(beside[0].written, key=lambda r: r.number) == alone[0].written
    assert {r.source for r in alone[0].written} == {"self", "fixed"}
    assert beside[0].metrics == alone[0].metrics
    assert beside[0].seen == alone[0].seen
    assert beside[2] == alone[2]
    assert beside[3] == alone[3]
    for name, wanted in alone[1].items():
        assert torch.equal(beside[1][name], wanted), name


def test_a_checkpoint_has_what_was_under_way(tmp_path, monkeypatch):
    class StopAt(NoOrders):
        polls = 0

        def poll(self) -> None:
            self.polls += 1
            self.stop = self.polls == 4  # after the last step of the second iteration

    whole = learn(tmp_path / "whole", monkeypatch, True)
    said = Kept()
    draft = sampled.draft

    def slow(*arguments):
        time.sleep(0.2)
        return draft(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(sampled, "draft", slow)
        with pytest.raises(Interrupted):
            learn(tmp_path / "cut", patch, True, orders=StopAt(), said=said)
    resumed = learn(tmp_path / "cut", monkeypatch, True, said=said)
    assert sorted(said.written, key=lambda r: r.number) == sorted(whole[0].written, key=lambda r: r.number)
    for name, wanted in whole[1].items():
        assert torch.equal(resumed[1][name], wanted), name


def gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()


@pytest.mark.parametrize(
    ("what", "said"),
    [(lambda: os._exit(9), "ended from outside"), (lambda: 1 / 0, "failed: ZeroDivisionError: div")],
)
def test_a_helper_that_fails_or_is_killed_ends_the_run_and_says_why(tmp_path, monkeypatch, what, said):
    draft, this = sampled.draft, os.getpid()
    # the fixed ones are written here
    monkeypatch.setattr(sampled, "draft", lambda *a: draft(*a) if os.getpid() == this else what())
    made = []
    real = during.helper
    monkeypatch.setattr(during, "helper", lambda work: made.append(real(work)) or made[-1])
    with pytest.raises(QcrdError, match=said):
        learn(tmp_path, monkeypatch, True)
    assert checkpoint.latest(tmp_path) is not None
    assert gone(made[0].pid)


def test_no_helper_stays_whether_the_training_ends_or_fails(tmp_path, monkeypatch):
    made = []
    real = during.helper
    monkeypatch.setattr(during, "helper", lambda work: made.append(real(work)) or made[-1])
    learn(tmp_path / "done", monkeypatch, True)

    class Lost(NoOrders):
        polls = 0

        def poll(self) -> None:
            self.polls += 1
            self.taken_over = self.polls == 4

    with pytest.raises(QcrdError, match="taken over"):
        learn(tmp_path / "lost", monkeypatch, True, orders=Lost())
    assert [gone(one.pid) for one in made] == [True, True]


def test_without_room_for_a_helper_the_training_writes_itself(tmp_path, monkeypatch):
    def refused() -> int:
        raise BlockingIOError("no more processes")

    wanted = learn(tmp_path / "alone", monkeypatch, False)
    monkeypatch.setattr(os, "fork", refused)
    open_before = len(os.listdir("/proc/self/fd"))
    found = learn(tmp_path / "refused", monkeypatch, True)
    assert len(os.listdir("/proc/self/fd")) == open_before
    assert found[0].written == wanted[0].written
    assert found[2] == wanted[2]
