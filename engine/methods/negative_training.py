"""Negative training (He and Glass 2020, arXiv 1903.02134), as a baseline of Turning Dust into Gold (arXiv 2312.12832).

A wrong rationale's cross-entropy is taken away with a small weight. The term has no lower bound, so that a wrong one
is left alone once it is unlikely enough: the cap is ours.
"""

from engine.methods.rationales import supervise
from engine.spec.dust_into_gold import NegativeTraining
from engine.training.losses import Choice, Outcome, Scores

__all__ = ["loss", "supervise"]


def loss(config: NegativeTraining, scores: Scores) -> Outcome:
    """1/R [ sum CE(right) - weight sum min(CE(wrong), cap) ], R the rationales of the batch."""
    silent = scores.negative_ce.detach() >= config.cap
    choice = scores.choice or Choice(scores.positive_mask, scores.negative_mask, scores.negative_mask & ~silent)
    count = (choice.positive.sum() + choice.negative.sum()).clamp(min=1)
    explain = (scores.positive_ce * choice.positive).sum() / count
    beyond = choice.negative & ~choice.active
    negative = ((scores.negative_ce * choice.active).sum() + config.cap * beyond.sum()) / count
    return Outcome(
        loss=explain - config.weight * negative,
        terms={"explain": explain.detach(), "negative": negative.detach()},
        choice=choice,
        positive_weight=choice.positive.to(scores.positive_ce.dtype),
        negative_weight=config.weight * choice.active.to(scores.negative_ce.dtype),
    )
