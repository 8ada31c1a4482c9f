"""What NAT says of each token, against a plain pass in each mode, one rationale at a time; and NCE's loss by hand."""

import math
from dataclasses import replace

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch.nn.functional import log_softmax

from engine.methods import nce
from engine.spec.dust_into_gold import Nce
from engine.students import integrate
from engine.students.integrate import RIGHT, STUDENT, WRONG
from engine.students.t5 import T5Student
from tests.engine.tiny_causal import student as causal_student
from tests.engine.tiny_t5 import student as t5_student
from tests.engine.tiny_t5 import text
from tests.engine.training.test_losses import scores


def adapted(kind: str):
    s = t5_student() if kind == "t5" else causal_student(kind)
    s.model.double()
    torch.manual_seed(0)
    lora = LoraConfig(r=2, lora_alpha=4)
    s.adapted = get_peft_model(s.model, lora, adapter_name=WRONG)
    for name in (RIGHT, STUDENT):
        s.adapted.add_adapter(name, lora)
    integrate.attach(s.adapted)
    s.adapted.double()
    with torch.no_grad():
        for name, p in s.adapted.named_parameters():
            if "lora_B" in name or "value.2" in name:
                p.normal_(std=0.4)
    integrate.learn(s.adapted, "student")
    s.model.train()
    return s


def log_chances(s, mode, prompt: list[int], target: list[int]) -> torch.Tensor:
    """(tokens, vocabulary) by transformers' own forward, no padding."""
    integrate.switch(s.adapted, mode)
    if isinstance(s, T5Student):
        start = [s.model.config.decoder_start_token_id, *target[:-1]]
        logits = s.model(input_ids=torch.tensor([prompt]), decoder_input_ids=torch.tensor([start])).logits[0]
    else:
        logits = s.model(input_ids=torch.tensor([[*prompt, *target]])).logits[0][len(prompt) - 1 : -1]
    integrate.switch(s.adapted, "student")
    return log_softmax(logits, dim=-1)


@pytest.mark.parametrize("kind", ["t5", "llama", "gpt2"])
@pytest.mark.parametrize("released", [False, True])
def test_three_passes_equal_plain_ones_and_the_student_alone_learns(kind: str, released: bool) -> None:
    s = adapted(kind)
    random = torch.Generator().manual_seed(0)
    prompts = [s.prompt("explain: " + text(random, 2, 9)) for _ in range(3)]
    targets = [s.target(text(random, 2, 12)) for _ in range(5)]
    rows = [0, 2, 1, 1, 0]
    found = s.taught(prompts, rows, targets, released)
    (found[:, 0] + 2 * found[:, 1]).sum().backward()
    gradient = {n: p.grad.clone() for n, p in s.adapted.named_parameters() if p.grad is not None}
    assert gradient
    assert all(f".{STUDENT}." in name for name in gradient)

    s.adapted.zero_grad()
    longest = max(map(len, targets))
    wanted = []
    for i, target in zip(rows, targets, strict=True):
        prompt, whole = prompts[i], target
        if released and kind == "t5":
            whole = [*target, *[s.pad] * (longest - len(target))]
        elif released:
            longest = max(len(prompts[i]) - 1 + len(t) for i, t in zip(rows, targets, strict=True))
            whole = [*prompt[1:], *target]
            whole = [*whole, *[s.pad] * (longest - len(whole))]
            prompt = prompt[:1]
        with torch.no_grad():
            wrong, nat = log_chances(s, "negative", prompt, whole), log_chances(s, "nat", prompt, whole)
        own = log_chances(s, "student", prompt, whole)
        ce = -own[torch.arange(len(whole)), torch.tensor(whole)].mean()
        kd = -(nat.exp() * own).sum(dim=1).mean()
        apart = (wrong.exp() * (wrong - nat)).sum(dim=1).mean()
        wanted.append(torch.stack([ce, kd, apart]))
    expected = torch.stack(wanted)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
    (expected[:, 0] + 2 * expected[:, 1]).sum().backward()
    for name, p in s.adapted.named_parameters():
        if name in gradient:
            torch.testing.assert_close(gradient[name], p.grad, rtol=1e-4, atol=1e-6)  # norms are in fp32


def test_nce_by_hand() -> None:
    batch = scores([[1.0, 3.0], [2.0]], [[5.0], []])
    taught = torch.tensor([[[4.0, 0.0], [6.0, 0.5]], [[2.0, 100.0], [0.0, 0.0]]], dtype=torch.float64)
    found = nce.loss(Nce(alpha_ce=0.25, alpha_kd=0.75), replace(batch, positive_taught=taught))
    distilled = (4.0 * 0.5 + 6.0 * (0.5 + math.tanh(0.5)) + 2.0 * 1.5) / 3
    assert float(found.loss) == pytest.approx(0.25 * 2.0 + 0.75 * distilled)
    assert not found.choice.negative.any()
    assert found.positive_weight[0].tolist() == pytest.approx([0.25 + 0.375, 0.25 + 0.75 * (0.5 + math.tanh(0.5))])
    assert found.positive_weight[1].tolist() == pytest.approx([0.25 + 0.75 * 1.5, 0.0])
