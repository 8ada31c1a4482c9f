"""The naive step: every rationale through the whole model, all with gradient, by transformers' own forward.

It is the oracle of the fast step's tests and the first of its peers in `qcrd bench`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.nn.utils.rnn import pad_sequence

from engine.students.seam import Tokens
from engine.training.batches import Candidate
from engine.training.losses import Scores
from engine.training.step import Row

IGNORED = -100
"""transformers' label of a pad."""
Quality = Callable[[Row, Candidate], Tensor]


@dataclass(frozen=True, slots=True)
class Batch:
    """Pairs of a prompt and a target as a model's own forward takes them."""

    input_ids: Tensor
    """(pairs, length) prompts; of a causal model the targets stand behind them."""
    attention_mask: Tensor
    labels: Tensor
    """(pairs, length), IGNORED where nothing is learnt"""


def batch(
    student: Any, prompts: Sequence[Tokens], targets: Sequence[Tokens], device: torch.device | None = None
) -> Batch:
    """Padded on the right to the longest of each side; on the student's device, if no other is given."""
    texts, labels = [list(p) for p in prompts], [list(target) for target in targets]
    if not student.model.config.is_encoder_decoder:
        texts = [[*p, *target] for p, target in zip(prompts, targets, strict=True)]
        labels = [[*[IGNORED] * len(p), *target] for p, target in zip(prompts, targets, strict=True)]
    where = device or student.device
    return Batch(
        _padded(texts, student.pad).to(where),
        _padded([[1] * len(text) for text in texts], 0).to(where),
        _padded(labels, IGNORED).to(where),
    )


def _padded(rows: Sequence[list[int]], pad: int) -> Tensor:
    return pad_sequence([torch.tensor(row) for row in rows], batch_first=True, padding_value=pad)


def cross_entropies(
    student: Any, prompts: Sequence[Tokens], targets: Sequence[Tokens], starts: Sequence[int] | None = None
) -> Tensor:
    """(pairs,) token-mean cross-entropies with gradient; `starts`: the first token of each target that counts."""
    made = batch(student, prompts, targets)
    labels, first = made.labels, list(starts or [0] * len(targets))
    with torch.autocast(student.device.type, dtype=torch.bfloat16, enabled=student.bf16):
        logits = student.model(input_ids=made.input_ids, attention_mask=made.attention_mask, labels=labels).logits
    if not student.model.config.is_encoder_decoder:  # a token is predicted from the one before it
        logits, labels = logits[:, :-1], labels[:, 1:]
        first = [len(p) - 1 + start for p, start in zip(prompts, first, strict=True)]
    early = torch.arange(labels.shape[1], device=student.device) < torch.tensor(first, device=student.device)[:, None]
    labels = labels.masked_fill(early, IGNORED)
    losses = cross_entropy(logits.transpose(1, 2), labels, ignore_index=IGNORED, reduction="none")
    return losses.sum(dim=1) / (labels != IGNORED).sum(dim=1)


def naive_scores(student: Any, rows: Sequence[Row], quality: Quality | None, draw: Tensor) -> Scores:
    """All that the loss sees of a batch, in one forward; `quality` judges each candidate."""
    m = max(1, *(len(r.item.positives) for r in rows))
    k = max(1, *(len(r.negatives) for r in rows))
    pairs = [(r.item.predict, r.item.label, 0) for r in rows if r.item.label is not None]
    pairs += [(r.item.explain, c.tokens, c.counted_from) for r in rows for c in r.item.positives]
    pairs += [(r.item.explain, c.tokens, c.counted_from) for r in rows for c in r.negatives]
    found = cross_entropies(student, *map(list, zip(*pairs, strict=True)))
    predict = torch.tensor([r.item.label is not None for r in rows], device=student.device)
    positive = torch.tensor([[j < len(r.item.positives) for j in range(m)] for r in rows], device=student.device)
    negative = torch.tensor([[j < len(r.negatives) for j in range(k)] for r in rows], device=student.device)
    labels, positives, negatives = found.split([int(x.sum()) for x in (predict, positive, negative)])

    def filled(mask: Tensor, values: Tensor) -> Tensor:
        return torch.zeros(mask.shape, dtype=found.dtype, device=mask.device).masked_scatter(mask, values)

    up, down = torch.ones_like(positives.detach()), torch.zeros_like(negatives.detach())
    if quality is not None:
        up = torch.stack([*(quality(r, c) for r in rows for c in r.item.positives), up.new_zeros(())])[:-1]
        down = torch.stack([*(quality(r, c) for r in rows for c in r.negatives), up.new_zeros(())])[:-1]
    return Scores(
        predict_ce=filled(predict, labels),
        predict_mask=predict,
        positive_ce=filled(positive, positives),
        positive_mask=positive,
        negative_ce=filled(negative, negatives),
        negative_mask=negative,
        positive_quality=filled(positive, up),
        negative_quality=filled(negative, down),
        draw=draw.to(student.device),
    )
