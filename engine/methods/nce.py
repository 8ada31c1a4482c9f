"""NCE (arXiv 2312.12832): a fresh adapter learns from NAT, the more where the wrong adapter differs from it."""

import torch
from torch import Tensor

from engine.methods.rationales import right_alone, supervise
from engine.spec.dust_into_gold import Nce
from engine.training.losses import Outcome, Scores, Wants, mean_over

__all__ = ["gamma", "loss", "supervise", "wants"]


def wants(config: Nce) -> Wants:
    """What NAT and the wrong adapter say of every right rationale."""
    return Wants(uses_all=True, taught=config.mask)


def gamma(apart: Tensor) -> Tensor:
    """tanh of the token-mean KL(p_wrong || p_NAT) of a sample, in [0, 1); the paper's beta."""
    return torch.tanh(apart)


def loss(config: Nce, scores: Scores) -> Outcome:
    """mean over right rationales of alpha_ce CE + alpha_kd KD (0.5 + gamma)

    KD = - sum p_NAT log p_student, a mean over tokens; the temperature is 1. The weight told is that of both terms
    together.
    """
    choice = scores.choice or right_alone(scores)
    explain = mean_over(scores.positive_ce, choice.positive)
    if scores.positive_taught is None:
        distance = share = torch.zeros_like(scores.positive_ce)
    else:
        distance, share = scores.positive_taught[..., 0], 0.5 + gamma(scores.positive_taught[..., 1].detach())
    distilled = mean_over(distance * share, choice.positive)
    return Outcome(
        loss=config.alpha_ce * explain + config.alpha_kd * distilled,
        terms={"explain": explain.detach(), "distil": distilled.detach()},
        choice=choice,
        positive_weight=choice.positive * (config.alpha_ce + config.alpha_kd * share),
        negative_weight=torch.zeros_like(scores.negative_ce),
    )
