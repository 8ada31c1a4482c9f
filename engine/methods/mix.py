"""MIX, a baseline of Turning Dust into Gold (arXiv 2312.12832): right and wrong rationales alike."""

from engine.methods.rationales import everything, supervise
from engine.spec.dust_into_gold import Mix
from engine.training.losses import Outcome, Scores, Wants

__all__ = ["loss", "supervise", "wants"]


def wants(config: Mix) -> Wants:
    """No rationale is chosen before others."""
    return Wants(uses_all=True)


def loss(config: Mix, scores: Scores) -> Outcome:
    """The mean CE of all rationales of the batch; the weight of a wrong one is below 0: it is pulled, not pushed."""
    choice = scores.choice or everything(scores)
    count = (choice.positive.sum() + choice.negative.sum()).clamp(min=1)
    explain = ((scores.positive_ce * choice.positive).sum() + (scores.negative_ce * choice.negative).sum()) / count
    return Outcome(
        loss=explain,
        terms={"explain": explain.detach()},
        choice=choice,
        positive_weight=choice.positive.to(scores.positive_ce.dtype),
        negative_weight=-choice.negative.to(scores.negative_ce.dtype),
    )
