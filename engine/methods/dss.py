"""Distilling Step-by-Step (Hsieh et al. 2023, arXiv 2305.02301): label and one rationale."""

from engine.methods.plain import label_and_best_positive
from engine.methods.supervision import Supervision, label_of
from engine.records import Voted
from engine.spec.methods import Dss, Mi
from engine.training.losses import Outcome, Scores
from engine.voting.selection import REASONS


def supervise(config: Dss | Mi, voted: Voted, labels: str) -> Supervision:
    """first: label and rationale of the first selected sample that has both, right or wrong; majority: of the vote.

    An example that the vote dropped is left out of both, so that every teacher-supervised method sees the same ones.
    """
    if config.samples == "majority":
        return Supervision(label=label_of(voted, labels), positives=voted.positives[:1])
    label = label_of(voted, labels)
    mine = (*voted.positives, *voted.negatives, *voted.others)
    whole = [r for r in mine if r.answer is not None and r.text and r.reason not in REASONS]
    if label is None or not whole:
        return Supervision(label=label)
    first = min(whole, key=lambda r: r.slot)
    return Supervision(label=label if labels == "gold" else first.answer, positives=(first,))


def loss(config: Dss, scores: Scores) -> Outcome:
    """alpha_predict CE(label) + alpha_explain CE(rationale)"""
    return label_and_best_positive(scores, config.alpha_predict, config.alpha_explain)
