"""The discriminator D: scores (question, rationale) in [0, 1] (arXiv 2405.13014, section 3.2).

A T5 encoder, max pooling over real tokens, two linear layers, a sigmoid. Without the sigmoid L_D diverges.
"""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoTokenizer, PreTrainedTokenizerBase, T5EncoderModel

from engine.losses import ranking
from engine.randomness import derive, generator
from engine.students import t5_stack
from engine.students.seam import Student, Tokens, cut

CACHED_TEXTS = 50_000
GROUP = 2**22
"""Pairs times their longest squared: pairs read at once. Attention pays for padding in squares, in time and memory."""
AUGMENTED_SHARE = 0.3
"""Share of a positive's words that an augmented negative has masked or replaced."""


class Discriminator(nn.Module):
    """Encoder, pooling and head; `pair` makes its input of texts."""

    def __init__(
        self, encoder: T5EncoderModel, tokenizer: PreTrainedTokenizerBase, max_question: int, max_rationale: int
    ) -> None:
        super().__init__()
        width = encoder.config.d_model
        self.encoder = encoder
        self.head = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 1))
        self.max_question = max_question
        self.max_rationale = max_rationale
        self.tokens = lru_cache(maxsize=CACHED_TEXTS)(lambda text: tokenizer(text)["input_ids"])
        self.mask_word = str(tokenizer.mask_token or "<extra_id_0>")
        """How the tokeniser spells a gap."""

    def pair(self, question: str, rationale: str) -> list[int]:
        """Tokens of both, each ended by the end of sequence, each cut to its limit."""
        return [*cut(self.tokens(question), self.max_question), *cut(self.tokens(rationale), self.max_rationale)]

    def forward(self, pairs: Sequence[Tokens]) -> Tensor:
        """(pairs,) scores in [0, 1]; read in groups of similar length."""
        order = sorted(range(len(pairs)), key=lambda j: len(pairs[j]))
        groups: list[list[int]] = [[]]
        for j in order:
            if groups[-1] and (len(groups[-1]) + 1) * len(pairs[j]) ** 2 > GROUP:
                groups.append([])
            groups[-1].append(j)
        scores = torch.cat([self._read([pairs[j] for j in group]) for group in groups])
        back = torch.empty(len(order), dtype=torch.long)
        back[torch.tensor(order)] = torch.arange(len(order))
        return scores[back.to(scores.device)]

    def _read(self, pairs: Sequence[Tokens]) -> Tensor:
        device = next(self.parameters()).device
        length = max(len(p) for p in pairs)
        pad = self.encoder.config.pad_token_id
        ids = torch.tensor([[*p, *[pad] * (length - len(p))] for p in pairs], device=device)
        lengths = torch.tensor([len(p) for p in pairs], device=device)
        real = torch.arange(length, device=device) < lengths[:, None]
        hidden = t5_stack.read(self.encoder.encoder, ids, real.long())
        pooled = hidden.masked_fill(~real[..., None], -torch.inf).amax(dim=1)
        return torch.sigmoid(self.head(pooled)[:, 0])

    @torch.no_grad()
    def judge(self, pairs: Sequence[Tokens]) -> Tensor:
        """Scores in evaluation mode, without gradient."""
        if not pairs:
            return torch.zeros(0)
        was_training = self.training
        self.eval()
        found = self(pairs).cpu()
        self.train(was_training)
        return found


def build(encoder: str, student: Student, max_question: int, max_rationale: int, seed: int) -> Discriminator:
    """ "student-sized": the shape of the student's encoder, from scratch; else the encoder of that T5."""
    torch.manual_seed(derive(seed, "discriminator"))
    if encoder == "student-sized":
        config: Any = deepcopy(student.model.config)
        encoder_model = T5EncoderModel(config)
        encoder_model.set_attn_implementation(config._attn_implementation)
        return Discriminator(encoder_model, student.tokenizer, max_question, max_rationale).to(student.device)
    model = T5EncoderModel.from_pretrained(encoder, dtype=torch.float32)
    return Discriminator(model, AutoTokenizer.from_pretrained(encoder), max_question, max_rationale).to(student.device)


@dataclass(frozen=True, slots=True)
class Judged:
    """One example's texts as the discriminator is trained on them."""

    question: str
    positives: tuple[str, ...]
    negatives: tuple[str, ...]


def augment(text: str, words: Sequence[str], mask: str, random: torch.Generator) -> str:
    """A positive (of one word at least) made worse: about 30 % of its words masked or replaced, at least one."""
    parts = text.split()
    draws = torch.rand(len(parts), generator=random).tolist()
    hit = [j for j, draw in enumerate(draws) if draw < AUGMENTED_SHARE] or [draws.index(min(draws))]
    for j in hit:
        pick = int(torch.randint(2 * len(words), (1,), generator=random))
        parts[j] = mask if pick >= len(words) else words[pick]
    return " ".join(parts)


def balance(example: Judged, words: Sequence[str], mask: str, random: torch.Generator) -> Judged:
    """As many negatives as positives, the missing ones augmented (the paper's class balance)."""
    made = [
        augment(example.positives[j % len(example.positives)], words, mask, random)
        for j in range(len(example.positives) - len(example.negatives))
    ]
    return Judged(example.question, example.positives, (*example.negatives, *made))


def ranking_loss(judge: Discriminator, examples: Sequence[Judged]) -> Tensor:
    """L_D over a batch of examples, with gradient."""
    pairs: list[Tokens] = []
    up: list[tuple[int, int, int]] = []
    down: list[tuple[int, int, int]] = []
    for row, example in enumerate(examples):
        for texts, where in ((example.positives, up), (example.negatives, down)):
            for column, text in enumerate(texts):
                where.append((row, column, len(pairs)))
                pairs.append(judge.pair(example.question, text))
    scores = judge(pairs)
    positive, positive_mask = _matrix(scores, up, len(examples))
    negative, negative_mask = _matrix(scores, down, len(examples))
    return ranking(positive, positive_mask, negative, negative_mask)


def _matrix(scores: Tensor, places: list[tuple[int, int, int]], rows: int) -> tuple[Tensor, Tensor]:
    """(pairs,) scores -> (rows, most candidates of a row) and its mask."""
    columns = max((column for _, column, _ in places), default=0) + 1
    index = torch.zeros(rows, columns, dtype=torch.long)
    mask = torch.zeros(rows, columns, dtype=torch.bool)
    for row, column, at in places:
        index[row, column], mask[row, column] = at, True
    mask = mask.to(scores.device)
    return scores[index.to(scores.device)] * mask, mask


def pretrain_batch(
    examples: Sequence[Judged], step: int, size: int, seed: int, words: Sequence[str], mask: str
) -> list[Judged]:
    """The balanced batch of one pre-training step; depends on the step's number alone."""
    random = generator(seed, "judge", step)
    picks = torch.randint(len(examples), (min(size, len(examples)),), generator=random).tolist()
    return [balance(examples[p], words, mask, random) for p in picks]
