"""One step of any method: score every candidate without gradient, let the loss choose, score the chosen with gradient.

The explain prompt is encoded once and expanded over its candidates. With dropout off the loss and its gradients equal
those of scoring everything with gradient; with dropout the choice is made without it, by design.

A batch may be computed in micro-batches. Choice and judging come first, for the whole batch; then each micro-batch's
cross-entropies enter the loss of the whole batch, the others as constants. So every mean is the whole batch's, and the
gradients add up to its own for every loss in which no example's cross-entropies scale another's. Processes share a
batch in the same way (`ranks.py`): each has a part, and tells the others the scores that it found.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from engine.judge.discriminator import Discriminator
from engine.parallel.ranks import ALONE, Heard, Ranks
from engine.students.seam import Encoded, Student
from engine.training.batches import Candidate, Item
from engine.training.losses import Choice, Outcome, Scores, Wants

LossOf = Callable[[Scores], Outcome]
Exchange = Ranks | Heard
NOTHING = Wants()


@dataclass(frozen=True, slots=True)
class Row:
    """An item with the negatives it has at this step, and whether all its candidates are to be judged."""

    item: Item
    negatives: tuple[Candidate, ...]
    judge_all: bool
    earlier: tuple[Sequence[float], Sequence[float]] | None = None
    """Cross-entropies of positives and negatives at the iteration's start, to choose by; None: score them now."""


@dataclass(frozen=True, slots=True)
class Stepped:
    """What a step computed; its gradient lies in the student's parameters."""

    outcome: Outcome
    scores: Scores
    judged_positive: Tensor
    """(B, m) bool: its quality was computed."""
    judged_negative: Tensor
    """(B, k) bool"""
    target_tokens: int
    """Supervised tokens: of labels and of candidates that carry gradient."""


@dataclass(frozen=True, slots=True)
class _Prompts:
    """Prompts of some rows, read."""

    encoded: Encoded
    explain: dict[int, int]
    """Row -> place of its explain prompt; rows without candidates have none."""
    predict: dict[int, int]
    """Row -> place of its predict prompt; rows without a label have none."""


def step(
    student: Student,
    judge: Discriminator | None,
    loss: LossOf,
    rows: Sequence[Row],
    draw: Tensor,
    progress: float = 0.0,
    wants: Wants = NOTHING,
    micro_batch: int = 0,
    ranks: Exchange = ALONE,
) -> Stepped:
    """Scores a batch and adds the gradient of its loss to the student's parameters, and to nothing else.

    `draw`: (B, 2) uniform numbers for schemes that sample. `progress`: the share of the training that is done.
    `wants`: what the loss asks for beyond cross-entropies. `micro_batch`: rows computed at once; 0: all. `ranks`: the
    processes that share the rows out among them: the gradient is then that of this one's, to be added to the others';
    all else is the whole batch's.
    """
    mine = ranks.share(len(rows))
    size = micro_batch or len(mine)
    parts = [mine[at : at + size] for at in range(0, len(mine), size)]
    whole = _read(student, rows, parts[0]) if len(parts) == 1 else None
    first = replace(_unscored(rows, draw, student.device), progress=progress)
    if not wants.uses_all and ((first.positive_mask.sum(dim=1) > 1).any() or first.negative_mask.any()):
        if all(row.earlier is not None for row in rows):
            first = _as_before(rows, first)
        else:
            first = _without_gradient(student, rows, first, parts, whole)
            up, down = ranks.by_row([first.positive_ce, first.negative_ce])
            first = replace(first, positive_ce=up, negative_ce=down)
    choice = loss(first).choice
    judged_positive, judged_negative = choice.positive, choice.negative
    if judge is not None:
        judged_positive, judged_negative = _to_judge(rows, first, choice.positive, choice.negative)
        here = _rows_in(mine, judged_positive)
        first = _judge(judge, rows, first, judged_positive & here, judged_negative & here)
        up, down = ranks.by_row([first.positive_quality, first.negative_quality])
        first = replace(first, positive_quality=up, negative_quality=down)
    final = replace(first, choice=choice)
    if wants.unlikely:
        final = replace(final, negative_unlikely=torch.zeros_like(first.negative_ce))
    if wants.taught:
        final = replace(final, positive_taught=first.positive_ce.new_zeros(*first.positive_ce.shape, 2))
    pooled = wants.pads is not None and bool(final.predict_mask.any() and choice.positive.any())
    for part in parts:
        prompts = whole or _read(student, rows, part)
        scored = _score_labels(student, prompts, rows, final)
        scored = _score(
            student, prompts, rows, scored, choice.positive & (not wants.taught), choice.active & (not wants.unlikely)
        )
        if wants.unlikely:
            scored = _score_unlikely(student, prompts, rows, scored, choice.active)
        if wants.taught:
            scored = _be_taught(student, prompts, rows, scored, choice.positive, wants.taught == "released")
        if wants.pads is not None and pooled:
            scored = _pool(student, prompts, rows, scored, choice, wants.pads)
        outcome = loss(scored)
        if outcome.loss.requires_grad:
            outcome.loss.backward()
        final = _detached(scored)
    if len(parts[0]) < len(rows):
        final = _of_all(ranks, student, final, pooled)
        outcome = loss(final)
    labels = sum(len(row.item.label or ()) for row in rows)
    used = sum(len(c.tokens) - c.counted_from for c in _at(rows, choice.positive, choice.active))
    return Stepped(
        outcome=replace(outcome, loss=outcome.loss.detach()),
        scores=final,
        judged_positive=judged_positive,
        judged_negative=judged_negative,
        target_tokens=labels + used,
    )


