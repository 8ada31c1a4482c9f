"""Where memory runs out the same step is taken in smaller parts."""

import pytest
import torch

from engine.errors import QcrdError
from engine.training import checkpoint
from tests.engine.tiny_runs import Said, fresh, setup, trained, weights

MESSAGES = (
    torch.OutOfMemoryError("CUDA out of memory"),
    RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
)


def short_of_memory(s, most: int, error: Exception, monkeypatch) -> list[int]:
    """Scoring more than so many prompts' targets raises, after random numbers were drawn; the sizes that were tried."""
    score, tried = s.score, []

    def limited(encoded, rows, targets, starts=None, unlikely=False):
        tried.append(len(set(rows)))
        torch.rand(3)
        if len(set(rows)) > most:
            raise error
        return score(encoded, rows, targets)

    monkeypatch.setattr(s, "score", limited)
    return tried


@pytest.mark.parametrize("error", MESSAGES, ids=["gpu", "cpu"])
def test_the_micro_batch_is_halved_until_it_fits_and_stays(tmp_path, monkeypatch, error):
    s, said = fresh(), Said()
    tried = short_of_memory(s, 1, error, monkeypatch)
    progress = trained(monkeypatch, setup(tmp_path, s, said))
    assert progress.micro_batch == 1
    assert max(tried[4:]) == 1
    warnings = [line for level, line in said.lines if level == "warning"]
    assert warnings == [
        "out of memory at step 1 with 4 questions at once: goes on with 2, in the same batches",
        "out of memory at step 1 with 2 questions at once: goes on with 1, in the same batches",
    ]
    calm = fresh()
    trained(monkeypatch, setup(tmp_path / "calm", calm, Said()))
    for name, wanted in weights(calm).items():
        torch.testing.assert_close(weights(s)[name], wanted, rtol=1e-3, atol=1e-3)


def test_the_failed_try_leaves_no_trace(tmp_path, monkeypatch):
    """With dropout on: the same weights, bit for bit, as where the smaller micro-batch was asked for."""
    s = fresh(dropout=0.2)
    short_of_memory(s, 2, MESSAGES[0], monkeypatch)
    progress = trained(monkeypatch, setup(tmp_path, s, Said()))
    assert progress.micro_batch == 2
    other = fresh(dropout=0.2)
    short_of_memory(other, 2, MESSAGES[0], monkeypatch)
    trained(monkeypatch, setup(tmp_path / "other", other, Said(), compute={"micro_batch": 2}))
    assert all(torch.equal(p, weights(other)[name]) for name, p in weights(s).items())


def test_what_was_found_survives_a_resume_bit_for_bit(tmp_path, monkeypatch):
    whole = fresh(dropout=0.1)
    short_of_memory(whole, 2, MESSAGES[0], monkeypatch)
    trained(monkeypatch, setup(tmp_path, whole, Said(), training={"keep": 9}))
    again, said = fresh(dropout=0.1), Said()
    tried = short_of_memory(again, 2, MESSAGES[0], monkeypatch)
    trained(monkeypatch, setup(tmp_path, again, said, training={"keep": 9}), resume_at=2)
    assert max(tried) == 2
    assert not [line for level, line in said.lines if level == "warning"]
    assert all(torch.equal(p, weights(again)[name]) for name, p in weights(whole).items())


def test_a_single_question_that_does_not_fit_is_an_error_that_says_what_to_do(tmp_path, monkeypatch):
    s = fresh()
    short_of_memory(s, 0, MESSAGES[1], monkeypatch)
    with pytest.raises(QcrdError, match=r"does not fit in memory.*max_rationale_tokens.*gradient_checkpointing"):
        trained(monkeypatch, setup(tmp_path, s, Said()))
    assert checkpoint.latest(tmp_path) == 0


def test_another_error_is_not_taken_for_it(tmp_path, monkeypatch):
    s = fresh()
    short_of_memory(s, 0, RuntimeError("shapes do not match"), monkeypatch)
    with pytest.raises(RuntimeError, match="shapes"):
        trained(monkeypatch, setup(tmp_path, s, Said()))
