"""CoT-KD, the first baseline of Turning Dust into Gold (arXiv 2312.12832): right rationales only."""

from engine.methods.rationales import right_alone, supervise
from engine.spec.dust_into_gold import CotKd
from engine.training.losses import Outcome, Scores, Wants, mean_over

__all__ = ["loss", "supervise", "wants"]


def wants(config: CotKd) -> Wants:
    """No rationale is chosen before others."""
    return Wants(uses_all=True)


def loss(config: CotKd, scores: Scores) -> Outcome:
    """The mean CE of all right rationales of the batch."""
    choice = scores.choice or right_alone(scores)
    explain = mean_over(scores.positive_ce, choice.positive)
    return Outcome(
        loss=explain,
        terms={"explain": explain.detach()},
        choice=choice,
        positive_weight=choice.positive.to(scores.positive_ce.dtype),
        negative_weight=choice.negative.to(scores.negative_ce.dtype),
    )
