"""All voted rationales, the likeliest chosen at each visit: QCRD's first ablation, and what negatives must beat."""

from engine.methods.plain import label_and_best_positive
from engine.methods.supervision import Supervision, label_of
from engine.records import Voted
from engine.spec.methods import Positives
from engine.training.losses import Outcome, Scores


def supervise(config: Positives, voted: Voted, labels: str) -> Supervision:
    """The label and every positive."""
    return Supervision(label=label_of(voted, labels), positives=voted.positives)


def loss(config: Positives, scores: Scores) -> Outcome:
    """alpha_predict CE(label) + alpha_explain min_j CE(r_j)"""
    return label_and_best_positive(scores, config.alpha_predict, config.alpha_explain)
