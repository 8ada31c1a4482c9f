"""Our pass over T5's modules against transformers' own forward: scores, gradients, every kind of T5."""

import pytest
import torch
from torch.nn.functional import cross_entropy
from transformers import MT5Config, MT5ForConditionalGeneration, T5Config, T5ForConditionalGeneration

from engine.students.t5 import T5Student
from tests.engine.tiny_t5 import student, text

SHAPE = {"d_model": 24, "d_kv": 8, "d_ff": 40, "num_layers": 2, "num_heads": 3, "dropout_rate": 0.0}
KINDS = {
    "legacy": lambda n: T5ForConditionalGeneration(T5Config(vocab_size=n, **SHAPE)),
    "v1.1": lambda n: T5ForConditionalGeneration(
        T5Config(vocab_size=n, feed_forward_proj="gated-gelu", tie_word_embeddings=False, **SHAPE)
    ),
    "mt5": lambda n: MT5ForConditionalGeneration(MT5Config(vocab_size=n, **SHAPE)),
}


def make(kind: str, attention: str) -> T5Student:
    words = student().tokenizer
    torch.manual_seed(1)
    model = KINDS[kind](len(words))
    model.config.decoder_start_token_id = 0
    model.config.pad_token_id, model.config.eos_token_id = words.pad_token_id, words.eos_token_id
    with torch.no_grad():
        for p in model.parameters():
            p.mul_(2.0)
    model.double().set_attn_implementation(attention)
    return T5Student(model, words, device=torch.device("cpu"), bf16=False, max_prompt=64, max_target=64)


def plain(s: T5Student, prompt: list[int], target: list[int]) -> torch.Tensor:
    """One pair at a time through the model's own forward, no padding at all."""
    start = [s.model.config.decoder_start_token_id, *target[:-1]]
    logits = s.model(input_ids=torch.tensor([prompt]), decoder_input_ids=torch.tensor([start])).logits[0]
    return cross_entropy(logits, torch.tensor(target))


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@pytest.mark.parametrize("kind", list(KINDS))
@pytest.mark.parametrize("checkpointing", [False, True])
def test_scores_and_gradients_equal_those_of_transformers(kind: str, attention: str, checkpointing: bool) -> None:
    s = make(kind, attention)
    if checkpointing:
        s.model.activation_checkpointing_enable()
    s.model.train()
    random = torch.Generator().manual_seed(0)
    prompts = [s.prompt("explain: " + text(random, 2, 12)) for _ in range(4)]
    targets = [s.target(text(random)) for _ in range(30)]
    rows = [int(i) for i in torch.randint(4, (30,), generator=random)]
    weights = torch.rand(30, generator=random, dtype=torch.float64)

    found = s.score(s.encode(prompts), rows, targets)
    (found * weights).sum().backward()
    ours = {name: p.grad.clone() for name, p in s.model.named_parameters()}
    s.model.zero_grad()
    wanted = torch.stack([plain(s, prompts[i], t) for i, t in zip(rows, targets, strict=True)])
    (wanted * weights).sum().backward()

    torch.testing.assert_close(found, wanted, rtol=1e-6, atol=1e-6)
    for name, p in s.model.named_parameters():
        torch.testing.assert_close(ours[name], p.grad, rtol=1e-4, atol=1e-5, msg=lambda m, n=name: f"{n}: {m}")


def test_dropout_is_as_strong_as_in_transformers() -> None:
    """The mean over many draws of a hidden state is the state without dropout, its spread that of transformers."""
    s = student(dropout=0.2)
    s.model.train()
    prompts = [s.prompt("explain: ben has two apples")]
    ours = torch.stack([s.encode(prompts).hidden[0] for _ in range(400)])
    ids = torch.tensor(prompts)
    theirs = torch.stack([s.model.encoder(input_ids=ids).last_hidden_state[0] for _ in range(400)])
    torch.testing.assert_close(ours.var(dim=0).mean(), theirs.var(dim=0).mean(), rtol=0.1, atol=0.0)
