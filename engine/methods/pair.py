"""One positive and one negative an example, for the losses that are stated for pairs (ORPO, REDI)."""

from engine.methods.supervision import Supervision, label_of
from engine.negatives import minority
from engine.records import Voted
from engine.spec.methods import Orpo, Redi
from engine.training.losses import Choice, Scores, pick_drawn, pick_least


def supervise(config: Orpo | Redi, voted: Voted, labels: str) -> Supervision:
    """The label, every positive, and the teacher's outvoted rationales where they are asked for."""
    negatives = minority.of(config.negatives, voted)
    return Supervision(label=label_of(voted, labels), positives=voted.positives, negatives=negatives)


def choose_pair(scores: Scores) -> Choice:
    """The positive of least cross-entropy, as `positives` and `qcrd` choose; a negative drawn evenly at each visit.

    Both papers have one fixed pair a question. Drawing visits every paid negative; the least or greatest
    cross-entropy would make the loss one of hardest or easiest negatives, which neither paper is about.
    """
    positive = pick_least(scores.positive_ce, scores.positive_mask)
    negative = pick_drawn(scores.draw[:, 1], scores.negative_mask) & scores.positive_mask.any(dim=1, keepdim=True)
    return Choice(positive, negative, negative)
