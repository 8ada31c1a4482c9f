"""LoRA: only adapters are trained and checkpointed, and the export is the same student as one plain model."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM

from engine.errors import UsageError
from engine.spec.run import RunSpec
from engine.spec.sections import LoraConfig
from engine.students import adapters
from engine.students.load import check
from engine.training import checkpoint
from engine.training.checkpoint import Progress, Trained
from tests.engine import tiny_causal, tiny_t5

KINDS = ("t5", "llama", "gpt2")


def adapted(kind: str, seed: int = 0, config: LoraConfig | None = None):
    s = tiny_t5.student() if kind == "t5" else tiny_causal.student(kind)
    torch.manual_seed(seed)
    s.adapted = adapters.add(s.model, config or LoraConfig(r=3, alpha=8))
    return s


def scores(s) -> torch.Tensor:
    encoded = s.encode([s.prompt("explain: ben has two"), s.prompt("predict: ben has 5 apples")])
    return s.score(encoded, [0, 0, 1], [s.target(t) for t in ("two makes 4", "3", "first he finds 9")])


def trained(s) -> Trained:
    optimizer = torch.optim.AdamW(s.parameter_groups(1e-2, 0.0))
    for _ in range(3):
        optimizer.zero_grad()
        scores(s).sum().backward()
        optimizer.step()
    return Trained(s.model, optimizer)


@pytest.mark.parametrize("kind", KINDS)
def test_training_moves_adapters_alone_and_they_merge_into_the_same_student(kind: str, tmp_path: Path) -> None:
    plain = tiny_t5.student() if kind == "t5" else tiny_causal.student(kind)
    s = adapted(kind)
    with torch.no_grad():
        torch.testing.assert_close(scores(s), scores(plain))  # B begins at 0
    trained(s)
    given = plain.model.state_dict()
    for name, weight in s.model.state_dict().items():
        if "lora_" not in name:
            assert torch.equal(weight, given[name.replace(".base_layer", "")]), name
    s.model.eval()
    with torch.no_grad():
        found = scores(s)
        assert not torch.allclose(found, scores(plain))
        s.save(tmp_path)
        torch.testing.assert_close(scores(s), found)  # merged in place: a plain student from here on
        kind_of = AutoModelForSeq2SeqLM if kind == "t5" else AutoModelForCausalLM
        plain.model = kind_of.from_pretrained(tmp_path).eval()
        torch.testing.assert_close(scores(plain), found, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_a_checkpoint_holds_adapters_alone_and_comes_back(kind: str, tmp_path: Path) -> None:
    first = adapted(kind)
    folder = checkpoint.save(tmp_path, trained(first), Progress(step=3))
    assert all("lora_" in name for name in load_file(folder / "student.safetensors"))
    other = adapted(kind, seed=1)
    assert checkpoint.load(tmp_path, 3, Trained(other.model, torch.optim.AdamW(other.parameter_groups(1e-2, 0.0))))
    for (name, a), b in zip(first.model.named_parameters(), other.model.parameters(), strict=True):
        assert torch.equal(a, b), name
    with pytest.raises(ValueError, match="other weights than the model has"):
        checkpoint.load_student(tmp_path, 3, tiny_t5.student().model)


def test_what_cannot_be_is_one_line() -> None:
    with pytest.raises(UsageError, match=r"student\.lora\.targets = \['gone'\]"):
        adapted("llama", config=LoraConfig(r=2, targets=("gone",)))
    for lora, said in (
        ({"r": 0, "quantise": "4bit"}, r"set student\.lora\.r too"),
        ({"r": 8, "quantise": "4bit"}, "too small for it"),
    ):
        with pytest.raises(UsageError, match=said):
            check(RunSpec.model_validate({"student": {"lora": lora}}))
    spec = RunSpec.model_validate(
        {"student": {"model": "owner/name", "device": "cpu", "lora": {"r": 8, "quantise": "4bit"}}}
    )
    with pytest.raises(UsageError, match="needs an NVIDIA GPU, and this run is on cpu"):
        check(spec)
