"""The teacher's label only."""

from engine.methods.plain import label_loss
from engine.methods.supervision import Supervision, label_of
from engine.records import Voted
from engine.spec.methods import SingleTask
from engine.training.losses import Outcome, Scores


def supervise(config: SingleTask, voted: Voted, labels: str) -> Supervision:
    """The voted answer, whatever `labels` says: with gold labels this method would be finetune."""
    return Supervision(label=label_of(voted, "teacher"))


def loss(config: SingleTask, scores: Scores) -> Outcome:
    """CE(label)"""
    return label_loss(scores)
