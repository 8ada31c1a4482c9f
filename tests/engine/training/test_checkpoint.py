"""Checkpoints: whole or absent, kept and deleted as said, and refused in words when broken."""

from pathlib import Path

import pytest
import torch

from engine.errors import QcrdError
from engine.training import checkpoint
from engine.training.checkpoint import Progress, Trained
from tests.engine.tiny_t5 import rationale, student


def trained(seed: int) -> Trained:
    """A student that has taken one step, so that its optimiser has a state."""
    s = student(seed=seed)
    optimizer = torch.optim.AdamW(s.parameter_groups(1e-3, 0.0))
    loss = s.score(s.encode([s.prompt("explain: ben has 5")]), [0], [s.target("5 makes 6")]).sum()
    loss.backward()
    optimizer.step()
    return Trained(s.model, optimizer)


def test_what_is_saved_comes_back(tmp_path: Path) -> None:
    first = trained(0)
    pending = {7: [rationale(3, "because", "negative", "self")]}
    checkpoint.save(tmp_path, first, Progress(5, 42, 0.5, 4, pending=pending))
    expected = torch.rand(3)
    other = trained(1)
    progress = checkpoint.load(tmp_path, 5, other)
    assert progress == Progress(5, 42, 0.5, 4, pending=pending)
    assert torch.equal(torch.rand(3), expected)  # torch's own generator too
    for a, b in zip(first.student.parameters(), other.student.parameters(), strict=True):
        assert torch.equal(a, b)
    one, two = first.optimizer.state_dict(), other.optimizer.state_dict()
    assert one["param_groups"] == two["param_groups"]
    for index, values in one["state"].items():
        for key, value in values.items():
            assert torch.equal(value, two["state"][index][key])


def test_what_a_killed_process_left_half_written_is_no_checkpoint(tmp_path: Path) -> None:
    checkpoint.save(tmp_path, trained(0), Progress(step=2))
    half = tmp_path / "checkpoints" / "step-00000004.partial"
    half.mkdir()
    (half / "student.safetensors").write_bytes(b"\x00")
    assert checkpoint.latest(tmp_path) == 2
    checkpoint.tidy(tmp_path, keep=2, best_step=2)
    assert not half.exists()


def test_the_last_ones_and_the_best_are_kept(tmp_path: Path) -> None:
    one = trained(0)
    for step in (1, 2, 3, 4, 5):
        checkpoint.save(tmp_path, one, Progress(step=step))
    checkpoint.tidy(tmp_path, keep=2, best_step=2)
    assert checkpoint.saved(tmp_path) == [2, 4, 5]
    assert checkpoint.latest(tmp_path) == 5


def test_there_is_none_before_the_first(tmp_path: Path) -> None:
    assert checkpoint.latest(tmp_path) is None


@pytest.mark.parametrize("file", ["student.safetensors", "optimizer.safetensors", "progress.json"])
def test_a_broken_one_is_named_with_what_to_do(tmp_path: Path, file: str) -> None:
    folder = checkpoint.save(tmp_path, trained(0), Progress(step=3))
    (folder / file).write_bytes(b"{")
    with pytest.raises(QcrdError, match=r"step-00000003 could not be read.*delete that folder.*qcrd resume"):
        checkpoint.load(tmp_path, 3, trained(0))


def test_no_room_is_said_and_the_one_before_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = trained(0)
    checkpoint.save(tmp_path, one, Progress(step=1))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "save_file", full)
    with pytest.raises(QcrdError, match=r"No space left on device.*qcrd resume"):
        checkpoint.save(tmp_path, one, Progress(step=2))
    assert checkpoint.saved(tmp_path) == [1]
    assert checkpoint.load(tmp_path, 1, trained(1)).step == 1
