"""A T5-type student: the encoder reads a prompt once, the decoder scores many targets against it."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from transformers import DynamicCache, EncoderDecoderCache, PreTrainedTokenizerBase, T5ForConditionalGeneration

from engine.students.seam import Encoded, Tokens, cut

CHUNK = 4096
"""Target tokens whose logits are made at once; without gradient they are also gone at once."""
BUCKETS = 3
"""Targets are scored in this many groups of similar length."""


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
        self._special = re.compile("|".join(map(re.escape, tokenizer.all_special_tokens)))

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
        found: list[int] = self.tokenizer(self._special.sub(" ", text))["input_ids"]
        return found

    def encode(self, prompts: Sequence[Tokens]) -> Encoded:
        ids, mask = self._padded(prompts)
        with self._autocast():
            hidden = self.model.encoder(input_ids=ids, attention_mask=mask).last_hidden_state
        return Encoded(hidden, mask)

    def score(self, encoded: Encoded, rows: Sequence[int], targets: Sequence[Tokens]) -> Tensor:
        if not targets:
            return torch.zeros(0, device=self.device)
        order = sorted(range(len(targets)), key=lambda j: len(targets[j]))
        size = -(-len(order) // BUCKETS) if len(order) >= 8 * BUCKETS else len(order)
        parts = []
        for start in range(0, len(order), size):
            bucket = order[start : start + size]
            parts.append(self._score(encoded, [rows[j] for j in bucket], [targets[j] for j in bucket]))
        back = torch.empty(len(order), dtype=torch.long)
        back[torch.tensor(order)] = torch.arange(len(order))
        return torch.cat(parts)[back.to(self.device)]

    def _score(self, encoded: Encoded, rows: Sequence[int], targets: Sequence[Tokens]) -> Tensor:
        """One bucket: logits at real target tokens only, in chunks."""
        labels, mask = self._padded(targets)
        real = mask.bool()
        start = torch.full_like(labels[:, :1], self.model.config.decoder_start_token_id)
        select = torch.tensor(rows, device=self.device)
        with self._autocast():
            hidden = self.model.decoder(
                input_ids=torch.cat([start, labels[:, :-1]], dim=1),
                encoder_hidden_states=encoded.hidden[select],
                encoder_attention_mask=encoded.mask[select],
                use_cache=False,
            ).last_hidden_state[real]
            wanted = labels[real]
            losses = [
                cross_entropy(self._logits(hidden[at : at + CHUNK]), wanted[at : at + CHUNK], reduction="none")
                for at in range(0, len(wanted), CHUNK)
            ]
        flat = torch.cat(losses)
        per_token = torch.zeros(labels.shape, dtype=flat.dtype, device=self.device).masked_scatter(real, flat)
        return per_token.sum(dim=1) / real.sum(dim=1)

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
        """Rows leave the batch as they finish, so that the last long one runs alone."""
        encoded = self.encode(prompts)
        hidden, mask = encoded.hidden, encoded.mask
        eos = self.model.config.eos_token_id
        alive = torch.arange(len(prompts))
        written: list[list[int]] = [[] for _ in prompts]
        token = torch.full((len(prompts), 1), self.model.config.decoder_start_token_id, device=self.device)
        cache = EncoderDecoderCache(DynamicCache(), DynamicCache())
        for _ in range(max_new):
            with self._autocast():
                out = self.model.decoder(
                    input_ids=token,
                    encoder_hidden_states=hidden,
                    encoder_attention_mask=mask,
                    past_key_values=cache,
                    use_cache=True,
                )
                logits = self._logits(out.last_hidden_state[:, -1])
            if temperature > 0:
                # drawn on the CPU: the same stream on every device
                chances = torch.softmax(logits / temperature, dim=-1).cpu()
                chosen = torch.multinomial(chances, 1, generator=generator)[:, 0]
            else:
                chosen = logits.argmax(dim=-1).cpu()
            for row, value in zip(alive.tolist(), chosen.tolist(), strict=True):
                written[row].append(value)
            going = (chosen != eos).nonzero()[:, 0]
            if len(going) == 0:
                break
            if len(going) < len(alive):
                keep = going.to(self.device)
                cache.batch_select_indices(keep)
                alive, chosen, hidden, mask = alive[going], chosen[going], hidden[keep], mask[keep]
            token = chosen[:, None].to(self.device)
        return written

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
        if self.model.config.scale_decoder_outputs:  # T5 v1.0 ties and scales
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