def _read(student: Student, rows: Sequence[Row], part: Sequence[int]) -> _Prompts:
    """Both heads' prompts of the rows in `part`, as far as they have something to be scored."""
    explained = [i for i in part if rows[i].item.positives or rows[i].negatives]
    with_label = [i for i in part if rows[i].item.label is not None]
    prompts = [rows[i].item.explain for i in explained] + [rows[i].item.predict for i in with_label]
    return _Prompts(
        student.encode(prompts),
        {i: at for at, i in enumerate(explained)},
        {i: at for at, i in enumerate(with_label, len(explained))},
    )


def _without_gradient(
    student: Student, rows: Sequence[Row], scores: Scores, parts: Sequence[range], whole: _Prompts | None
) -> Scores:
    """`scores` with the cross-entropies of all candidates, in evaluation mode; `whole`: the batch's prompts if read."""
    student.model.eval()
    with torch.no_grad():
        for part in parts:
            prompts = whole or _read(student, rows, part)
            prompts = replace(prompts, encoded=prompts.encoded.detach())
            scores = _score(student, prompts, rows, scores, scores.positive_mask, scores.negative_mask)
    student.model.train()
    return scores


def _as_before(rows: Sequence[Row], scores: Scores) -> Scores:
    """`scores` with the cross-entropies that the rows bring along."""
    earlier = [row.earlier for row in rows if row.earlier is not None]
    up = scores.positive_ce.new_tensor([ce for positives, _ in earlier for ce in positives])
    down = scores.negative_ce.new_tensor([ce for _, negatives in earlier for ce in negatives])
    return replace(
        scores,
        positive_ce=scores.positive_ce.masked_scatter(scores.positive_mask, up),
        negative_ce=scores.negative_ce.masked_scatter(scores.negative_mask, down),
    )


def _detached(scores: Scores) -> Scores:
    return replace(
        scores,
        predict_ce=scores.predict_ce.detach(),
        positive_ce=scores.positive_ce.detach(),
        negative_ce=scores.negative_ce.detach(),
        negative_unlikely=None if scores.negative_unlikely is None else scores.negative_unlikely.detach(),
        positive_taught=None if scores.positive_taught is None else scores.positive_taught.detach(),
        positive_pooled=None if scores.positive_pooled is None else scores.positive_pooled.detach(),
    )


