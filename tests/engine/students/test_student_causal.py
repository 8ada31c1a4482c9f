"""The causal student against transformers' own forward and generate: every kind, ragged, one pair at a time."""

from pathlib import Path

import pytest
import torch
from torch.nn.functional import cross_entropy
from transformers import AutoModelForCausalLM, AutoTokenizer

from engine.errors import UsageError
from engine.randomness import uniforms
from engine.students import scoring
from engine.students.causal import CausalStudent, Writing
from tests.engine.tiny_causal import KINDS, student
from tests.engine.tiny_t5 import text


def naive(s: CausalStudent, prompt: list[int], target: list[int]) -> torch.Tensor:
    """Prompt and target as one sequence, no padding, no cache."""
    logits = s.model(input_ids=torch.tensor([[*prompt, *target]])).logits[0]
    return cross_entropy(logits[len(prompt) - 1 : -1], torch.tensor(target))


def prompts(s: CausalStudent, count: int, seed: int = 0) -> list[list[int]]:
    random = torch.Generator().manual_seed(seed)
    return [s.prompt("explain: " + text(random, 2, 15)) for _ in range(count)]


@pytest.mark.parametrize(
    ("kind", "attention", "checkpointing"),
    [
        *((kind, "sdpa", False) for kind in KINDS),
        ("llama", "eager", False),
        ("gpt2", "eager", True),
        ("qwen2", "sdpa", True),
    ],
)
def test_scores_and_gradients_equal_those_of_whole_sequences(
    kind: str, attention: str, checkpointing: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    s = student(kind, attention=attention)
    s.model.double().train()
    if checkpointing:
        s.model.activation_checkpointing_enable()
        monkeypatch.setattr(scoring, "LOGITS", 20 * s.model.config.vocab_size)  # more chunks than one
    random = torch.Generator().manual_seed(0)
    some = [*prompts(s, 3), [5]]
    targets = [s.target(text(random)) for _ in range(24)] + [[s.tokenizer.eos_token_id]]
    rows = [int(i) for i in torch.randint(4, (25,), generator=random)]
    weights = torch.rand(25, generator=random, dtype=torch.float64)

    found = s.score(s.encode(some), rows, targets)
    (found * weights).sum().backward()
    ours = {name: p.grad.clone() for name, p in s.model.named_parameters()}
    s.model.zero_grad()
    wanted = torch.stack([naive(s, some[i], t) for i, t in zip(rows, targets, strict=True)])
    (wanted * weights).sum().backward()

    torch.testing.assert_close(found, wanted, rtol=1e-6, atol=1e-6)
    for name, p in s.model.named_parameters():
        torch.testing.assert_close(ours[name], p.grad, rtol=1e-5, atol=1e-5, msg=lambda m, n=name: f"{n}: {m}")


def test_in_evaluation_after_prompts_were_read_under_checkpointing() -> None:
    s = student()
    s.model.train()
    s.model.activation_checkpointing_enable()
    some = prompts(s, 2)
    encoded = s.encode(some)
    s.model.eval()
    with torch.no_grad():
        found = s.score(encoded.detach(), [1, 0], [s.target("two"), s.target("ben has 4")])
        wanted = torch.stack([naive(s, some[1], s.target("two")), naive(s, some[0], s.target("ben has 4"))])
    torch.testing.assert_close(found, wanted)


def test_detached_prompts_get_no_gradient() -> None:
    s = student("gpt2")
    some = prompts(s, 1)
    s.score(s.encode(some).detach(), [0], [s.target("two")]).sum().backward()
    positions = s.model.transformer.wpe.weight.grad.abs().sum(dim=1)
    assert float(positions[: len(some[0]) - 1].max()) == 0.0
    assert float(positions[len(some[0]) - 1]) > 0.0


@pytest.mark.parametrize("kind", list(KINDS))
def test_greedy_equals_transformers_generate_though_finished_rows_leave_the_batch(kind: str, monkeypatch) -> None:
    left: list[int] = []
    keep = Writing.keep
    monkeypatch.setattr(Writing, "keep", lambda self, rows: (left.append(len(rows)), keep(self, rows))[1])
    s = student(kind, seed=8 if kind == "gpt2" else 6)  # some rows end early
    some = prompts(s, 16)
    found = s.generate(some, 16, 0.0, None)
    assert left
    wanted = []
    s.model.eval()
    for p in some:
        out = s.model.generate(torch.tensor([p]), max_new_tokens=16, do_sample=False, num_beams=1)
        wanted.append(s.tokenizer.decode(out[0, len(p) :], skip_special_tokens=True))
    assert found == wanted
    assert len(set(map(len, found))) > 1


def test_sampling_depends_on_the_generator_alone() -> None:
    s = student()
    some = prompts(s, 8)
    first = s.generate(some, 10, 1.5, uniforms(1, range(len(some)), 10))
    torch.manual_seed(99)
    assert first == s.generate(some, 10, 1.5, uniforms(1, range(len(some)), 10))
    assert first != s.generate(some, 10, 1.5, uniforms(2, range(len(some)), 10))


def test_targets_end_in_the_end_of_sequence_and_what_is_too_long_keeps_its_answer() -> None:
    s = student()
    eos = s.tokenizer.eos_token_id
    assert s.target("two makes 4")[-1] == eos
    assert s.target("two makes 4").count(eos) == 1
    assert s.target("two makes </s> four <pad>") == s.target("two makes four")
    tokens = s.target("two " * 500 + "Answer: 7", "Answer: 7")
    assert len(tokens) == 64
    assert s.tokenizer.decode(tokens, skip_special_tokens=True).endswith("two Answer: 7")
    assert s.target_length("two makes 4") == len(s.target("two makes 4"))
    assert s.prompt_length("two " * 100) > len(s.prompt("two " * 100)) == 64


TEMPLATE = (
    "{% for m in messages %}ben {{ m.content }} then {% endfor %}{% if add_generation_prompt %}finds 9 {% endif %}"
)


def chatting(max_prompt: int) -> CausalStudent:
    s = student()
    s.tokenizer.chat_template = TEMPLATE
    return CausalStudent(
        s.model, s.tokenizer, device=s.device, bf16=False, max_prompt=max_prompt, max_target=64, chat=True
    )


def test_a_chat_template_stands_around_the_question_and_is_never_cut() -> None:
    s = chatting(8)
    assert s.tokenizer.decode(s.prompt("two")) == "ben two then finds 9"
    assert s.tokenizer.decode(s.prompt("two </s> 1 2 3 4 5 6 7 8")) == "ben two 1 2 3 then finds 9"
    assert len(s.prompt("1 2 3 4 5 6 7 8")) == 8
    assert s.prompt_length("1 2 3 4 5 6 7 8") == 12
    with pytest.raises(UsageError, match=r"max_question_tokens = 4: the chat template alone"):
        chatting(4).prompt("1 2 3 4 5")


def test_a_tokeniser_without_pads_or_without_an_end() -> None:
    s = student("gpt2")
    s.tokenizer.pad_token = None
    s = CausalStudent(s.model, s.tokenizer, device=s.device, bf16=False, max_prompt=64, max_target=64)
    assert s.tokenizer.pad_token == "</s>"
    s.tokenizer.eos_token = None
    with pytest.raises(UsageError, match="no end-of-sequence token"):
        CausalStudent(s.model, s.tokenizer, device=s.device, bf16=False, max_prompt=64, max_target=64)


def test_the_saved_folder_loads_with_transformers_alone(tmp_path: Path) -> None:
    s = student()
    s.save(tmp_path)
    model = AutoModelForCausalLM.from_pretrained(tmp_path).eval()
    words = AutoTokenizer.from_pretrained(tmp_path)
    ids = words("explain: ben has two\n")["input_ids"]
    assert ids == s.prompt("explain: ben has two")
    out = model.generate(torch.tensor([ids]), max_new_tokens=12, do_sample=False, num_beams=1)
    assert [words.decode(out[0, len(ids) :], skip_special_tokens=True)] == s.generate([ids], 12, 0.0, None)
