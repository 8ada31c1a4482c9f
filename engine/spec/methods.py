"""What each training method can be told. One small model a method; `engine/methods/` has the code of the same name."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from engine.spec.dust_into_gold import Contrastive, CotKd, Mix, Nat, Nce, NegativeTraining, Ranking, Unlikelihood
from engine.spec.negatives import Negatives, Source
from engine.spec.sections import Section, under

OWN_ENCODERS = ("student-sized", "student", "none")
"""Encoders of the discriminator that are made from the student; or there is no discriminator."""


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


class Mi(Section):
    """Mutual information (arXiv 2403.03348): Distilling Step-by-Step, and a term that ties the heads' distributions."""

    name: Literal["mi"] = "mi"
    form: Literal["released", "corrected"] = "released"
    """released: as the paper's code computes it, pads and second softmax included; corrected: as it is meant."""
    samples: Literal["first", "majority"] = "majority"
    """first: the label and rationale of the first sample; majority: voted label, first voted rationale."""
    alpha_predict: Annotated[float, Field(ge=0)] = 0.5
    """Weight of the predict head's cross-entropy."""
    alpha_explain: Annotated[float, Field(ge=0)] = 0.5
    """Weight of the explain head's cross-entropy."""
    alpha_mutual: Annotated[float, Field(ge=0)] = 0.1
    """Weight of the term that ties the heads."""


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
    hinge: Literal["absolute", "margin"] = "absolute"
    """What delta is measured from: absolute: 0, as in the paper; margin: the cross-entropy of the chosen positive."""
    ramp: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Share of the training over which beta grows from 0 to its value; 0: it is there from the start."""
    scheme: Literal["minmax", "maxmin", "sampling", "mean", "weighted-mean"] = "minmax"
    """How one positive and one negative are made of many."""


class QcrdNegatives(Negatives):
    """Which wrong rationales, and which of them counts."""

    sources: tuple[Source, ...] = ("minority", "self")
    """minority: the teacher's outvoted ones; self: written by earlier selves of the student; fixed: written once by
    the student at the end of iteration `lag`; perturbed: positives with numbers or operators exchanged, steps dropped
    or reordered; peer: written by other runs' students."""
    select: Literal["max", "min"] = "max"
    """Under minmax: the paper's max of the hinge (the easiest negative), or min, the hardest."""


PAPER_DISCRIMINATOR = {"normalise": False, "decay": "loss"}
PAPER_VOTE = {"drop_right_negatives": "never"}
PAPER_TRAINING = {"iterations": "epoch"}
"""What `profile = "paper"` puts in place of our defaults; all else that is published is our default too."""


JudgeLoss = Literal["ranking", "bce", "bradley-terry"]


class QcrdDiscriminator(Section):
    """Who judges the quality of a rationale."""

    encoder: str = "student-sized"
    """student-sized: a T5 encoder of the student's shape, from scratch; student: a copy of the student's own; or a hub
    id or folder of an encoder to start from (T5, BERT, MiniLM, …). none: no discriminator, all weights are 1."""
    loss: JudgeLoss = "ranking"
    """ranking: the paper's L_D on scores; bce: cross-entropy of positive against negative, which fixes the scores'
    level; bradley-terry: -log sigmoid of the difference of logits, over all pairs."""
    pretrain_steps: Annotated[int, Field(ge=0)] = 500
    """Most steps of pre-training on the teacher's positives and negatives; ends when held-out loss falls no more."""
    every: Annotated[int, Field(ge=1)] = 10
    """Training steps between updates of the discriminator."""
    lr: Annotated[float, Field(gt=0)] = 1e-3
    """Learning rate of its own AdamW."""
    decay: Literal["lr", "loss"] = "lr"
    """What falls to 0.9 of itself every iteration: lr, or the paper's alpha_3 = 0.5 before L_D (which AdamW undoes)."""
    normalise: bool = True
    """Divide s of positives and 1 - s of negatives by their batch mean (no gradient): L_D ranks, it sets no level."""


