"""What a ranking model learns from: pairs of a right and a wrong rationale of one question, and how well it ranks."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.evaluation.intervals import auc
from engine.judge.discriminator import Judged, augment
from engine.judge.ranking import Pair, RankingModel
from engine.judge.training import vocabulary
from engine.randomness import generator


@dataclass(frozen=True, slots=True)
class Ranked:
    """A question's rationales that are not over-long, both sides at least one."""

    right: tuple[Pair, ...]
    wrong: tuple[Pair, ...]


def ranked(model: RankingModel, examples: Sequence[Judged]) -> tuple[list[Ranked], int]:
    """The questions that have both sides, and how many rationales of all are over-long."""
    found, over = [], 0
    for x in examples:
        sides = [[model.pair(x.question, text) for text in texts] for texts in (x.positives, x.negatives)]
        over += sum(pair is None for side in sides for pair in side)
        right, wrong = (tuple(pair for pair in side if pair is not None) for side in sides)
        if right and wrong:
            found.append(Ranked(right, wrong))
    return found, over


def epoch_pairs(questions: Sequence[Ranked], seed: int, epoch: int) -> list[tuple[Pair, Pair]]:
    """(right, wrong) pairs of one epoch, in its order: a question has as many as its longer side, so that each of its
    rationales comes up; the shorter side begins again. Their number is the same in every epoch."""
    random = generator(seed, "ranking pairs", epoch)
    pairs = []
    for q in questions:
        rights, wrongs = (torch.randperm(len(side), generator=random).tolist() for side in (q.right, q.wrong))
        for at in range(max(len(rights), len(wrongs))):
            pairs.append((q.right[rights[at % len(rights)]], q.wrong[wrongs[at % len(wrongs)]]))
    return [pairs[at] for at in torch.randperm(len(pairs), generator=random).tolist()]


def ranking_loss(right: Tensor, wrong: Tensor, p: float) -> Tensor:
    """Mean over pairs of (1 - s_right)^p + s_wrong^p (arXiv 2312.12832); (pairs,) scores in [0, 1] of each side."""
    return ((1 - right) ** p + wrong**p).mean()


def within(model: RankingModel, questions: Sequence[Ranked]) -> list[float]:
    """For each question the share of its (right, wrong) pairs in which the right one scores higher, ties half."""
    scores = iter(model.judge([pair for q in questions for pair in (*q.right, *q.wrong)]))
    found = []
    for q in questions:
        right, wrong = ([next(scores) for _ in side] for side in (q.right, q.wrong))
        share = auc(right, wrong)
        assert share is not None
        found.append(share)
    return found


def held_out(model: RankingModel, examples: Sequence[Judged], seed: int) -> dict[str, float]:
    """AUC by source of the wrong ones, scores of all questions pooled, as the discriminator's; and "ranked_right", the
    mean of `within`, which is what a vote among one question's samples needs.

    {"auc/minority": …, "auc/augmented": …, "ranked_right": …}; what cannot be told is missing.
    """
    both = [x for x in examples if x.positives and x.negatives]
    words, random = vocabulary(both), generator(seed, "probe")
    groups: dict[str, list[Pair | None]] = {"positive": [], "minority": [], "augmented": []}
    for x in both:
        groups["positive"] += [model.pair(x.question, text) for text in x.positives]
        groups["minority"] += [model.pair(x.question, text) for text in x.negatives]
        made = [augment(text, words, model.mask_word, random) for text in x.positives if text.split()]
        groups["augmented"] += [model.pair(x.question, text) for text in made]
    scores = {name: model.judge([pair for pair in pairs if pair is not None]) for name, pairs in groups.items()}
    found = {f"auc/{name}": auc(scores["positive"], scores[name]) for name in ("minority", "augmented")}
    shares = within(model, ranked(model, both)[0])
    found["ranked_right"] = math.fsum(shares) / len(shares) if shares else None
    return {name: value for name, value in found.items() if value is not None}
