"""What each training method can be told. One small model a method; `engine/methods/` has the code of the same name."""

from typing import Annotated, Literal

from pydantic import Field

from engine.spec.sections import Section

OWN_ENCODERS = ("student-sized", "student")
"""Encoders of the discriminator that are made from the student."""


class Finetune(Section):
    """Gold label only: question -> gold answer. No teacher."""

    name: Literal["finetune"] = "finetune"


class SingleTask(Section):
    """The teacher's label only: question -> voted answer."""

    name: Literal["single-task"] = "single-task"


class Dss(Section):
    """Distilling Step-by-Step (arXiv 2305.02301): label and one rationale."""

    name: Literal["dss"] = "dss"
    samples: Literal["first", "majority"] = "majority"
    """first: the label and rationale of the first sample; majority: voted label, first voted rationale."""
    alpha_predict: Annotated[float, Field(ge=0)] = 0.5
    """Weight of the predict head's cross-entropy."""
    alpha_explain: Annotated[float, Field(ge=0)] = 0.5
    """Weight of the explain head's cross-entropy."""


class Positives(Section):
    """All voted rationales, the likeliest chosen each time; no negatives, no discriminator."""

    name: Literal["positives"] = "positives"
    alpha_predict: Annotated[float, Field(ge=0)] = 0.5
    """Weight of the predict head's cross-entropy."""
    alpha_explain: Annotated[float, Field(ge=0)] = 0.5
    """Weight of the explain head's cross-entropy."""


class QcrdLoss(Section):
    """L = alpha_predict L_pred + alpha_contrast L_cl (arXiv 2405.13014, section 3)."""

    alpha_predict: Annotated[float, Field(ge=0)] = 0.5
    """Weight of the predict head's cross-entropy."""
    alpha_contrast: Annotated[float, Field(ge=0)] = 0.5
    """Weight of the contrastive loss."""
    beta: Annotated[float, Field(ge=0)] = 0.2
    """Weight of the negative term within the contrastive loss."""
    delta: Annotated[float, Field(gt=0)] = 3.0
    """A negative whose token-mean cross-entropy (nats) is above this is pushed no further."""
    scheme: Literal["minmax", "maxmin", "sampling", "mean", "weighted-mean"] = "minmax"
    """How one positive and one negative are made of many."""


class QcrdNegatives(Section):
    """Which wrong rationales."""

    sources: tuple[Literal["minority", "self"], ...] = ("minority", "self")
    """minority: the teacher's outvoted ones; self: written by earlier selves of the student."""
    lag: Annotated[int, Field(ge=1)] = 5
    """Iterations between the snapshot that writes a self-adversarial negative and its use."""
    temperature: Annotated[float, Field(gt=0)] = 1.5
    """Sampling temperature of self-adversarial negatives."""
    per_example: Annotated[int, Field(ge=1)] = 1
    """Self-adversarial negatives per example and iteration."""
    select: Literal["max", "min"] = "max"
    """Under minmax: the paper's max of the hinge (the easiest negative), or min, the hardest."""


class QcrdDiscriminator(Section):
    """Who judges the quality of a rationale."""

    encoder: str = "student-sized"
    """student-sized: a T5 encoder of the student's shape, from scratch; student: a copy of the student's own; or a hub
    id or folder of an encoder to start from (T5, BERT, MiniLM, …)."""
    pretrain_steps: Annotated[int, Field(ge=0)] = 500
    """Most steps of pre-training on the teacher's positives and negatives; ends when held-out loss falls no more."""
    every: Annotated[int, Field(ge=1)] = 10
    """Training steps between updates of the discriminator."""
    lr: Annotated[float, Field(gt=0)] = 1e-3
    """Learning rate of its own AdamW, times 0.9 every iteration (the paper's alpha_3)."""
    normalise: bool = True
    """Divide s of positives and 1 - s of negatives by their batch mean (no gradient): L_D ranks, it sets no level."""


class Qcrd(Section):
    """QCRD (arXiv 2405.13014): discriminator-weighted contrastive distillation."""

    name: Literal["qcrd"] = "qcrd"
    loss: QcrdLoss = QcrdLoss()
    """Terms and weights."""
    negatives: QcrdNegatives = QcrdNegatives()
    """Which wrong rationales."""
    discriminator: QcrdDiscriminator = QcrdDiscriminator()
    """Who judges them."""


MethodConfig = Annotated[Finetune | SingleTask | Dss | Positives | Qcrd, Field(discriminator="name")]
METHOD_MODELS: dict[str, type[Section]] = {
    "finetune": Finetune,
    "single-task": SingleTask,
    "dss": Dss,
    "positives": Positives,
    "qcrd": Qcrd,
}