def _of_all(ranks: Exchange, student: Student, scores: Scores, pooled: bool) -> Scores:
    """`scores` with each row as the rank has scored it whose share it is in; `pooled`: pooled probabilities, too."""
    found = [scores.predict_ce, scores.positive_ce, scores.negative_ce]
    if scores.negative_unlikely is not None:
        (shared,) = ranks.by_row([scores.negative_unlikely])
        scores = replace(scores, negative_unlikely=shared)
    if scores.positive_taught is not None:
        (shared,) = ranks.by_row([scores.positive_taught])
        scores = replace(scores, positive_taught=shared)
    if pooled:
        config: Any = student.model.config
        ones = scores.positive_ce.new_ones(len(scores.predict_ce), config.vocab_size)
        found += [ones if some is None else some for some in (scores.predict_pooled, scores.positive_pooled)]
    predict, positive, negative, *both = ranks.by_row(found)
    scores = replace(scores, predict_ce=predict, positive_ce=positive, negative_ce=negative)
    return replace(scores, predict_pooled=both[0], positive_pooled=both[1]) if pooled else scores


def _rows_in(some: Sequence[int], like: Tensor) -> Tensor:
    """(rows, 1) bool: which of the rows of `like` are among those."""
    here = torch.zeros(len(like), 1, dtype=torch.bool, device=like.device)
    here[list(some)] = True
    return here


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


def _score_labels(student: Student, prompts: _Prompts, rows: Sequence[Row], scores: Scores) -> Scores:
    """`scores` with the cross-entropies of the labels of the rows whose prompts were read."""
    if not prompts.predict:
        return scores
    labels = [label for i in prompts.predict if (label := rows[i].item.label) is not None]
    found = student.score(prompts.encoded, list(prompts.predict.values()), labels)
    index = torch.tensor(list(prompts.predict), device=scores.predict_ce.device)
    return replace(scores, predict_ce=scores.predict_ce.index_put((index,), found))


def _score(
    student: Student, prompts: _Prompts, rows: Sequence[Row], scores: Scores, positive: Tensor, negative: Tensor
) -> Scores:
    """`scores` with the cross-entropies of the masked candidates of the rows whose prompts were read."""
    here = _rows_in(list(prompts.explain), positive)
    positive, negative = positive & here, negative & here
    owners = [prompts.explain[i] for side in (positive, negative) for i in side.nonzero()[:, 0].tolist()]
    found = score_once(student, prompts.encoded, owners, _at(rows, positive, negative))
    split = int(positive.sum())
    return replace(
        scores,
        positive_ce=scores.positive_ce.masked_scatter(positive, found[:split]),
        negative_ce=scores.negative_ce.masked_scatter(negative, found[split:]),
    )


def _score_unlikely(
    student: Student, prompts: _Prompts, rows: Sequence[Row], scores: Scores, negative: Tensor
) -> Scores:
    """`scores` with the mean -log(1 - p) of the masked negatives of the rows whose prompts were read."""
    assert scores.negative_unlikely is not None
    negative = negative & _rows_in(list(prompts.explain), negative)
    owners = [prompts.explain[i] for i in negative.nonzero()[:, 0].tolist()]
    wanted = _at(rows, torch.zeros_like(scores.positive_mask), negative)
    found = score_once(student, prompts.encoded, owners, wanted, unlikely=True)
    return replace(scores, negative_unlikely=scores.negative_unlikely.masked_scatter(negative, found))


