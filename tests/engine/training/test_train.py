"""The training loop: steps that are no numbers, layers computed again, and resume."""

import pytest
import torch

from engine.errors import Interrupted, QcrdError
from engine.training import checkpoint, train
from tests.engine.tiny_runs import Said, fresh, setup, trained, weights


def spoil(s, at: set[int], monkeypatch) -> None:
    """The cross-entropies of those steps are no numbers."""
    taken, calls = train.step, [0]

    def bad(encoded, rows, targets, starts=None, unlikely=False):
        return s.model.shared.weight.sum() * torch.full((len(rows),), torch.nan)

    def step(*arguments):
        calls[0] += 1
        with monkeypatch.context() as patch:
            if calls[0] in at:
                patch.setattr(s, "score", bad)
            return taken(*arguments)

    monkeypatch.setattr(train, "step", step)


def test_stop_ends_at_the_last_good_checkpoint_and_names_the_batch(tmp_path, monkeypatch):
    s = fresh()
    spoil(s, {4}, monkeypatch)
    with pytest.raises(QcrdError, match=r"step 4 has the loss nan.*examples x\d, x\d, x\d.*resume from step 2"):
        trained(monkeypatch, setup(tmp_path, s, Said()))
    assert checkpoint.saved(tmp_path) == [0, 2]
    assert all(p.isfinite().all() for p in s.model.parameters())


def test_skip_leaves_the_step_out_counts_it_and_goes_on(tmp_path, monkeypatch):
    s, said = fresh(), Said()
    spoil(s, {2, 4}, monkeypatch)
    progress = trained(monkeypatch, setup(tmp_path, s, said, compute={"on_nonfinite": "skip"}))
    assert (progress.step, progress.skipped, progress.skipped_in_a_row) == (6, 2, 0)
    assert [said.metrics[at].get("skipped") for at in range(1, 7)] == [None, 1, None, 2, None, None]
    assert "loss/total" not in said.metrics[2]
    assert {step for step, _ in said.seen} <= {1, 3, 5, 6}
    assert [line[:6] for level, line in said.lines if level == "warning"] == ["step 2", "step 4"]
    assert all(p.isfinite().all() for p in s.model.parameters())


def test_too_many_in_a_row_stop_the_run_all_the_same(tmp_path, monkeypatch):
    s = fresh()
    monkeypatch.setattr(train, "MOST_SKIPPED", 3)
    spoil(s, {2, 3, 4}, monkeypatch)
    with pytest.raises(QcrdError, match="as had the 2 before it"):
        trained(monkeypatch, setup(tmp_path, s, Said(), compute={"on_nonfinite": "skip"}))
    assert checkpoint.saved(tmp_path) == [0, 2]


def test_weights_that_are_no_numbers_are_never_kept(tmp_path, monkeypatch):
    s = fresh()
    taken, calls = train.step, [0]

    def step(*arguments):
        calls[0] += 1
        found = taken(*arguments)
        if calls[0] == 4:
            with torch.no_grad():
                next(s.model.parameters())[0, 0] = torch.inf
        return found

    monkeypatch.setattr(train, "step", step)
    with pytest.raises(QcrdError, match="weights after step 4 are not all numbers"):
        trained(monkeypatch, setup(tmp_path, s, Said()))
    assert checkpoint.latest(tmp_path) == 2


@pytest.mark.parametrize("compute", [{}, {"micro_batch": 3}], ids=["whole", "micro-batches"])
def test_a_resumed_training_has_the_same_weights_bit_for_bit(tmp_path, monkeypatch, compute):
    whole = fresh(dropout=0.1)
    trained(monkeypatch, setup(tmp_path, whole, Said(), training={"keep": 9}, compute=compute))
    again = fresh(dropout=0.1)
    trained(monkeypatch, setup(tmp_path, again, Said(), training={"keep": 9}, compute=compute), resume_at=4)
    assert all(torch.equal(p, weights(again)[name]) for name, p in weights(whole).items())


def test_layers_computed_again_give_the_same_weights(tmp_path, monkeypatch):
    """With dropout on: what is drawn again is drawn alike."""
    one, two = fresh(dropout=0.1), fresh(dropout=0.1)
    trained(monkeypatch, setup(tmp_path / "1", one, Said()))
    trained(monkeypatch, setup(tmp_path / "2", two, Said(), compute={"gradient_checkpointing": True}))
    assert two.model.decoder.gradient_checkpointing
    assert not one.model.decoder.gradient_checkpointing
    for name, p in weights(one).items():
        torch.testing.assert_close(weights(two)[name], p, rtol=1e-5, atol=1e-6)


def test_a_stop_in_the_evaluation_saves_the_step_and_makes_it_again(tmp_path, monkeypatch):
    asked = []

    def validate(_validation, _student, _recorder, step, _ranks):
        asked.append(step)
        if asked == [0, 3]:
            raise Interrupted("asked to stop")
        return 1 / (1 + step)

    monkeypatch.setattr(train, "validate", validate)
    sections = {"evaluation": {"every": 3}, "training": {"checkpoint_every": 100, "keep": 9}}
    s = fresh(dropout=0.1)
    with pytest.raises(Interrupted):
        train.train(setup(tmp_path, s, Said(), **sections), None)
    assert checkpoint.saved(tmp_path) == [0, 3]
    again = fresh(dropout=0.1)
    progress = train.train(setup(tmp_path, again, Said(), **sections), 3)
    assert asked == [0, 3, 3, 6]
    assert (progress.best_step, progress.unevaluated) == (0, False)
    asked[:] = [9]  # no stop from here on
    whole = fresh(dropout=0.1)
    train.train(setup(tmp_path / "whole", whole, Said(), **sections), None)
    assert asked[1:] == [0, 3, 6]
    assert all(torch.equal(p, weights(again)[name]) for name, p in weights(whole).items())
