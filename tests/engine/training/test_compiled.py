"""Compiled blocks against the same ones uncompiled: losses, gradients, a training gone on with, and no compiler."""

import time

import pytest
import torch

from engine.methods import qcrd
from engine.spec.methods import Qcrd
from engine.students import compiled as module
from engine.students.compiled import compile_blocks, compiled, without_compiler
from engine.training import train as training
from engine.training.step import Row, step
from tests.engine.tiny_causal import student as causal_student
from tests.engine.tiny_runs import Said, fresh, setup, trained, weights
from tests.engine.tiny_t5 import item
from tests.engine.tiny_t5 import student as t5_student

CPU = torch.device("cpu")
TRACED = "aot_eager"
"""Everything of torch.compile but the C++ or Triton that it writes."""


@pytest.fixture(autouse=True)
def _anew():
    torch._dynamo.reset()
    compiled.cache_clear()
    yield
    torch._dynamo.reset()
    compiled.cache_clear()


@pytest.fixture
def _traced(monkeypatch):
    monkeypatch.setattr(module, "BACKEND", TRACED)


@pytest.mark.slow
@pytest.mark.usefixtures("_traced")
@pytest.mark.parametrize("kind", ["t5", "llama", "qwen3", "gpt2"])
def test_traced_blocks_have_the_losses_and_gradients_of_the_student_as_it_is(kind):
    _compare(kind)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["t5", "llama"])
def test_compiled_blocks_have_the_losses_and_gradients_of_the_student_as_it_is(kind, monkeypatch):
    monkeypatch.setattr("torch._inductor.config.compile_threads", 1)
    if reason := without_compiler(CPU):
        pytest.skip(reason)
    _compare(kind, 5e-5)  # C++ adds up in another order


def _compare(kind, most=1e-5):
    s = t5_student() if kind == "t5" else causal_student(kind)
    random = torch.Generator().manual_seed(0)
    config = Qcrd()
    batches = [[Row(x, x.negatives, False) for x in [item(s, random, 3, 2) for _ in range(size)]] for size in (2, 3)]

    def found():
        s.model.train()
        s.model.zero_grad()
        losses = [
            step(s, None, lambda x: qcrd.loss(config, x), rows, torch.zeros(len(rows), 2)).outcome.loss
            for rows in batches
        ]
        return torch.stack(losses), {n: p.grad.clone() for n, p in s.model.named_parameters() if p.grad is not None}

    wanted_losses, wanted = found()
    names = list(s.model.state_dict())
    compile_blocks(s.model)
    losses, gradients = found()
    assert list(s.model.state_dict()) == names
    torch.testing.assert_close(losses, wanted_losses, rtol=1e-5, atol=1e-6)
    assert gradients.keys() == wanted.keys()
    for name, gradient in wanted.items():
        torch.testing.assert_close(gradients[name], gradient, rtol=1e-5, atol=most, msg=name)


@pytest.mark.slow
@pytest.mark.usefixtures("_traced")
def test_a_training_goes_on_from_its_checkpoint_with_blocks_compiled_anew(tmp_path, monkeypatch):
    compute = {"compile": True}
    whole, again, plain = fresh(), fresh(), fresh()
    trained(monkeypatch, setup(tmp_path / "1", whole, Said(), training={"keep": 9}, compute=compute))
    torch._dynamo.reset()
    compiled.cache_clear()
    trained(monkeypatch, setup(tmp_path / "1", again, Said(), training={"keep": 9}, compute=compute), resume_at=4)
    trained(monkeypatch, setup(tmp_path / "2", plain, Said()))
    assert whole.model.decoder.compiles
    for name, p in weights(whole).items():
        torch.testing.assert_close(weights(again)[name], p, rtol=1e-5, atol=1e-5, msg=name)
        torch.testing.assert_close(weights(plain)[name], p, rtol=1e-3, atol=1e-3, msg=name)


def test_what_is_tried_out_is_nothing_that_a_cache_has(monkeypatch):
    found = []
    monkeypatch.setattr(torch, "compile", lambda inner, backend: lambda x: found.append(inner(x)))
    assert without_compiler(CPU) is None
    time.sleep(0.001)
    assert without_compiler(CPU) is None
    assert not torch.equal(*found)


def test_without_a_compiler_the_run_says_so_in_a_line_and_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(training, "without_compiler", lambda _: "no C++ compiler")
    said, s = Said(), fresh()
    trained(monkeypatch, setup(tmp_path, s, said, compute={"compile": True}))
    assert [line for level, line in said.lines if level == "warning"] == [
        "compute.compile: nothing can be compiled here (no C++ compiler): goes on without"
    ]
    assert not hasattr(s.model.decoder, "compiles")
