"""What a training that can be stopped keeps, goes on from, and does when it is ordered."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from engine.errors import Interrupted, QcrdError
from engine.parallel.follower import Silent
from engine.parallel.ranks import Ranks
from engine.training import checkpoint
from engine.training.checkpoint import Progress, Trained
from engine.training.resumable import Resumable
from tests.engine.tiny_runs import Said


class Orders:
    """In the orders' place."""

    stop = checkpoint = taken_over = False
    polls = 0

    def poll(self) -> None:
        self.polls += 1


def resumable(place: Path) -> Resumable:
    torch.manual_seed(0)
    layer = nn.Linear(2, 2)
    recorder, orders = Said(), Orders()
    return Resumable(
        stage="negative",
        steps=9,
        every=4,
        keep=1,
        place=place,
        trained=Trained(layer, torch.optim.AdamW(layer.parameters())),
        recorder=recorder,  # type: ignore[arg-type]
        orders=orders,  # type: ignore[arg-type]
    )


def test_it_keeps_the_last_the_best_and_what_is_due(tmp_path: Path) -> None:
    found = resumable(tmp_path)
    kept = []
    for at in range(1, 10):
        found.after_step(Progress(step=at, best_step=2 if at < 7 else 7))
        kept.append(checkpoint.saved(tmp_path))
    assert kept == [[], [2], [2], [2, 4], [2, 4], [2, 4], [7], [7, 8], [7, 9]]


def test_what_is_ordered_is_done_and_said_once(tmp_path: Path) -> None:
    found = resumable(tmp_path)
    orders: Any = found.orders
    orders.checkpoint = True
    found.after_step(Progress(step=1))
    assert orders.polls == 2, "a paused run saves, and stays paused"
    found.after_step(Progress(step=2))
    assert checkpoint.saved(tmp_path) == [1]
    orders.stop = True
    with pytest.raises(Interrupted, match=r"stopped after step 3 of 9 \(stage negative\); `qcrd resume 1` goes on"):
        found.after_step(Progress(step=3))
    assert checkpoint.saved(tmp_path) == [3]
    found.after_step(Progress(step=9))  # its last: what comes after it ends the run
    said: Any = found.recorder
    assert said.lines == [("info", "checkpoint of step 1 in step-00000001, as ordered")]


def test_one_whose_run_was_taken_over_touches_nothing_more(tmp_path: Path) -> None:
    found = resumable(tmp_path)
    orders: Any = found.orders
    orders.taken_over = orders.stop = True
    with pytest.raises(QcrdError, match="taken over"):
        found.after_step(Progress(step=4))
    assert checkpoint.saved(tmp_path) == []


def test_it_goes_on_with_weights_and_generators_as_they_were(tmp_path: Path) -> None:
    found = resumable(tmp_path)
    assert found.latest() is None
    assert found.restore(None) == Progress()
    found.after_step(Progress(step=4, best_step=3))
    drawn, weights = torch.rand(3), found.trained.student.weight.clone()
    with torch.no_grad():
        found.trained.student.weight.zero_()
    assert found.latest() == 4
    assert found.restore(4) == Progress(step=4, best_step=3)
    assert torch.equal(found.trained.student.weight, weights)
    assert torch.equal(torch.rand(3), drawn)
    said: Any = found.recorder
    assert said.lines == [("info", "goes on from the checkpoint of step 4")]


def test_weights_that_are_no_numbers_are_not_kept(tmp_path: Path) -> None:
    found = resumable(tmp_path)
    found.after_step(Progress(step=4))
    with torch.no_grad():
        found.trained.student.weight[0, 0] = torch.nan
    with pytest.raises(QcrdError, match=r"after step 8 are not all numbers.*resume from step 4"):
        found.after_step(Progress(step=8))


def test_the_other_processes_of_a_run_neither_save_nor_stop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    silent: Any = Silent(1, 2)
    found = replace(resumable(tmp_path), recorder=silent, orders=silent, ranks=Ranks(1, 2))
    agreed = []
    monkeypatch.setattr(Ranks, "agree", lambda _, value: agreed.append(value))
    for at in range(1, 10):
        found.after_step(Progress(step=at, best_step=at))
    assert checkpoint.saved(tmp_path) == []
    assert agreed == [None] * 9
