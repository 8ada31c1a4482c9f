"""Mutual information (Chen et al. 2024, arXiv 2403.03348): Distilling Step-by-Step, and a term that ties the heads.

The paper bounds the mutual information of the two heads from below by minus the cross-entropy of one's distribution
under the other's, each pooled to one distribution over the vocabulary: the maximum over the target's positions.

released: what the paper's code computes. Pooled maxima do not sum to 1 and are not normalised; positions of padding
(to the longest target of the batch) are pooled too; the explain side's probabilities go into a cross-entropy that
takes logits, so that a second softmax flattens them to nearly uniform. corrected: real tokens alone, both sides
divided by their sums, the log of the explain side as it is. In both the predict side is the target, without gradient.
"""

from dataclasses import replace

import torch
from torch import Tensor

from engine.methods.dss import supervise
from engine.methods.plain import label_and_best_positive
from engine.spec.methods import Mi
from engine.training.losses import Outcome, Scores, Wants

__all__ = ["loss", "supervise", "tie", "wants"]

LEAST = 1e-9
"""Smallest pooled probability whose log is taken."""


def wants(config: Mi) -> Wants:
    """Both heads' pooled probabilities."""
    return Wants(pads=config.form == "released")


def loss(config: Mi, scores: Scores) -> Outcome:
    """alpha_predict CE(label) + alpha_explain CE(rationale) + alpha_mutual tie, over examples that have both."""
    outcome = label_and_best_positive(scores, config.alpha_predict, config.alpha_explain)
    both = scores.predict_mask & outcome.choice.positive.any(dim=1)
    if scores.predict_pooled is None or scores.positive_pooled is None or not both.any():
        return outcome
    mutual = tie(config.form, scores.predict_pooled[both].detach(), scores.positive_pooled[both])
    return replace(
        outcome,
        loss=outcome.loss + config.alpha_mutual * mutual,
        terms={**outcome.terms, "mutual": mutual.detach()},
    )


def tie(form: str, predict: Tensor, explain: Tensor) -> Tensor:
    """The mean cross-entropy, in nats, of (B, V) pooled probabilities of the explain head under the predict head's."""
    if form == "released":
        return -(predict * torch.log_softmax(explain, dim=1)).sum(dim=1).mean()
    target = predict / predict.sum(dim=1, keepdim=True)
    found = explain / explain.sum(dim=1, keepdim=True)
    return -(target * found.clamp(min=LEAST).log()).sum(dim=1).mean()
