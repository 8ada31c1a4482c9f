"""Every rationale counts alike, and the explain head alone learns: the setting of Turning Dust into Gold's methods.

Its reference code trains on a flat list of samples, right and wrong; here a batch is of questions, with all of theirs.
"""

from typing import Any

import torch

from engine.methods.supervision import Supervision, label_of
from engine.negatives import minority
from engine.records import Voted
from engine.training.losses import Choice, Scores


def supervise(config: Any, voted: Voted, labels: str) -> Supervision:
    """Every right rationale, and the teacher's wrong ones where the method has negatives."""
    negatives = getattr(config, "negatives", None)
    return Supervision(
        label=label_of(voted, labels),
        trains_label=False,
        positives=voted.positives,
        negatives=() if negatives is None else minority.of(negatives, voted),
    )


def everything(scores: Scores) -> Choice:
    """All of both sides, none silent."""
    return Choice(scores.positive_mask, scores.negative_mask, scores.negative_mask)


def right_alone(scores: Scores) -> Choice:
    """All positives."""
    none = torch.zeros_like(scores.negative_mask)
    return Choice(scores.positive_mask, none, none)
