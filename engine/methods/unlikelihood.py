"""Unlikelihood (Welleck et al. 2020, arXiv 1908.04319), as a baseline of Turning Dust into Gold (arXiv 2312.12832)."""

import torch

from engine.methods.rationales import everything, supervise
from engine.spec.dust_into_gold import Unlikelihood
from engine.training.losses import Outcome, Scores, Wants, mean_over

__all__ = ["loss", "supervise", "wants"]


def wants(config: Unlikelihood) -> Wants:
    """The unlikelihood of wrong rationales instead of their cross-entropy."""
    return Wants(unlikely=True)


def loss(config: Unlikelihood, scores: Scores) -> Outcome:
    """mean CE(right) + weight mean UL(wrong); UL, a mean over tokens of -log(1 - p), is the step's to compute.

    In the pass that chooses there is none, and none is needed: every rationale is used.
    """
    choice = scores.choice or everything(scores)
    unlikely = torch.zeros_like(scores.negative_ce) if scores.negative_unlikely is None else scores.negative_unlikely
    explain = mean_over(scores.positive_ce, choice.positive)
    negative = mean_over(unlikely, choice.negative)
    wrong = choice.negative.sum().clamp(min=1)
    return Outcome(
        loss=explain + config.weight * negative,
        terms={"explain": explain.detach(), "unlikelihood": negative.detach()},
        choice=choice,
        positive_weight=choice.positive.to(scores.positive_ce.dtype),
        negative_weight=config.weight * choice.positive.sum() / wrong * choice.negative,
    )
