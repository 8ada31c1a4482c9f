"""A transformers model in this process as a teacher: each text is its own, whatever is written beside it."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from engine.errors import UsageError
from engine.spec.teachers import TeacherConfig
from engine.teacher import client, local_model
from engine.teacher.local import check_folder
from engine.teacher.local_model import LocalModel, Row, Settings, nucleus
from tests.engine import tiny_causal, tiny_t5

KINDS = ("llama", "qwen3", "gpt2", "t5")
PROMPTS = ("ben has two apples", "five", "ben has three apples then he loses two apples and finds four more")


def save(folder: Path, kind: str, chat: str | None = None) -> Path:
    student = tiny_t5.student() if kind == "t5" else tiny_causal.student(kind)
    student.tokenizer.chat_template = chat
    student.model.save_pretrained(folder)
    student.tokenizer.save_pretrained(folder)
    return folder


def messages(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


def naive(model: LocalModel, row: Row, settings: Settings) -> list[int]:
    """Token by token, alone, without padding or cache: sorted chances, and the first whose sum exceeds the draw."""
    draws = torch.rand(
        settings.max_tokens, generator=local_model.generator(0, "teacher", row.seed), dtype=torch.float64
    )
    written: list[int] = []
    for at in range(settings.max_tokens):
        logits: Tensor
        if model.two_parts:
            start = [model.model.config.decoder_start_token_id, *written]
            logits = model.model(input_ids=torch.tensor([row.prompt]), decoder_input_ids=torch.tensor([start])).logits[
                0, -1
            ]
        else:
            logits = model.model(input_ids=torch.tensor([[*row.prompt, *written]])).logits[0, -1]
        if settings.temperature == 0:
            chosen = int(logits.argmax())
        else:
            chances = torch.softmax(logits.double() / settings.temperature, -1).tolist()
            kept, total = set(), 0.0
            for token in sorted(range(len(chances)), key=lambda t: -chances[t]):
                if total >= settings.top_p:
                    break
                kept.add(token)
                total += chances[token]
            left = float(draws[at]) * total
            for chosen in sorted(kept):
                left -= chances[chosen]
                if left < 0:
                    break
        written.append(chosen)
        if chosen in model.ends:
            break
    return written


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("settings", [Settings(0.0, 1.0, 6), Settings(1.3, 1.0, 8), Settings(1.0, 0.6, 8)])
@torch.no_grad()
def test_a_batch_writes_what_each_row_alone_would(tmp_path: Path, kind: str, settings: Settings) -> None:
    model = LocalModel(save(tmp_path, kind))
    rows = [Row(model.prompt(messages(p)), f"{p} {slot}") for p in PROMPTS for slot in range(3)]
    found = model.write(rows, settings)
    for row, written in zip(rows, found, strict=True):
        tokens = naive(model, row, settings)
        assert written.tokens == len(tokens)
        assert written.ended == (tokens[-1] in model.ends)
        assert written.text == model.words.decode(tokens, skip_special_tokens=True)
    if settings.temperature:
        assert len({w.text for w in found}) > 5


def test_batches_are_halved_where_memory_runs_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = LocalModel(save(tmp_path, "llama"))
    rows = [Row(model.prompt(messages(p)), f"{p} {slot}") for p in PROMPTS for slot in range(3)]
    settings = Settings(1.0, 1.0, 4)
    whole, sizes, batch = model.write(rows, settings), [], model._batch

    def small(part: list[Row], settings: Settings) -> object:
        sizes.append(len(part))
        if len(part) > 4:
            raise torch.cuda.OutOfMemoryError("no room")
        return batch(part, settings)

    monkeypatch.setattr(model, "_batch", small)
    monkeypatch.setattr(local_model, "MOST_ROWS", 8)
    assert model.write(rows, settings) == whole
    assert sizes == [8, 4, 4, 1]


def test_messages_become_paragraphs_or_the_chat_template_s_text(tmp_path: Path) -> None:
    asked = [{"role": "system", "content": "ben"}, *messages("has two")]
    plain = LocalModel(save(tmp_path / "plain", "llama"))
    assert plain.words.decode(plain.prompt(asked)) == "ben has two"  # white space is no token; no </s> at the end
    template = (
        "{% for m in messages %}{{ m['content'] }} more {% endfor %}{% if add_generation_prompt %}makes{% endif %}"
    )
    chat = LocalModel(save(tmp_path / "chat", "llama", template))
    assert chat.words.decode(chat.prompt(asked)) == "ben more has two more makes"
    strict = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no') }}{% endif %}" + template
    no_system = LocalModel(save(tmp_path / "strict", "llama", strict))
    assert no_system.words.decode(no_system.prompt(asked)) == "ben has two more makes"


def test_nucleus() -> None:
    chances = torch.tensor([[0.1, 0.5, 0.15, 0.25], [0.25, 0.25, 0.25, 0.25]])
    assert torch.equal(nucleus(chances, 0.7), torch.tensor([[0, 0.5, 0, 0.25], [0.25, 0.25, 0.25, 0]]))
    assert torch.equal(
        nucleus(chances, 0.01) > 0, torch.tensor([[False, True, False, False], [True, False, False, False]])
    )


def test_a_folder_that_holds_no_model_is_named_before_anything_is_asked(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"holds no model \(no config.json\)"):
        client.check(TeacherConfig(model=f"local/{tmp_path}"))
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(UsageError, match="holds no tokeniser"):
        client.check(TeacherConfig(model=f"local/{tmp_path}"))
    check_folder(f"local/{save(tmp_path / 'whole', 'llama')}")