class Qcrd(Section):
    """QCRD (arXiv 2405.13014): discriminator-weighted contrastive distillation."""

    name: Literal["qcrd"] = "qcrd"
    profile: Literal["default", "paper"] = "default"
    """paper: what is left unset here, in [vote] and in [training] is as published instead of as we advise: normalise
    off, decay = "loss", negatives with a right answer kept, an iteration an epoch."""
    loss: QcrdLoss = QcrdLoss()
    """Terms and weights."""
    negatives: QcrdNegatives = QcrdNegatives()
    """Which wrong rationales."""
    discriminator: QcrdDiscriminator = QcrdDiscriminator()
    """Who judges them."""

    @property
    def judged(self) -> bool:
        """Whether there is a discriminator."""
        return self.discriminator.encoder != "none"

    @model_validator(mode="before")
    @classmethod
    def _as_published(cls, given: Any) -> Any:
        if isinstance(given, dict) and given.get("profile") == "paper":
            return {**given, "discriminator": under(given.get("discriminator"), PAPER_DISCRIMINATOR)}
        return given


class Orpo(Section):
    """ORPO (arXiv 2403.07691): label, one positive, and its odds against a drawn negative's."""

    name: Literal["orpo"] = "orpo"
    alpha_predict: Annotated[float, Field(ge=0)] = 0.5
    """Weight of the predict head's cross-entropy."""
    alpha_explain: Annotated[float, Field(ge=0)] = 0.5
    """Weight of the explain head's terms: cross-entropy and log odds ratio."""
    odds_weight: Annotated[float, Field(ge=0)] = 0.1
    """Weight of -log sigmoid(log odds ratio) beside the positive's cross-entropy (the paper's lambda)."""
    negatives: Negatives = Negatives()
    """Which wrong rationales."""


class Redi(Section):
    """REDI (arXiv 2505.24850): supervised on positives, then drawn negatives pushed down, without a lower bound."""

    name: Literal["redi"] = "redi"
    alpha_predict: Annotated[float, Field(ge=0)] = 0.5
    """Weight of the predict head's cross-entropy."""
    alpha_explain: Annotated[float, Field(ge=0)] = 0.5
    """Weight of the explain head's terms: cross-entropies of positive and negative."""
    alpha: Annotated[float, Field(ge=0, le=1)] = 0.8
    """Weight of the negative's cross-entropy in the second stage; 1 collapses, the paper says."""
    supervised: Annotated[float, Field(ge=0, le=1)] = 0.8
    """Share of the training that the first stage, on positives alone, takes."""
    negatives: Negatives = Negatives()
    """Which wrong rationales."""


MethodConfig = Annotated[
    Finetune
    | SingleTask
    | Dss
    | Mi
    | Positives
    | Qcrd
    | Orpo
    | Redi
    | CotKd
    | Mix
    | Contrastive
    | NegativeTraining
    | Unlikelihood
    | Nat
    | Nce
    | Ranking,
    Field(discriminator="name"),
]
LABELS_ALONE = ("finetune", "single-task")
"""Methods of the predict head alone."""
RATIONALES_ALONE = ("cot-kd", "mix", "contrastive", "negative-training", "unlikelihood", "nat", "nce")
"""Methods of the explain head alone."""
METHOD_MODELS: dict[str, type[Section]] = {
    "finetune": Finetune,
    "single-task": SingleTask,
    "dss": Dss,
    "mi": Mi,
    "positives": Positives,
    "qcrd": Qcrd,
    "orpo": Orpo,
    "redi": Redi,
    "cot-kd": CotKd,
    "mix": Mix,
    "contrastive": Contrastive,
    "negative-training": NegativeTraining,
    "unlikelihood": Unlikelihood,
    "nat": Nat,
    "nce": Nce,
    "ranking": Ranking,
}
