"""One step of any method: score every candidate without gradient, let the loss choose, score the chosen with gradient.

The explain prompt is encoded once and expanded over its candidates. With dropout off the loss and its gradients equal
those of scoring everything with gradient; with dropout the choice is made without it, by design.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from engine.batches import Candidate, Item
from engine.discriminator import Discriminator
from engine.losses import Choice, Outcome, Scores
from engine.students.seam import Encoded, Student

LossOf = Callable[[Scores], Outcome]


@dataclass(frozen=True, slots=True)
class Row:
    """An item with the negatives it has at this step, and whether all its candidates are to be judged."""

    item: Item
    negatives: tuple[Candidate, ...]
    judge_all: bool


@dataclass(frozen=True, slots=True)
class Stepped:
    """What a step computed; call `outcome.loss.backward()` to learn from it."""

    outcome: Outcome
    scores: Scores
    judged_positive: Tensor
    """(B, m) bool: its quality was computed."""
    judged_negative: Tensor
    """(B, k) bool"""
    target_tokens: int
    """Supervised tokens: of labels and of candidates that carry gradient."""


def step(
    student: Student,
    judge: Discriminator | None,
    loss: LossOf,
    rows: Sequence[Row],
    draw: Tensor,
    progress: float = 0.0,
    pads: bool | None = None,
) -> Stepped:
    """Scores a batch; the loss it returns carries gradient into the student alone.

    `draw`: (B, 2) uniform numbers for schemes that sample. `progress`: the share of the training that is done.
    `pads`: the loss wants pooled probabilities, with or without those at pads; None: it wants none.
    """
    explained = [i for i, row in enumerate(rows) if row.item.positives or row.negatives]
    with_label = [i for i, row in enumerate(rows) if row.item.label is not None]
    prompts = [rows[i].item.explain for i in explained] + [rows[i].item.predict for i in with_label]
    encoded = student.encode(prompts)
    empty = _unscored(rows, draw, student.device)
    labels = [row.item.label for row in rows if row.item.label is not None]
    predict_ce = empty.predict_ce
    if labels:
        found = student.score(encoded, range(len(explained), len(prompts)), labels)
        predict_ce = predict_ce.index_put((torch.tensor(with_label, device=student.device),), found)
    scores = replace(empty, predict_ce=predict_ce, progress=progress)

    if (scores.positive_mask.sum(dim=1) > 1).any() or scores.negative_mask.any():
        student.model.eval()
        with torch.no_grad():
            first = _score(student, encoded.detach(), rows, scores, scores.positive_mask, scores.negative_mask)
        student.model.train()
    else:
        first = scores
    choice = loss(first).choice
    judged_positive, judged_negative = choice.positive, choice.negative
    if judge is not None:
        judged_positive, judged_negative = _to_judge(rows, first, choice.positive, choice.negative)
        first = _judge(judge, rows, first, judged_positive, judged_negative)
    final = _score(student, encoded, rows, replace(first, choice=choice), choice.positive, choice.active)
    if pads is not None and with_label and choice.positive.any():
        final = _pool(student, encoded, rows, final, choice, pads)
    used = [c.tokens for c in _at(rows, choice.positive, choice.active)]
    return Stepped(
        outcome=loss(final),
        scores=final,
        judged_positive=judged_positive,
        judged_negative=judged_negative,
        target_tokens=sum(map(len, labels)) + sum(map(len, used)),
    )


def _unscored(rows: Sequence[Row], draw: Tensor, device: torch.device) -> Scores:
    """Masks, and zeros where scores will be; without a discriminator positives count fully and so do negatives."""
    m = max(1, *(len(row.item.positives) for row in rows))
    k = max(1, *(len(row.negatives) for row in rows))
    positives = torch.tensor([[j < len(row.item.positives) for j in range(m)] for row in rows], device=device)
    negatives = torch.tensor([[j < len(row.negatives) for j in range(k)] for row in rows], device=device)
    return Scores(
        predict_ce=torch.zeros(len(rows), device=device),
        predict_mask=torch.tensor([row.item.label is not None for row in rows], device=device),
        positive_ce=torch.zeros(positives.shape, device=device),
        positive_mask=positives,
        negative_ce=torch.zeros(negatives.shape, device=device),
        negative_mask=negatives,
        positive_quality=torch.ones(positives.shape, device=device),
        negative_quality=torch.zeros(negatives.shape, device=device),
        draw=draw.to(device),
    )


def _score(
    student: Student, encoded: Encoded, rows: Sequence[Row], scores: Scores, positive: Tensor, negative: Tensor
) -> Scores:
    """`scores` with the cross-entropies of the masked candidates computed; the others stay as they are."""
    # the explain prompts stand first, in the order of the rows that have any candidate
    explained = [i for i, row in enumerate(rows) if row.item.positives or row.negatives]
    place = {i: at for at, i in enumerate(explained)}
    owners = [place[i] for side in (positive, negative) for i in side.nonzero()[:, 0].tolist()]
    wanted = [(i, tuple(c.tokens)) for i, c in zip(owners, _at(rows, positive, negative), strict=True)]
    distinct = {pair: at for at, pair in enumerate(dict.fromkeys(wanted))}  # a teacher repeats itself: score once
    found = student.score(encoded, [i for i, _ in distinct], [tokens for _, tokens in distinct])
    found = found[torch.tensor([distinct[pair] for pair in wanted], dtype=torch.long, device=found.device)]
    split = int(positive.sum())
    return replace(
        scores,
        positive_ce=scores.positive_ce.masked_scatter(positive, found[:split]),
        negative_ce=scores.negative_ce.masked_scatter(negative, found[split:]),
    )


def _pool(
    student: Student, encoded: Encoded, rows: Sequence[Row], scores: Scores, choice: Choice, pads: bool
) -> Scores:
    """`scores` with the pooled probabilities of labels and of the chosen positives, at most one a row."""
    explained = [i for i, row in enumerate(rows) if row.item.positives or row.negatives]
    labelled = [(i, row.item.label) for i, row in enumerate(rows) if row.item.label is not None]
    chosen = choice.positive.nonzero().tolist()
    with torch.no_grad():  # the predict side is a target
        places = range(len(explained), len(explained) + len(labelled))
        predict = student.pooled(encoded, places, [label for _, label in labelled], pads)
    tokens = [rows[i].item.positives[j].tokens for i, j in chosen]
    positive = student.pooled(encoded, [explained.index(i) for i, _ in chosen], tokens, pads)

    def spread(found: Tensor, owners: list[int]) -> Tensor:
        index = torch.tensor(owners, device=found.device)
        return found.new_zeros(len(rows), found.shape[1]).index_put((index,), found)

    return replace(
        scores,
        predict_pooled=spread(predict, [i for i, _ in labelled]),
        positive_pooled=spread(positive, [i for i, _ in chosen]),
    )


def _at(rows: Sequence[Row], positive: Tensor, negative: Tensor) -> list[Candidate]:
    """The masked candidates, positives first, in row-major order."""
    first = [rows[i].item.positives[j] for i, j in positive.nonzero().tolist()]
    return first + [rows[i].negatives[j] for i, j in negative.nonzero().tolist()]


def _to_judge(rows: Sequence[Row], scores: Scores, positive: Tensor, negative: Tensor) -> tuple[Tensor, Tensor]:
    """The chosen; the student's own negatives, whose only visit this may be; all of the rows that ask for it."""
    everything = torch.tensor([[row.judge_all] for row in rows], device=positive.device)
    own = torch.zeros_like(scores.negative_mask)
    for i, row in enumerate(rows):
        for j, c in enumerate(row.negatives):
            own[i, j] = c.rationale.source == "self"
    return (
        positive | (scores.positive_mask & everything),
        negative | own | (scores.negative_mask & everything),
    )


def _judge(judge: Discriminator, rows: Sequence[Row], scores: Scores, positive: Tensor, negative: Tensor) -> Scores:
    """`scores` with the qualities of the masked candidates."""
    owners = [*positive.nonzero()[:, 0].tolist(), *negative.nonzero()[:, 0].tolist()]
    texts = [c.text for c in _at(rows, positive, negative)]
    found = judge.judge(
        [judge.pair(rows[i].item.example.question, text) for i, text in zip(owners, texts, strict=True)]
    ).to(positive.device)
    split = int(positive.sum())
    return replace(
        scores,
        positive_quality=scores.positive_quality.masked_scatter(positive, found[:split]),
        negative_quality=scores.negative_quality.masked_scatter(negative, found[split:]),
    )
