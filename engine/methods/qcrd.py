"""QCRD (arXiv 2405.13014; EMNLP 2025): positives pulled, negatives pushed, both weighed by the discriminator."""

from engine.methods.supervision import Supervision, label_of
from engine.negatives import minority
from engine.records import Voted
from engine.spec.methods import Qcrd
from engine.training.losses import Outcome, Scores, choose, contrastive, mean_over


def supervise(config: Qcrd, voted: Voted, labels: str) -> Supervision:
    """The label, every positive, the teacher's outvoted rationales; the student's own negatives come in training."""
    negatives = minority.of(config.negatives, voted)
    return Supervision(label=label_of(voted, labels), positives=voted.positives, negatives=negatives)


def loss(config: Qcrd, scores: Scores) -> Outcome:
    """alpha_predict L_pred + alpha_contrast L_cl; the discriminator's own loss is minimised apart (equation 7)."""
    choice = scores.choice or choose(config.loss, config.negatives.select, scores)
    predict = mean_over(scores.predict_ce, scores.predict_mask)
    contrast, positive_weight, negative_weight = contrastive(
        config.loss, scores, choice, config.discriminator.normalise
    )
    return Outcome(
        loss=config.loss.alpha_predict * predict + config.loss.alpha_contrast * contrast,
        terms={"predict": predict.detach(), "contrast": contrast.detach()},
        choice=choice,
        positive_weight=positive_weight,
        negative_weight=negative_weight,
    )
