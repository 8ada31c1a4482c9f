"""The T5 student against transformers' own forward and generate."""

from pathlib import Path

import torch
from transformers import AutoTokenizer, T5ForConditionalGeneration

from engine.randomness import uniforms
from engine.students import scoring
from engine.students.t5_stack import Writing
from tests.engine.tiny_t5 import student, text


def prompts(s, count: int, seed: int = 0) -> list[list[int]]:
    random = torch.Generator().manual_seed(seed)
    return [s.prompt("explain: " + text(random, 2, 15)) for _ in range(count)]


def test_greedy_equals_transformers_generate_though_finished_rows_leave_the_batch(monkeypatch) -> None:
    left: list[int] = []
    keep = Writing.keep
    monkeypatch.setattr(Writing, "keep", lambda self, rows: (left.append(len(rows)), keep(self, rows))[1])
    s = student(seed=22)
    some = prompts(s, 24)
    found = s.generate(some, 16, 0.0, None)
    assert left
    wanted = []
    s.model.eval()
    for p in some:
        out = s.model.generate(torch.tensor([p]), max_new_tokens=16, do_sample=False, num_beams=1)
        wanted.append(s.tokenizer.decode(out[0], skip_special_tokens=True))
    assert found == wanted
    assert len(set(map(len, found))) > 1  # rows of different lengths: some did leave early


def test_sampling_depends_on_the_generator_alone() -> None:
    s = student()
    some = prompts(s, 8)
    first = s.generate(some, 10, 1.5, uniforms(1, range(len(some)), 10))
    torch.manual_seed(99)
    assert first == s.generate(some, 10, 1.5, uniforms(1, range(len(some)), 10))
    assert first != s.generate(some, 10, 1.5, uniforms(2, range(len(some)), 10))


def test_sampling_follows_the_softmax_at_its_temperature() -> None:
    s = student()
    prompt = prompts(s, 1)[0]
    with torch.no_grad():
        s.model.eval()
        start = torch.full((1, 1), s.model.config.decoder_start_token_id)
        logits = s.model(input_ids=torch.tensor([prompt]), decoder_input_ids=start).logits[0, 0]
    wanted = torch.softmax(logits / 2.0, dim=-1)
    drawn = s._generate([prompt], torch.zeros(4000, dtype=torch.long), 1, 2.0, uniforms(0, range(4000), 1))
    share = torch.bincount(torch.tensor([tokens[0] for tokens in drawn]), minlength=len(wanted)) / 4000
    assert float((share - wanted).abs().max()) < 0.03


def test_generating_leaves_training_mode_as_it_was() -> None:
    s = student(dropout=0.1)
    s.model.train()
    s.generate(prompts(s, 2), 3, 0.0, None)
    assert s.model.training


def test_long_texts_are_cut_and_keep_the_end_of_sequence() -> None:
    s = student()
    tokens = s.target("two " * 500)
    assert len(tokens) == 64
    assert tokens[-1] == s.tokenizer.eos_token_id


def test_a_rationale_that_is_too_long_keeps_its_answer() -> None:
    s = student()
    tokens = s.target("two " * 500 + "Answer: 7", "Answer: 7")
    assert len(tokens) == 64
    assert s.tokenizer.decode(tokens, skip_special_tokens=True).endswith("two Answer: 7")
    assert s.target("two Answer: 7", "Answer: 7") == s.target("two Answer: 7")


def test_the_position_bias_learns_at_its_own_rate_and_every_parameter_is_in_one_group() -> None:
    s = student()
    groups = s.parameter_groups(1e-3, 0.1)
    assert [g["lr"] for g in groups] == [1e-3, 2e-2]
    assert [g["weight_decay"] for g in groups] == [0.1, 0.0]
    ids = [id(p) for g in groups for p in g["params"]]
    assert sorted(ids) == sorted(id(p) for p in s.model.parameters())


def test_the_saved_folder_loads_with_transformers_alone(tmp_path: Path) -> None:
    s = student()
    s.save(tmp_path)
    model = T5ForConditionalGeneration.from_pretrained(tmp_path)
    words = AutoTokenizer.from_pretrained(tmp_path)
    prompt = prompts(s, 1)[0]
    s.model.eval()
    model.eval()
    with torch.no_grad():
        out = model.generate(torch.tensor([prompt]), max_new_tokens=12, do_sample=False, num_beams=1)
    assert [words.decode(out[0], skip_special_tokens=True)] == s.generate([prompt], 12, 0.0, None)


def test_the_builtin_student_has_about_250k_parameters_and_spells_its_words() -> None:
    s = student()
    assert 150_000 < sum(p.numel() for p in s.model.parameters()) < 300_000
    line = "ben has 5 apples Answer: 5"
    assert s.tokenizer.decode(s.target(line), skip_special_tokens=True) == line


def test_special_tokens_in_a_text_are_not_obeyed() -> None:
    s = student()
    assert s.target("two makes </s> four <pad>") == s.target("two makes four")


def test_logits_in_chunks_without_gradient_give_the_same_scores(monkeypatch) -> None:
    s = student()
    asked = prompts(s, 3)
    targets = [s.target("two three four five"), s.target("two"), s.target("apples first then")]
    wanted = s.score(s.encode(asked), [0, 1, 2], targets).detach()
    monkeypatch.setattr(scoring, "LOGITS_UNKEPT", 2 * s.model.config.vocab_size)
    with torch.no_grad():
        torch.testing.assert_close(s.score(s.encode(asked), [0, 1, 2], targets), wanted)
