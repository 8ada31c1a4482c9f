"""ORPO (Hong et al. 2024, arXiv 2403.07691): cross-entropy of a positive, and its odds against a negative's."""

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from engine.methods.pair import choose_pair, supervise
from engine.spec.methods import Orpo
from engine.training.losses import Outcome, Scores, mean_over

__all__ = ["loss", "supervise"]

LEAST_CE = 1e-6
"""Nats: below it p = exp(-CE) is 1 in float32, and its odds infinite."""


def log_odds(ce: Tensor) -> Tensor:
    """log(p / (1 - p)) of p = exp(-CE), the likelihood normalised by length (equations 3 and 4); any shape.

    log(1 - p) is log(-expm1(-CE)) where p is near 1, and log1p(-exp(-CE)) where it is near 0.
    """
    ce = ce.clamp(min=LEAST_CE)
    near = ce < 0.693
    # each branch sees values it is exact for, so that the one not taken has no infinite gradient
    of_near = torch.log(-torch.expm1(-torch.where(near, ce, 0.5)))
    of_far = torch.log1p(-torch.exp(-torch.where(near, 1.0, ce)))
    return -ce - torch.where(near, of_near, of_far)


def loss(config: Orpo, scores: Scores) -> Outcome:
    """alpha_predict CE(label) + alpha_explain 1/N sum_i [ CE(pos) - odds_weight log sigmoid(log OR) ]  (equations 6, 7)

    log OR = log odds(pos) - log odds(neg). An example without a negative has its cross-entropy alone. The term is
    at least 0: a negative that is unlikely enough is pushed no further. The weights are the gradient's:
    d(-log sigmoid(log OR)) / dCE = sigmoid(-log OR) / (1 - p), up for the positive, down for the negative.
    """
    choice = scores.choice or choose_pair(scores)
    examples = scores.positive_mask.any(dim=1).sum().clamp(min=1)
    paired = choice.negative.any(dim=1)
    positive_ce = (scores.positive_ce * choice.positive).sum(dim=1)
    negative_ce = (scores.negative_ce * choice.negative).sum(dim=1)
    ratio = log_odds(positive_ce) - log_odds(negative_ce)
    odds = -(logsigmoid(ratio) * paired).sum() / examples
    predict = mean_over(scores.predict_ce, scores.predict_mask)
    explain = mean_over(positive_ce, scores.positive_mask.any(dim=1))
    pull = (config.odds_weight * torch.sigmoid(-ratio) * paired).detach()[:, None]
    return Outcome(
        loss=config.alpha_predict * predict + config.alpha_explain * (explain + config.odds_weight * odds),
        terms={"predict": predict.detach(), "explain": explain.detach(), "odds": odds.detach()},
        choice=choice,
        positive_weight=choice.positive * (1 + pull * _slope(scores.positive_ce)),
        negative_weight=choice.negative * pull * _slope(scores.negative_ce),
    )


def _slope(ce: Tensor) -> Tensor:
    """1 / (1 - exp(-CE)): how fast the log odds fall with the cross-entropy."""
    return -1 / torch.expm1(-ce.detach().clamp(min=LEAST_CE))
