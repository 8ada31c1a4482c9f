"""The discriminator D: scores (question, rationale) in [0, 1] (arXiv 2405.13014, section 3.2).

An encoder (T5's in the paper), max pooling over real tokens, two linear layers, a sigmoid. Without it L_D diverges.
"""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase

from engine.judge import encoders as judge_encoders
from engine.judge.encoders import read
from engine.judge.grouping import read_together
from engine.randomness import derive, generator
from engine.spec.methods import JudgeLoss
from engine.students import gemm
from engine.students.seam import Student, Tokens, cut
from engine.students.text import disarmed
from engine.training.losses import anchored, bradley_terry, ranking
from engine.training.memory import AtOnce

CACHED_TEXTS = 50_000
AUGMENTED_SHARE = 0.3
"""Share of a positive's words that an augmented negative has masked or replaced."""


class Discriminator(nn.Module):
    """Encoder, pooling and head; `pair` makes its input of texts."""

    def __init__(self, encoder: Any, tokenizer: PreTrainedTokenizerBase, max_question: int, max_rationale: int) -> None:
        super().__init__()
        width = encoder.config.hidden_size
        self.encoder = encoder
        self.head = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 1))
        self.mask_word = str(tokenizer.mask_token or "<extra_id_0>")
        """How the tokeniser spells a gap."""
        # BERT and its kin have a template of their own for a pair of texts
        self.template: Any = tokenizer.backend_tokenizer if tokenizer.cls_token and tokenizer.sep_token else None
        self.separator: int | None = tokenizer.sep_token_id if self.template else None
        self.max_question, self.max_rationale = _limits(encoder, tokenizer, max_question, max_rationale)
        self.end = tokenizer.eos_token_id
        self.at_once = AtOnce()
        """Of `judge`; the run puts in its own."""
        disarm = disarmed(tokenizer, but=self.mask_word)
        self.tokens = lru_cache(maxsize=CACHED_TEXTS)(
            lambda text: [*tokenizer(disarm(text), add_special_tokens=False)["input_ids"], self.end]
        )
        self.encoded = lru_cache(maxsize=CACHED_TEXTS)(
            lambda text: self.template.encode(disarm(text), add_special_tokens=False)
        )

    def pair(self, question: str, rationale: str) -> list[int]:
        """Tokens of both, each cut to its limit: each ended by the end of sequence, or in the encoder's own form."""
        if self.template is None:
            return [*cut(self.tokens(question), self.max_question), *cut(self.tokens(rationale), self.max_rationale)]
        first, second = deepcopy(self.encoded(question)), deepcopy(self.encoded(rationale))
        first.truncate(self.max_question)
        second.truncate(self.max_rationale)
        return list(self.template.post_process(first, second).ids)

    def forward(self, pairs: Sequence[Tokens]) -> Tensor:
        """(pairs,) scores in [0, 1]."""
        return torch.sigmoid(self.logits(pairs))

    def logits(self, pairs: Sequence[Tokens]) -> Tensor:
        """(pairs,) scores before the sigmoid; read in groups of similar length."""
        groups = self._groups(pairs)
        scores = torch.cat([self._read([pairs[j] for j in group]) for group in groups])
        back = torch.empty(len(pairs), dtype=torch.long)
        back[torch.tensor([j for group in groups for j in group])] = torch.arange(len(pairs))
        return scores[back.to(scores.device)]

    def _groups(self, pairs: Sequence[Tokens]) -> list[list[int]]:
        """The places of pairs that are read together, shortest first."""
        return read_together([len(pair) for pair in pairs], next(self.parameters()).device)

    def _read(self, pairs: Sequence[Tokens]) -> Tensor:
        device = next(self.parameters()).device
        length = max(len(p) for p in pairs)
        pad = 0  # masked, so any
        ids = torch.tensor([[*p, *[pad] * (length - len(p))] for p in pairs], device=device)
        lengths = torch.tensor([len(p) for p in pairs], device=device)
        real = torch.arange(length, device=device) < lengths[:, None]
        hidden = read(self.encoder, ids, real, self.separator)
        pooled = hidden.masked_fill(~real[..., None], -torch.inf).amax(dim=1)
        found: Tensor = self.head(pooled)[:, 0]
        return found

    @torch.no_grad()
    def judge(self, pairs: Sequence[Tokens]) -> Tensor:
        """Scores in evaluation mode, without gradient."""
        if not pairs:
            return torch.zeros(0)

        def read(group: Sequence[int]) -> list[float]:
            return torch.sigmoid(self._read([pairs[j] for j in group])).tolist()

        groups = self._groups(pairs)
        was_training = self.training
        self.eval()
        try:
            scores = self.at_once.each("the discriminator's reading", groups, read)
        finally:
            self.train(was_training)
        found = torch.empty(len(pairs))
        found[[j for group in groups for j in group]] = torch.tensor(scores)
        return found


def _limits(encoder: Any, tokenizer: PreTrainedTokenizerBase, question: int, rationale: int) -> tuple[int, int]:
    """The limits of a pair within what the encoder can read: of less room, the question takes half at most."""
    positions = getattr(encoder.config, "max_position_embeddings", None) or 2**62
    room = min(positions, tokenizer.model_max_length) - tokenizer.num_special_tokens_to_add(pair=True)
    if question + rationale <= room:
        return question, rationale
    question = min(question, room // 2)
    return question, room - question


def build(encoder: str, student: Student, max_question: int, max_rationale: int, seed: int) -> Discriminator:
    """By `method.discriminator.encoder`: see `judge_encoders`."""
    torch.manual_seed(derive(seed, "discriminator"))
    model, tokenizer = judge_encoders.encoder(encoder, student)
    judge = Discriminator(model, tokenizer, max_question, max_rationale).to(student.device)
    gemm.hasten(judge, student.device, bf16=False)
    return judge


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


def judge_loss(judge: Discriminator, examples: Sequence[Judged], loss: JudgeLoss = "ranking") -> Tensor:
    """L_D over a batch of examples, or what stands in its place, with gradient."""
    pairs: list[Tokens] = []
    up: list[tuple[int, int, int]] = []
    down: list[tuple[int, int, int]] = []
    for row, example in enumerate(examples):
        for texts, where in ((example.positives, up), (example.negatives, down)):
            for column, text in enumerate(texts):
                where.append((row, column, len(pairs)))
                pairs.append(judge.pair(example.question, text))
    scores = judge(pairs) if loss == "ranking" else judge.logits(pairs)
    positive, positive_mask = _matrix(scores, up, len(examples))
    negative, negative_mask = _matrix(scores, down, len(examples))
    of = {"ranking": ranking, "bce": anchored, "bradley-terry": bradley_terry}[loss]
    return of(positive, positive_mask, negative, negative_mask)


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
