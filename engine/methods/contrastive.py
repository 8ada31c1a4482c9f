"""Right against wrong, a baseline of Turning Dust into Gold (arXiv 2312.12832), which leaves its form open.

Ours: beside the cross-entropy of all right rationales, a hinge on one drawn pair of each question (both sides drawn
evenly at each visit, so that every pair has its turn): the wrong one's token-mean cross-entropy is to be above the
right one's by a margin, after which the pair is left alone.
"""

from torch import Tensor

from engine.methods.rationales import supervise
from engine.spec.dust_into_gold import Contrastive
from engine.training.losses import Choice, Outcome, Scores, mean_over, pick_drawn

__all__ = ["loss", "supervise"]


def loss(config: Contrastive, scores: Scores) -> Outcome:
    """mean CE(right) + weight 1/P sum_i max(0, margin + CE(right_i) - CE(wrong_i)), P questions that have both.

    Whether a pair is within its margin is decided once, without dropout.
    """
    first = pick_drawn(scores.draw[:, 0], scores.positive_mask)
    second = pick_drawn(scores.draw[:, 1], scores.negative_mask) & scores.positive_mask.any(dim=1, keepdim=True)
    short = config.margin + _of(scores.positive_ce, first) - _of(scores.negative_ce, second)
    within = second & (short > 0)[:, None]
    choice = scores.choice or Choice(scores.positive_mask, second, within)
    pairs = choice.negative.any(dim=1).sum().clamp(min=1)
    open_pairs = choice.active.any(dim=1)
    explain = mean_over(scores.positive_ce, choice.positive)
    contrast = (short * open_pairs).sum() / pairs
    rationales = choice.positive.sum().clamp(min=1)
    pull = config.weight * rationales / pairs
    return Outcome(
        loss=explain + config.weight * contrast,
        terms={"explain": explain.detach(), "contrast": contrast.detach()},
        choice=choice,
        positive_weight=choice.positive + pull * (first & open_pairs[:, None]),
        negative_weight=pull * choice.active,
    )


def _of(values: Tensor, chosen: Tensor) -> Tensor:
    """(B, n) -> (B,) the chosen entry; 0 where none is."""
    return (values * chosen).sum(dim=1)
