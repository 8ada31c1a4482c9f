"""Gold label only."""

from engine.methods.plain import label_loss
from engine.methods.supervision import Supervision
from engine.records import Voted
from engine.spec.methods import Finetune
from engine.training.losses import Outcome, Scores


def supervise(config: Finetune, voted: Voted, labels: str) -> Supervision:
    """The gold answer, if the example has one."""
    return Supervision(label=voted.example.answer)


def loss(config: Finetune, scores: Scores) -> Outcome:
    """CE(label)"""
    return label_loss(scores)
