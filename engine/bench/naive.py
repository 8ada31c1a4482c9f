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

from engine.batches import Candidate
from engine.losses import Scores
from engine.step import Row
from engine.students.seam import Tokens

IGNORED = -100
"""transformers' label of a pad."""
Quality = Callable[[Row, Candidate], Tensor]


@dataclass(frozen=True, slots=True)
class Batch:
    """Pairs of a prompt and a target as an encoder-decoder's own forward takes them."""

    input_ids: Tensor
    attention_mask: Tensor
    labels: Tensor
    """(pairs, length), IGNORED at pads"""


def batch(prompts: Sequence[Tokens], targets: Sequence[Tokens], pad: int, device: torch.device) -> Batch:
    """Padded to the longest of each side."""
    ids = pad_sequence([torch.tensor(list(p)) for p in prompts], batch_first=True, padding_value=pad)
    real = pad_sequence([torch.ones(len(p), dtype=torch.long) for p in prompts], batch_first=True)
    labels = pad_sequence([torch.tensor(list(t)) for t in targets], batch_first=True, padding_value=IGNORED)
    return Batch(ids.to(device), real.to(device), labels.to(device))


def cross_entropies(
    student: Any, prompts: Sequence[Tokens], targets: Sequence[Tokens], starts: Sequence[int] | None = None
) -> Tensor:
    """(pairs,) token-mean cross-entropies with gradient; `starts`: the first token of each target that counts."""
    starts = starts or [0] * len(targets)
    if not student.model.config.is_encoder_decoder:
        return torch.stack([_causal(student, *one) for one in zip(prompts, targets, starts, strict=True)])
    made = batch(prompts, targets, student.model.config.pad_token_id, student.device)
    with torch.autocast(student.device.type, dtype=torch.bfloat16, enabled=student.bf16):
        logits = student.model(input_ids=made.input_ids, attention_mask=made.attention_mask, labels=made.labels).logits
    early = (
        torch.arange(made.labels.shape[1], device=student.device) < torch.tensor(starts, device=student.device)[:, None]
    )
    labels = made.labels.masked_fill(early, IGNORED)
    losses = cross_entropy(logits.transpose(1, 2), labels, ignore_index=IGNORED, reduction="none")
    return losses.sum(dim=1) / (labels != IGNORED).sum(dim=1)


def _causal(student: Any, prompt: Tokens, target: Tokens, start: int) -> Tensor:
    """One pair as one text: no padding, which is a question of its own there."""
    ids = torch.tensor([[*prompt, *target]], device=student.device)
    with torch.autocast(student.device.type, dtype=torch.bfloat16, enabled=student.bf16):
        logits = student.model(input_ids=ids).logits[0, len(prompt) - 1 + start : -1]
    return cross_entropy(logits, ids[0, len(prompt) + start :])


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
