"""A transformers model in this process that writes what teachers write: any causal one, with or without a chat
template, or a T5. Loads torch and transformers: for worker processes alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForSeq2SeqLM,
    AutoTokenizer,
    GenerationConfig,
    LogitsProcessor,
    LogitsProcessorList,
)
from transformers.utils.logging import disable_progress_bar

from engine.randomness import generator
from engine.students.load import pick_device
from engine.students.writing import drawn

MOST_ROWS = 64
"""Texts written at once; half as many, and half again, where memory runs out."""


@dataclass(frozen=True, slots=True)
class Row:
    """One text to be written."""

    prompt: tuple[int, ...]
    seed: str
    """What its random numbers are drawn by, whatever is written beside it."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How the texts of a batch are written."""

    temperature: float
    """0: the likeliest token each time."""
    top_p: float
    max_tokens: int


@dataclass(frozen=True, slots=True)
class Written:
    """A text, and whether it ended by itself."""

    text: str
    tokens: int
    ended: bool


class LocalModel:
    """A model of a folder on the GPU, in bf16, where there is one, else on the CPU in fp32."""

    def __init__(self, folder: Path) -> None:
        """Raises OSError and ValueError where the folder holds no such model."""
        disable_progress_bar()  # they are for terminals, and would end up in worker.log
        self.device = pick_device("auto")
        config = AutoConfig.from_pretrained(folder)
        self.words: Any = AutoTokenizer.from_pretrained(folder, padding_side="left")
        kind: Any = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
        dtype = torch.bfloat16 if self.device.type == "cuda" else torch.float32
        self.model = kind.from_pretrained(folder, dtype=dtype).to(self.device).eval()
        self.two_parts = bool(config.is_encoder_decoder)
        """An encoder reads the prompt, so that it is no part of what is written."""
        self.longest = None if self.two_parts else getattr(config, "max_position_embeddings", None)
        """Tokens of prompt and text together; None: no limit."""
        end = self.model.generation_config.eos_token_id or self.words.eos_token_id
        self.ends: list[int] = [] if end is None else list(end) if isinstance(end, list) else [end]
        self.pad = next(x for x in (self.words.pad_token_id, *self.ends, 0) if x is not None)

    def prompt(self, messages: Sequence[dict[str, str]]) -> tuple[int, ...]:
        """Tokens of the messages: by the chat template where there is one, else as paragraphs of one text."""
        if self.words.chat_template:
            text = self._chat(list(messages))
            return tuple(self.words(text, add_special_tokens=False)["input_ids"])
        tokens = self.words("\n\n".join(m["content"] for m in messages) + "\n")["input_ids"]
        # a text that is to go on must not have ended
        while not self.two_parts and tokens and tokens[-1] in self.ends:
            tokens = tokens[:-1]
        return tuple(tokens)

    def write(self, rows: Sequence[Row], settings: Settings) -> list[Written]:
        """The texts, in the rows' order; those of similar length together."""
        order = sorted(range(len(rows)), key=lambda i: len(rows[i].prompt))
        found: dict[int, Written] = {}
        most, at = MOST_ROWS, 0
        while at < len(order):
            part = order[at : at + most]
            try:
                found |= zip(part, self._batch([rows[i] for i in part], settings), strict=True)
            except torch.cuda.OutOfMemoryError:
                if most == 1:
                    raise
                most //= 2
                torch.cuda.empty_cache()
                continue
            at += len(part)
        return [found[i] for i in range(len(rows))]

    @torch.no_grad()
    def _batch(self, rows: Sequence[Row], settings: Settings) -> list[Written]:
        width = max(len(r.prompt) for r in rows)
        prompts = torch.tensor([[self.pad] * (width - len(r.prompt)) + list(r.prompt) for r in rows])
        real = torch.tensor([[0] * (width - len(r.prompt)) + [1] * len(r.prompt) for r in rows])
        processors = LogitsProcessorList()
        if settings.temperature > 0:
            processors.append(_Drawn(rows, settings))
        tokens = self.model.generate(
            input_ids=prompts.to(self.device),
            attention_mask=real.to(self.device),
            logits_processor=processors,
            generation_config=GenerationConfig(
                do_sample=False,  # drawn by the processor, each row by its own numbers
                num_beams=1,
                repetition_penalty=1.0,
                max_new_tokens=settings.max_tokens,
                eos_token_id=self.ends or None,
                pad_token_id=self.pad,
                decoder_start_token_id=self.model.generation_config.decoder_start_token_id,
            ),
        )
        written = tokens[:, 1 if self.two_parts else width :].tolist()
        return [self._read(row[: settings.max_tokens]) for row in written]

    def _read(self, tokens: list[int]) -> Written:
        end = next((i for i, token in enumerate(tokens) if token in self.ends), None)
        mine = tokens if end is None else tokens[:end]
        text = self.words.decode(mine, skip_special_tokens=True)
        return Written(text, len(mine) + (end is not None), end is not None)

    def _chat(self, messages: list[dict[str, str]]) -> str:
        from jinja2.exceptions import TemplateError

        try:
            return str(self.words.apply_chat_template(messages, tokenize=False, add_generation_prompt=True))
        except TemplateError:  # some know no system message: it opens the first turn then
            if messages[0]["role"] != "system" or len(messages) < 2:
                raise
            first = {**messages[1], "content": f"{messages[0]['content']}\n\n{messages[1]['content']}"}
            return self._chat([first, *messages[2:]])


class _Drawn(LogitsProcessor):
    """Leaves one token of each row: drawn by the row's own random numbers, so that it depends on no other row."""

    def __init__(self, rows: Sequence[Row], settings: Settings) -> None:
        self.settings = settings
        draws = [
            torch.rand(settings.max_tokens, generator=generator(0, "teacher", r.seed), dtype=torch.float64)
            for r in rows
        ]
        self.draws = torch.stack(draws)
        self.at = 0

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        chances = torch.softmax(scores.float() / self.settings.temperature, dim=-1)
        if self.settings.top_p < 1:
            chances = nucleus(chances, self.settings.top_p)
        chosen = drawn(chances, self.draws[:, self.at]).to(scores.device)
        self.at += 1
        return torch.full_like(scores, -torch.inf).scatter_(1, chosen[:, None], 0.0)


def nucleus(chances: Tensor, top_p: float) -> Tensor:
    """(rows, tokens) the chances, 0 but for the fewest likeliest tokens that make up `top_p` (Holtzman et al. 2020)."""
    ordered, places = chances.sort(dim=-1, descending=True)
    before = ordered.cumsum(dim=-1) - ordered
    return torch.zeros_like(chances).scatter(1, places, ordered.masked_fill(before >= top_p, 0.0))
