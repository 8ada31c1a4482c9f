"""The ranking model of adaptive self-consistency (arXiv 2312.12832): scores a rationale of a question in [0, 1].

An encoder over both, the mean over the rationale's tokens alone, two residual ELU layers, a linear one, a sigmoid. The
released code lets the encoder see pads; here it gets their mask.
"""

import json
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.functional import elu
from transformers import PreTrainedTokenizerBase

from engine.judge import encoders as judge_encoders
from engine.judge.grouping import read_together
from engine.randomness import derive
from engine.students.seam import Student
from engine.students.text import disarmed
from engine.training.memory import AtOnce

CACHED_TEXTS = 50_000


@dataclass(frozen=True, slots=True)
class Pair:
    """A question and a rationale, as the encoder reads them."""

    tokens: tuple[int, ...]
    rationale: tuple[int, int]
    """The first of its tokens, and the one after its last."""


class RankingModel(nn.Module):
    """`pair` makes its input of texts, `judge` its scores of those."""

    def __init__(self, encoder: Any, tokenizer: PreTrainedTokenizerBase, max_tokens: int) -> None:
        super().__init__()
        width = encoder.config.hidden_size
        self.encoder = encoder
        self.first, self.second = nn.Linear(width, width), nn.Linear(width, width)
        self.last = nn.Linear(width, 1)
        self.tokenizer = tokenizer
        self.template: Any = tokenizer.backend_tokenizer if tokenizer.cls_token and tokenizer.sep_token else None
        """Of BERT and its kin, which have a form of their own for a pair of texts."""
        self.separator: int | None = tokenizer.sep_token_id if self.template else None
        positions = getattr(encoder.config, "max_position_embeddings", None) or 2**62
        self.max_tokens = min(max_tokens, positions, tokenizer.model_max_length)
        self.at_once = AtOnce()
        """Of `judge`; the run puts in its own."""
        self.mask_word = str(tokenizer.mask_token or "<extra_id_0>")
        """How the tokeniser spells a gap."""
        disarm = disarmed(tokenizer, but=self.mask_word)
        self._tokens = lru_cache(maxsize=CACHED_TEXTS)(
            lambda text: tuple(tokenizer(disarm(text), add_special_tokens=False)["input_ids"])
        )
        self._encoded = lru_cache(maxsize=CACHED_TEXTS)(
            lambda text: self.template.encode(disarm(text), add_special_tokens=False)
        )

    def pair(self, question: str, rationale: str) -> Pair | None:
        """Tokens of both, each ended by the end of sequence, or in the encoder's own form; None: over `max_tokens`."""
        if self.template is None:
            asked, said, end = self._tokens(question), self._tokens(rationale), self.tokenizer.eos_token_id
            tokens, first = (*asked, end, *said, end), len(asked) + 1
            span = (first, first + max(1, len(said)))
        else:
            both = self.template.post_process(deepcopy(self._encoded(question)), deepcopy(self._encoded(rationale)))
            tokens = tuple(both.ids)
            places = [at for at, text in enumerate(both.sequence_ids) if text == 1] or [len(tokens) - 1]
            span = (places[0], places[-1] + 1)
        return Pair(tokens, span) if len(tokens) <= self.max_tokens else None

    def forward(self, pairs: Sequence[Pair]) -> Tensor:
        """(pairs,) scores in [0, 1]."""
        device = self.last.weight.device
        length = max(len(p.tokens) for p in pairs)
        ids = torch.tensor([[*p.tokens, *[0] * (length - len(p.tokens))] for p in pairs], device=device)
        places = torch.arange(length, device=device)
        real = places < torch.tensor([len(p.tokens) for p in pairs], device=device)[:, None]
        first, after = torch.tensor([p.rationale for p in pairs], device=device).T[:, :, None]
        said = (places >= first) & (places < after)
        hidden = judge_encoders.read(self.encoder, ids, real, self.separator)
        x = hidden.masked_fill(~said[..., None], 0.0).sum(dim=1) / said.sum(dim=1, keepdim=True)
        x = x + elu(self.first(x))
        x = x + elu(self.second(x))
        return torch.sigmoid(self.last(x)[:, 0])

    @torch.no_grad()
    def judge(self, pairs: Sequence[Pair]) -> list[float]:
        """Scores in evaluation mode, without gradient; pairs of similar length are read together."""
        if not pairs:
            return []
        groups = read_together([len(p.tokens) for p in pairs], self.last.weight.device)
        was_training = self.training
        self.eval()
        try:
            found = self.at_once.each(
                "the ranking model's reading", groups, lambda group: self([pairs[j] for j in group]).tolist()
            )
        finally:
            self.train(was_training)
        places = [j for group in groups for j in group]
        return [score for _, score in sorted(zip(places, found, strict=True))]

    def save(self, folder: Path) -> None:
        """The encoder with its tokeniser as a Hugging Face folder, the head beside it; `load` reads both."""
        folder.mkdir(parents=True)
        self.encoder.save_pretrained(folder / "encoder")
        self.tokenizer.save_pretrained(folder / "encoder")
        layers = ("first", "second", "last")
        head = {name: p.detach().contiguous() for name, p in self.state_dict().items() if name.startswith(layers)}
        save_file(head, folder / "head.safetensors")
        (folder / "ranking.json").write_text(json.dumps({"max_tokens": self.max_tokens}) + "\n")


def build(encoder: str, student: Student, max_tokens: int, seed: int) -> RankingModel:
    """By `method.encoder`, before its first step."""
    torch.manual_seed(derive(seed, "ranking"))
    model, tokenizer = judge_encoders.encoder(encoder, student)
    return RankingModel(model, tokenizer, max_tokens).to(student.device)


def load(folder: Path) -> RankingModel:
    """One that was saved. Raises OSError, ValueError, KeyError, RuntimeError or SafetensorError where it cannot be."""
    encoder, tokenizer = judge_encoders.pretrained(str(folder / "encoder"))
    model = RankingModel(encoder, tokenizer, json.loads((folder / "ranking.json").read_text())["max_tokens"])
    missing, unknown = model.load_state_dict(load_file(folder / "head.safetensors"), strict=False)
    if unknown or any(not name.startswith("encoder.") for name in missing):
        raise ValueError("head.safetensors holds other layers than a ranking model has")
    return model.eval()
