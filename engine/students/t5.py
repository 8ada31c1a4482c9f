"""A T5-type student: the encoder reads a prompt once, the decoder scores many targets against it."""

import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.utils.checkpoint import checkpoint
from transformers import PreTrainedTokenizerBase, T5ForConditionalGeneration

from engine.students import t5_stack
from engine.students.seam import Encoded, Tokens, cut

CHUNK = 4096
"""Target tokens whose logits are made at once; without gradient they are also gone at once."""
BUCKETS = 3
"""Targets are scored in this many groups of similar length."""
CACHED_TEXTS = 20_000
"""Texts whose tokens are remembered: teachers repeat themselves."""
LEAVE_AT = 0.75
"""Share of a batch that is still being written, at which the finished rows leave it."""


class T5Student:
    """A T5 with its tokeniser and limits; see `seam.Student`."""

    def __init__(
        self,
        model: T5ForConditionalGeneration,
        tokenizer: PreTrainedTokenizerBase,
        *,
        device: torch.device,
        bf16: bool,
        max_prompt: int,
        max_target: int,
        position_bias_lr: float = 1.0,
    ) -> None:
        self.model: Any = model.to(device)  # type: ignore[arg-type]
        self.tokenizer = tokenizer
        self.device = device
        self.bf16 = bf16
        self.max_prompt = max_prompt
        self.max_target = max_target
        self.position_bias_lr = position_bias_lr
        special = re.compile("|".join(map(re.escape, tokenizer.all_special_tokens)))
        self._cached = lru_cache(CACHED_TEXTS)(lambda text: tuple(tokenizer(special.sub(" ", text))["input_ids"]))

    def prompt(self, text: str) -> list[int]:
        return cut(self._tokens(text), self.max_prompt)

    def target(self, text: str, answer: str | None = None) -> list[int]:
        tokens = self._tokens(text)
        if answer is None or len(tokens) <= self.max_target:
            return cut(tokens, self.max_target)
        # an explain head whose longest targets have no answer would learn to leave it out
        ending = cut(self._tokens(f" {answer}"), self.max_target)
        return [*tokens[: self.max_target - len(ending)], *ending]

    def _tokens(self, text: str) -> list[int]:
        """What reads like a special token is text of a model, and must not end a target in its middle."""
        return list(self._cached(text))

    def encode(self, prompts: Sequence[Tokens]) -> Encoded:
        ids, mask = self._padded(prompts)
        with self._autocast():
            hidden = t5_stack.read(self.model.encoder, ids, mask)
        return Encoded(hidden, mask)

    def score(self, encoded: Encoded, rows: Sequence[int], targets: Sequence[Tokens]) -> Tensor:
        if not targets:
            return torch.zeros(0, device=self.device)
        used, place = torch.unique(torch.tensor(rows, device=self.device), return_inverse=True)
        mask = encoded.mask[used]
        with self._autocast():
            cross = t5_stack.keys_values(self.model.decoder, encoded.hidden[used])
        order = sorted(range(len(targets)), key=lambda j: len(targets[j]))
        size = -(-len(order) // BUCKETS) if len(order) >= 8 * BUCKETS else len(order)
        parts = []
        for start in range(0, len(order), size):
            bucket = order[start : start + size]
            parts.append(self._score(cross, mask, place[bucket], [targets[j] for j in bucket]))
        back = torch.empty(len(order), dtype=torch.long)
        back[torch.tensor(order)] = torch.arange(len(order))
        return torch.cat(parts)[back.to(self.device)]

    def _score(
        self, cross: Sequence[t5_stack.KeysValues], mask: Tensor, rows: Tensor, targets: Sequence[Tokens]
    ) -> Tensor:
        """One bucket: logits at real target tokens only, in chunks."""
        labels, label_mask = self._padded(targets)
        real = label_mask.bool()
        start = torch.full_like(labels[:, :1], self.model.config.decoder_start_token_id)
        with self._autocast():
            hidden = t5_stack.score(self.model.decoder, torch.cat([start, labels[:, :-1]], dim=1), cross, mask, rows)[
                real
            ]
            wanted = labels[real]
            losses = [
                cross_entropy(self._logits(hidden[at : at + CHUNK]), wanted[at : at + CHUNK], reduction="none")
                for at in range(0, len(wanted), CHUNK)
            ]
        flat = torch.cat(losses)
        per_token = torch.zeros(labels.shape, dtype=flat.dtype, device=self.device).masked_scatter(real, flat)
        return per_token.sum(dim=1) / real.sum(dim=1)

    def pooled(self, encoded: Encoded, rows: Sequence[int], targets: Sequence[Tokens], pads: bool) -> Tensor:
        labels, label_mask = self._padded(targets)
        counted = torch.ones_like(label_mask).bool() if pads else label_mask.bool()
        start = torch.full_like(labels[:, :1], self.model.config.decoder_start_token_id)
        place = torch.tensor(list(rows), device=self.device)
        with self._autocast():
            cross = t5_stack.keys_values(self.model.decoder, encoded.hidden)
            ids = torch.cat([start, labels[:, :-1]], dim=1)
            hidden = t5_stack.score(self.model.decoder, ids, cross, encoded.mask, place)
            size = max(1, CHUNK // labels.shape[1])
            # logits of a whole batch would outweigh the rest of the step: made again for the backward pass
            parts = [
                checkpoint(self._pool, hidden[at : at + size], counted[at : at + size], use_reentrant=False)
                for at in range(0, len(targets), size)
            ]
        return torch.cat(parts)

    def _pool(self, hidden: Tensor, counted: Tensor) -> Tensor:
        chances = torch.softmax(self._logits(hidden), dim=-1)
        return chances.masked_fill(~counted[..., None], 0).amax(dim=1)

    @torch.no_grad()
    def generate(
        self, prompts: Sequence[Tokens], max_new: int, temperature: float, generator: torch.Generator | None
    ) -> list[str]:
        if not prompts:
            return []
        was_training = self.model.training
        self.model.eval()
        try:
            written = self._generate(prompts, max_new, temperature, generator)
        finally:
            self.model.train(was_training)
        return self.tokenizer.batch_decode(written, skip_special_tokens=True)

    def _generate(
        self, prompts: Sequence[Tokens], max_new: int, temperature: float, generator: torch.Generator | None
    ) -> list[list[int]]:
        """Equal prompts are read once; finished rows leave the batch when a quarter of it is finished."""
        distinct = {tuple(p): None for p in prompts}
        place = {p: at for at, p in enumerate(distinct)}
        encoded = self.encode(list(distinct))
        rows = torch.tensor([place[tuple(p)] for p in prompts], device=self.device)
        eos, start = self.model.config.eos_token_id, self.model.config.decoder_start_token_id
        token = torch.full((len(prompts),), start, device=self.device)
        written = torch.full((len(prompts), max_new), eos)
        alive = torch.arange(len(prompts))
        going = torch.ones(len(prompts), dtype=torch.bool)
        with self._autocast():
            cross = t5_stack.keys_values(self.model.decoder, encoded.hidden)
            writing = t5_stack.Writing(self.model.decoder, cross, encoded.mask, rows, max_new)
            for at in range(max_new):
                logits = self._logits(writing.step(token))
                if temperature > 0:
                    chosen = drawn(torch.softmax(logits / temperature, dim=-1), generator)
                else:
                    chosen = logits.argmax(dim=-1).cpu()
                written[alive[going], at] = chosen[going]
                going &= chosen != eos
                left = int(going.sum())
                if left == 0:
                    break
                if left <= LEAVE_AT * len(alive):
                    writing.keep(going.nonzero()[:, 0].to(self.device))
                    alive, chosen, going = alive[going], chosen[going], going[going]
                token = chosen.to(self.device)
        return [_to_end(row, eos) for row in written.tolist()]

    def parameter_groups(self, lr: float, weight_decay: float) -> list[dict[str, Any]]:
        bias = [p for name, p in self.model.named_parameters() if "relative_attention_bias" in name]
        rest = [p for name, p in self.model.named_parameters() if "relative_attention_bias" not in name]
        return [
            {"params": rest, "lr": lr, "weight_decay": weight_decay},
            {"params": bias, "lr": lr * self.position_bias_lr, "weight_decay": 0.0},
        ]

    def save(self, folder: Path) -> None:
        self.model.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)

    def _logits(self, hidden: Tensor) -> Tensor:
        if getattr(self.model.config, "scale_decoder_outputs", False):  # T5 v1.0 ties and scales; mT5 knows no such key
            hidden = hidden * (self.model.model_dim**-0.5)
        logits: Tensor = self.model.lm_head(hidden)
        return logits.float() if self.bf16 else logits

    def _padded(self, rows: Sequence[Tokens]) -> tuple[Tensor, Tensor]:
        length = max(len(row) for row in rows)
        pad = self.model.config.pad_token_id
        ids = torch.tensor([[*row, *[pad] * (length - len(row))] for row in rows], device=self.device)
        lengths = torch.tensor([len(row) for row in rows], device=self.device)
        return ids, (torch.arange(length, device=self.device) < lengths[:, None]).long()

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.bf16)


def drawn(chances: Tensor, generator: torch.Generator | None) -> Tensor:
    """One column of each row of (rows, columns) chances, by a uniform number drawn on the CPU: the same on any device.

    `torch.multinomial` draws a number a column, which costs more than the decoder of a small student.
    """
    sums = chances.double().cumsum(dim=-1).cpu()
    least = torch.rand(len(sums), 1, generator=generator, dtype=torch.float64) * sums[:, -1:]
    return torch.searchsorted(sums, least, right=True)[:, 0].clamp(max=sums.shape[1] - 1)


def _to_end(tokens: list[int], eos: int) -> list[int]:
    """Up to the first end of sequence, which stays."""
    return tokens[: tokens.index(eos) + 1] if eos in tokens else tokens
