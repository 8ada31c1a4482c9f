"""What the methods ask of a student, be it encoder-decoder or causal."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

import torch
from torch import Tensor

Tokens = Sequence[int]


class Encoded(Protocol):
    """Prompts, read once, to be expanded over as many targets as there are; each kind of student has its own."""

    def detach(self) -> "Encoded":
        """The same, with no gradient into what was read."""
        ...


def cut(tokens: list[int], limit: int) -> list[int]:
    """At most `limit` tokens; the end of sequence, which comes last, stays."""
    return tokens if len(tokens) <= limit else [*tokens[: limit - 1], tokens[-1]]


class Student(Protocol):
    """A model with its tokeniser and limits. `model` is the torch module that is trained and saved."""

    kind: Literal["t5", "causal", "chat"]
    """How it is asked: by a prompt alone, by a line that it goes on from, or by a turn of a chat."""
    model: torch.nn.Module
    tokenizer: Any
    device: torch.device
    adapted: Any
    """PEFT's wrapper of the model; None where it has no adapters."""
    pad: int
    """The token that fills up shorter targets."""

    def prompt(self, text: str) -> list[int]:
        """Tokens of a prompt, cut to the question limit."""
        ...

    def target(self, text: str, answer: str | None = None) -> list[int]:
        """Tokens of a target, end of sequence included, cut to the rationale limit.

        `answer`: the clause the text ends in; of a text that is too long it stays, and the middle goes.
        """
        ...

    def prompt_length(self, text: str) -> int:
        """Tokens of a prompt before it is cut."""
        ...

    def target_length(self, text: str) -> int:
        """Tokens of a target before it is cut."""
        ...

    def encode(self, prompts: Sequence[Tokens]) -> Encoded:
        """Reads the prompts once."""
        ...

    def score(
        self,
        encoded: Any,
        rows: Sequence[int],
        targets: Sequence[Tokens],
        starts: Sequence[int] | None = None,
        unlikely: bool = False,
    ) -> Tensor:
        """(targets,) token-mean cross-entropy in nats, end of sequence included, of target j given prompt rows[j].

        `encoded`: what this student's `encode` returned. `starts`: the first token of each target that counts; None: 0.
        `unlikely`: the token-mean of -log(1 - p) in its place.
        """
        ...

    def pooled(self, encoded: Any, rows: Sequence[int], targets: Sequence[Tokens], pads: bool) -> Tensor:
        """(targets, vocabulary) the greatest probability that each token has at any position of target j.

        `pads`: positions of padding, up to the longest of these targets, count as well; else real tokens alone.
        """
        ...

    def taught(
        self, prompts: Sequence[Tokens], rows: Sequence[int], targets: Sequence[Tokens], released: bool
    ) -> Tensor:
        """(targets, 3) what NAT says of target j given prompts[rows[j]], for a student of NCE: see `distil.taught`.

        `released`: padding, and of a causal student the prompt, count as well.
        """
        ...

    def generate(self, prompts: Sequence[Tokens], max_new: int, temperature: float, draws: Tensor | None) -> list[str]:
        """One text a prompt: greedy at temperature 0, sampled elsewhere by `draws`.

        `draws`: (prompts, max_new) uniform numbers in [0, 1) on the CPU, one for each token; None: greedy.
        """
        ...

    def stream(self, prompt: Tokens, max_new: int) -> Iterator[str]:
        """The greedy text after each token; the last is what `generate` gives."""
        ...

    def parameter_groups(self, lr: float, weight_decay: float) -> list[dict[str, Any]]:
        """AdamW's groups."""
        ...

    def save(self, folder: Path) -> None:
        """A Hugging Face folder: config, safetensors, tokeniser."""
        ...
