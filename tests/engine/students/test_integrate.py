"""NAT's integrate unit against the paper's formula worked by hand, and its adapters over one base."""

import math
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model

from engine.errors import QcrdError
from engine.students.integrate import RIGHT, WRONG, Low, Unit, attach, learn, load, save, units
from tests.engine.tiny_causal import student


def test_a_unit_by_hand() -> None:
    unit = Unit(2, 1, width=1).double()
    with torch.no_grad():
        for layer, weight, bias in (
            (unit.query, [[1.0, 2.0]], [0.5]),
            (unit.value[0], [[1.0]], [0.0]),
            (unit.value[2], [[2.0]], [0.25]),
        ):
            layer.weight.copy_(torch.tensor(weight))
            layer.bias.copy_(torch.tensor(bias))
        unit.key.weight.fill_(3.0)
    given = ([[0.1, -0.2]], [[0.3]], [[2.0]], [[0.2]], [[-0.35]])
    x, plain, down, up, other = (torch.tensor(v, dtype=torch.float64) for v in given)
    right, wrong = Low(down, up), Low(down, other)  # 0.7 and -0.4 with what is plain
    q = 0.1 - 0.4 + 0.5
    up, down = math.exp(q * 2.1), math.exp(q * -1.2)
    a = down / (up + down) - 0.5

    def gelu(z: float) -> float:
        return z * 0.5 * (1 + math.erf(z / math.sqrt(2)))

    wanted = (2 * gelu(0.7) + 0.25) * (1 - a) + (2 * gelu(-0.4) + 0.25) * a
    assert float(unit(x, plain, right, wrong).detach()) == pytest.approx(wanted, rel=1e-12)
    assert unit.corrected is not None
    assert float(unit.corrected) == pytest.approx(a)
    assert a < 0  # what is wrong is subtracted here


def test_a_unit_as_its_formula_says_and_its_gradients() -> None:
    torch.manual_seed(0)
    unit = Unit(6, 5, width=7).double()
    unit.value[2].reset_parameters()
    given = [
        torch.randn(*shape, dtype=torch.float64)
        for shape in ((4, 3, 6), (4, 3, 5), (4, 3, 2), (5, 2), (4, 3, 2), (5, 2))
    ]
    for tensor in given:
        tensor.requires_grad_()
    x, plain, down, up, low, high = given
    learnt = [*unit.parameters(), *given]
    found = unit(x, plain, Low(down, up), Low(low, high))

    right, wrong = plain + down @ up.T, plain + low @ high.T
    scores = torch.stack([(unit.query(x) * unit.key(h)).sum(-1) for h in (right, wrong)], dim=-1)
    a = torch.softmax(scores, dim=-1)[..., 1:] - 0.5
    wanted = unit.value(right) * (1 - a) + unit.value(wrong) * a
    torch.testing.assert_close(found, wanted)
    weight = torch.randn_like(wanted)
    pairs = zip(*(torch.autograd.grad((y * weight).sum(), learnt) for y in (found, wanted)), strict=True)
    for mine, naive in pairs:
        torch.testing.assert_close(mine, naive)


def adapted(kind: str = "llama", dropout: float = 0.0, targets: list[str] | None = None):
    torch.manual_seed(0)
    lora = LoraConfig(r=2, lora_alpha=4, lora_dropout=dropout, target_modules=targets)
    found = get_peft_model(student(kind).model, lora, adapter_name=WRONG)
    found.add_adapter(RIGHT, lora)
    attach(found)
    return found


def logits(model) -> torch.Tensor:
    model.eval()
    with torch.no_grad():
        return model(input_ids=torch.tensor([[1, 5, 7, 9]])).logits


def shake(model, part: str) -> None:
    """Gives weights that begin as 0 something to do."""
    with torch.no_grad():
        for name, p in model.named_parameters():
            if part in name:
                p.normal_(std=0.5)


@pytest.mark.parametrize("kind", ["llama", "qwen2", "gpt2"])
def test_the_first_step_leaves_the_bases_output_as_it_was(kind: str) -> None:
    base = logits(student(kind).model)
    model = adapted(kind)
    for name in (WRONG, RIGHT):
        shake(model, f"lora_B.{name}.")
    torch.testing.assert_close(logits(model), base, rtol=0, atol=0)
    learn(model, "negative")
    assert not torch.allclose(logits(model), base)
    learn(model, "nat")
    shake(model, "value.2.weight")
    assert not torch.allclose(logits(model), base)
    assert all(u.corrected is not None and u.corrected.abs().max() <= 0.5 for u in units(model).values())


def test_projections_need_not_be_square() -> None:
    found = units(adapted("llama", targets=["gate_proj", "down_proj"])).values()
    assert {u.query.in_features == u.key.in_features for u in found} == {False}


@pytest.mark.parametrize("mode", ["negative", "nat"])
def test_after_three_steps_exactly_what_the_stage_trains_has_moved(mode) -> None:
    model = adapted()
    if mode == "nat":
        shake(model, f".{WRONG}.")  # as its stage has left it
    learn(model, mode)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=1.0)
    for _ in range(3):
        optimizer.zero_grad()
        ids = torch.tensor([[1, 5, 7, 9]])
        model(input_ids=ids, labels=ids).loss.backward()
        optimizer.step()
    moved = {name for name, p in model.named_parameters() if not torch.equal(p, before[name])}
    if mode == "negative":
        assert moved == {name for name in before if f".{WRONG}." in name}
    else:
        assert moved == {name for name in before if f".{RIGHT}." in name or ".integrate." in name}


def test_an_adapter_is_peft_s_own_and_loads_without_this_program(tmp_path: Path) -> None:
    model = adapted()
    shake(model, f"lora_B.{WRONG}.")
    learn(model, "negative")
    wanted = logits(model)
    save(model, tmp_path)
    again = PeftModel.from_pretrained(student("llama").model, tmp_path / WRONG)
    torch.testing.assert_close(logits(again), wanted)


def test_what_stages_have_trained_is_put_back(tmp_path: Path) -> None:
    model = adapted()
    for part in (f"lora_B.{WRONG}.", f"lora_B.{RIGHT}.", ".integrate."):
        shake(model, part)
    again = adapted()
    for mode, folder in (("negative", tmp_path / "stage-negative"), ("nat", tmp_path / "stage-nat")):
        save(model, folder, [mode])
        load(again, folder)
        learn(model, mode)
        learn(again, mode)
        assert torch.equal(logits(again), logits(model))
    (tmp_path / "stage-nat" / RIGHT / "adapter_model.safetensors").write_bytes(b"cut off")
    with pytest.raises(QcrdError, match="delete that folder"):
        load(again, tmp_path / "stage-nat")


def test_a_frozen_adapter_has_no_dropout() -> None:
    model = adapted(dropout=0.5)
    shake(model, f"lora_B.{WRONG}.")
    layer = next(m for m in model.modules() if hasattr(m, "integrate"))
    x = torch.randn(3, layer.in_features)
    model.train()
    learn(model, "negative")
    assert len({float(layer(x).detach().sum()) for _ in range(4)}) > 1
    layer.lora_A[WRONG].weight.requires_grad_(False)
    assert len({float(layer(x).detach().sum()) for _ in range(4)}) == 1
