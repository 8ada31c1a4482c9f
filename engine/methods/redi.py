"""REDI (Xu et al. 2025, arXiv 2505.24850): supervised on positives, then negatives pushed down with less weight.

The second stage's loss has no lower bound: the cross-entropy of a negative may grow for ever, and a likelihood that
is pushed down takes that of similar positives with it. What holds it back: the weight alpha below 1, the
length-normalised likelihood, a supervised stage first, and in the second what the schedule has left of the learning
rate. Watch `cross_entropy/positive`: it must not rise.
"""

import torch

from engine.methods.pair import choose_pair, supervise
from engine.spec.methods import Redi
from engine.training.losses import Choice, Outcome, Scores, mean_over

__all__ = ["loss", "supervise"]


def loss(config: Redi, scores: Scores) -> Outcome:
    """alpha_predict CE(label) + alpha_explain 1/N sum_i [ CE(pos) - alpha CE(neg) ], alpha 0 in the first stage.

    CE, the mean over tokens, is minus the length-normalised log likelihood. The second stage begins when the share
    `supervised` of the training is done. N counts examples with a positive; without a negative the term is CE(pos).
    """
    choice = scores.choice or choose_pair(scores)
    if scores.progress < config.supervised:
        silent = torch.zeros_like(choice.negative)
        choice = Choice(choice.positive, silent, silent)
    examples = scores.positive_mask.any(dim=1).sum().clamp(min=1)
    predict = mean_over(scores.predict_ce, scores.predict_mask)
    explain = mean_over(scores.positive_ce, choice.positive)
    negative = (scores.negative_ce * choice.negative).sum() / examples
    return Outcome(
        loss=config.alpha_predict * predict + config.alpha_explain * (explain - config.alpha * negative),
        terms={"predict": predict.detach(), "explain": explain.detach(), "negative": negative.detach()},
        choice=choice,
        positive_weight=choice.positive.to(scores.positive_ce.dtype),
        negative_weight=config.alpha * choice.negative.to(scores.negative_ce.dtype),
    )
