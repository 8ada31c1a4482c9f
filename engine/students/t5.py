"""A T5-type student: the encoder reads a prompt once, the decoder scores many targets against it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase, T5ForConditionalGeneration

from engine.students import adapters, distil, gemm, t5_stack
from engine.students.scoring import counted, finer, in_buckets, padded, pooled, token_mean
from engine.students.seam import Tokens, cut
from engine.students.text import cut_target, disarmed, remembered
from engine.students.writing import growing, texts, write


@dataclass(frozen=True, slots=True)
class Read:
    """What the encoder made of prompts."""

    hidden: Tensor
    """(prompts, length, width)"""
    mask: Tensor
    """(prompts, length), 1 at real tokens"""

    def detach(self) -> "Read":
        """The same, with no gradient into the encoder."""
        return Read(self.hidden.detach(), self.mask)


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
        adapted: Any = None,
    ) -> None:
        """`adapted`: PEFT's wrapper of the model, where it has adapters."""
        self.model: Any = model.to(device)  # type: ignore[arg-type]
        gemm.hasten(self.model, device, bf16)
        self._finer = finer(device, self.model.config.hidden_size)
        self.kind: Literal["t5", "causal", "chat"] = "t5"
        self.tokenizer = tokenizer
        self.device = device
        self.bf16 = bf16
        self.max_prompt = max_prompt
        self.max_target = max_target
        self.pad: int = self.model.config.pad_token_id
        self.position_bias_lr = position_bias_lr
        self.adapted = adapted
        disarm = disarmed(tokenizer)
        self._tokens = remembered(lambda text: tokenizer(disarm(text))["input_ids"])

    def prompt(self, text: str) -> list[int]:
        return cut(self._tokens(text), self.max_prompt)

    def target(self, text: str, answer: str | None = None) -> list[int]:
        ending = None if answer is None else self._tokens(f" {answer}")
        return cut_target(self._tokens(text), ending, self.max_target)

    def prompt_length(self, text: str) -> int:
        return len(self._tokens(text))

    def target_length(self, text: str) -> int:
        return len(self._tokens(text))

    def encode(self, prompts: Sequence[Tokens]) -> Read:
        ids, mask = self._padded(prompts)
        with self._autocast():
            hidden = t5_stack.read(self.model.encoder, ids, mask)
        return Read(hidden, mask)

    def score(
        self,
        encoded: Read,
        rows: Sequence[int],
        targets: Sequence[Tokens],
        starts: Sequence[int] | None = None,
        unlikely: bool = False,
    ) -> Tensor:
        if not targets:
            return torch.zeros(0, device=self.device)
        used, place = torch.unique(torch.tensor(rows, device=self.device), return_inverse=True)
        mask = encoded.mask[used]
        with self._autocast():
            cross = t5_stack.keys_values(self.model.decoder, encoded.hidden[used])

            def bucket(some: list[int]) -> Tensor:
                hidden, labels, real = self._states(cross, mask, place[some], [targets[j] for j in some])
                real = counted(real, starts, some)
                return token_mean(hidden, labels, real, self._logits, self.model.config.vocab_size, unlikely)

            return in_buckets(targets, bucket, self._finer)

    def pooled(self, encoded: Read, rows: Sequence[int], targets: Sequence[Tokens], pads: bool) -> Tensor:
        with self._autocast():
            cross = t5_stack.keys_values(self.model.decoder, encoded.hidden)
            place = torch.tensor(list(rows), device=self.device)
            hidden, _, real = self._states(cross, encoded.mask, place, targets)
            return pooled(hidden, torch.ones_like(real) if pads else real, self._logits, self.model.config.vocab_size)

    def taught(
        self, prompts: Sequence[Tokens], rows: Sequence[int], targets: Sequence[Tokens], released: bool
    ) -> Tensor:
        words = self.model.config.vocab_size
        with self._autocast():
            return distil.taught(self, self.adapted, prompts, rows, targets, self._logits, words, pads=released)

    def states(self, prompts: Sequence[Tokens], rows: Sequence[int], targets: Sequence[Tokens]) -> distil.States:
        """As `distil.Adapted`."""
        encoded = self.encode(prompts)
        cross = t5_stack.keys_values(self.model.decoder, encoded.hidden)
        place = torch.tensor(list(rows), device=self.device)
        return lambda some: self._states(cross, encoded.mask, place[some], [targets[j] for j in some])

    def _states(
        self, cross: Sequence[t5_stack.KeysValues], mask: Tensor, rows: Tensor, targets: Sequence[Tokens]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """What the targets' tokens are predicted from, the tokens, and which of them are real."""
        labels, label_mask = self._padded(targets)
        start = torch.full_like(labels[:, :1], self.model.config.decoder_start_token_id)
        shifted = torch.cat([start, labels[:, :-1]], dim=1)
        return t5_stack.score(self.model.decoder, shifted, cross, mask, rows), labels, label_mask.bool()

    def generate(self, prompts: Sequence[Tokens], max_new: int, temperature: float, draws: Tensor | None) -> list[str]:
        return texts(self, prompts, lambda distinct, rows: self._generate(distinct, rows, max_new, temperature, draws))

    def _generate(
        self, prompts: Sequence[Tokens], rows: Tensor, max_new: int, temperature: float, draws: Tensor | None
    ) -> list[list[int]]:
        writing, token = self._writing(prompts, rows, max_new)
        with self._autocast():
            return write(writing, token, self._logits, self.model.config.eos_token_id, max_new, temperature, draws)

    def stream(self, prompt: Tokens, max_new: int) -> Iterator[str]:
        return growing(self, lambda: self._begin(prompt, max_new), self.model.config.eos_token_id, max_new)

    def _begin(self, prompt: Tokens, max_new: int) -> tuple[Callable[[Tensor], Tensor], Tensor]:
        writing, token = self._writing([prompt], torch.zeros(1, dtype=torch.long, device=self.device), max_new)

        def step(last: Tensor) -> Tensor:
            with self._autocast():
                return self._logits(writing.step(last))

        return step, token

    def _writing(self, prompts: Sequence[Tokens], rows: Tensor, max_new: int) -> tuple[t5_stack.Writing, Tensor]:
        """Row j is to write to prompts[rows[j]]; and what stands before its first token."""
        encoded = self.encode(prompts)
        token = torch.full((len(rows),), self.model.config.decoder_start_token_id, device=self.device)
        with self._autocast():
            cross = t5_stack.keys_values(self.model.decoder, encoded.hidden)
            return t5_stack.Writing(self.model.decoder, cross, encoded.mask, rows, max_new), token

    def parameter_groups(self, lr: float, weight_decay: float) -> list[dict[str, Any]]:
        trained = {name: p for name, p in self.model.named_parameters() if p.requires_grad}
        bias = [p for name, p in trained.items() if "relative_attention_bias" in name]
        rest = [p for name, p in trained.items() if "relative_attention_bias" not in name]
        groups = [
            {"params": rest, "lr": lr, "weight_decay": weight_decay},
            {"params": bias, "lr": lr * self.position_bias_lr, "weight_decay": 0.0},
        ]
        return [group for group in groups if group["params"]]  # adapters: the bias is frozen

    def save(self, folder: Path) -> None:
        adapters.save(self.model, self.adapted, folder)
        self.tokenizer.save_pretrained(folder)

    def _logits(self, hidden: Tensor) -> Tensor:
        if getattr(self.model.config, "scale_decoder_outputs", False):  # T5 v1.0 ties and scales; mT5 knows no such key
            hidden = hidden * (self.model.model_dim**-0.5)
        logits: Tensor = self.model.lm_head(hidden)
        return logits.float() if self.bf16 else logits

    def _padded(self, rows: Sequence[Tokens]) -> tuple[Tensor, Tensor]:
        ids, real = padded(rows, self.model.config.pad_token_id, self.device)
        return ids, real.long()

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.bf16)
