"""Losses without contrast, shared by the methods that have none."""

import torch

from engine.training.losses import Choice, Outcome, Scores, mean_over, pick_least


def label_loss(scores: Scores) -> Outcome:
    """CE(label), the mean over examples that have one."""
    predict = mean_over(scores.predict_ce, scores.predict_mask)
    nothing = torch.zeros_like(scores.positive_mask)
    silent = torch.zeros_like(scores.negative_mask)
    return Outcome(
        loss=predict,
        terms={"predict": predict.detach()},
        choice=Choice(nothing, silent, silent),
        positive_weight=torch.zeros_like(scores.positive_ce),
        negative_weight=torch.zeros_like(scores.negative_ce),
    )


def label_and_best_positive(scores: Scores, alpha_predict: float, alpha_explain: float) -> Outcome:
    """alpha_predict CE(label) + alpha_explain min_j CE(r_j), each a mean over the examples that have one."""
    chosen = scores.choice.positive if scores.choice else pick_least(scores.positive_ce, scores.positive_mask)
    predict = mean_over(scores.predict_ce, scores.predict_mask)
    explain = mean_over(scores.positive_ce, chosen)
    silent = torch.zeros_like(scores.negative_mask)
    return Outcome(
        loss=alpha_predict * predict + alpha_explain * explain,
        terms={"predict": predict.detach(), "explain": explain.detach()},
        choice=Choice(chosen, silent, silent),
        positive_weight=chosen.to(scores.positive_ce.dtype),
        negative_weight=torch.zeros_like(scores.negative_ce),
    )