def _be_taught(
    student: Student, prompts: _Prompts, rows: Sequence[Row], scores: Scores, positive: Tensor, released: bool
) -> Scores:
    """`scores` with the masked positives' cross-entropies and what NAT says, of the rows whose prompts were read."""
    assert scores.positive_taught is not None
    positive = positive & _rows_in(list(prompts.explain), positive)
    owners = positive.nonzero()[:, 0].tolist()
    targets = [c.tokens for c in _at(rows, positive, torch.zeros_like(scores.negative_mask))]
    if not targets:
        return scores
    here = {i: at for at, i in enumerate(dict.fromkeys(owners))}
    asked = [rows[i].item.explain for i in here]
    found = student.taught(asked, [here[i] for i in owners], targets, released)
    both = positive[..., None].expand(*positive.shape, 2)
    return replace(
        scores,
        positive_ce=scores.positive_ce.masked_scatter(positive, found[:, 0]),
        positive_taught=scores.positive_taught.masked_scatter(both, found[:, 1:]),
    )


def score_once(
    student: Student, encoded: Any, owners: Sequence[int], candidates: Sequence[Candidate], unlikely: bool = False
) -> Tensor:
    """(candidates,) cross-entropy of each given prompt owners[j]; a teacher repeats itself: equal ones once."""
    wanted = [(i, tuple(c.tokens), c.counted_from) for i, c in zip(owners, candidates, strict=True)]
    distinct = {one: at for at, one in enumerate(dict.fromkeys(wanted))}
    starts = [start for *_, start in distinct]
    found = student.score(
        encoded,
        [i for i, *_ in distinct],
        [tokens for _, tokens, _ in distinct],
        starts if any(starts) else None,
        unlikely,
    )
    return found[torch.tensor([distinct[one] for one in wanted], dtype=torch.long, device=found.device)]


def _pool(
    student: Student, prompts: _Prompts, rows: Sequence[Row], scores: Scores, choice: Choice, pads: bool
) -> Scores:
    """`scores` with the pooled probabilities of labels and of the chosen positives (at most one a row) that were read.

    Rows that were not hold ones.
    """
    labelled = [(i, row.item.label) for i, row in enumerate(rows) if row.item.label is not None]
    chosen = [(i, rows[i].item.positives[j].tokens) for i, j in choice.positive.nonzero().tolist()]
    with torch.no_grad():  # the predict side is a target
        predict = _pooled(student, prompts, prompts.predict, labelled, len(rows), pads, scores.predict_pooled)
    return replace(
        scores,
        predict_pooled=predict,
        positive_pooled=_pooled(student, prompts, prompts.explain, chosen, len(rows), pads, scores.positive_pooled),
    )


def _pooled(
    student: Student,
    prompts: _Prompts,
    places: dict[int, int],
    targets: Sequence[tuple[int, list[int]]],
    count: int,
    pads: bool,
    before: Tensor | None,
) -> Tensor | None:
    """(count, V) pooled probabilities of the targets, given with their rows, whose prompts were read."""
    here = [(i, target) for i, target in targets if i in places]
    if not here:
        return before
    longest = max(len(target) for _, target in targets)
    if pads:  # up to the longest of the whole batch
        here = [(i, [*target, *[student.pad] * (longest - len(target))]) for i, target in here]
    found = student.pooled(prompts.encoded, [places[i] for i, _ in here], [target for _, target in here], pads)
    index = torch.tensor([i for i, _ in here], device=found.device)
    return (found.new_ones(count, found.shape[1]) if before is None else before).index_put((index,), found)


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
    """`scores` with the qualities of the masked candidates; equal rationales of a question are read once."""
    owners = [*positive.nonzero()[:, 0].tolist(), *negative.nonzero()[:, 0].tolist()]
    asked = [(i, c.text) for i, c in zip(owners, _at(rows, positive, negative), strict=True)]
    place = {one: at for at, one in enumerate(dict.fromkeys(asked))}
    read = judge.judge([judge.pair(rows[i].item.example.question, text) for i, text in place])
    found = read[[place[one] for one in asked]].to(positive.device)
    split = int(positive.sum())
    return replace(
        scores,
        positive_quality=scores.positive_quality.masked_scatter(positive, found[:split]),
        negative_quality=scores.negative_quality.masked_scatter(negative, found[split:]),
    )
