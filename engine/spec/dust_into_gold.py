"""What the methods of Turning Dust into Gold (arXiv 2312.12832) and its baselines can be told."""

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from engine.spec.negatives import Negatives
from engine.spec.sections import Section


class CotKd(Section):
    """CoT-KD: cross-entropy of every right rationale, and nothing else. Right: data.labels says by whose answer."""

    name: Literal["cot-kd"] = "cot-kd"


class Mix(Section):
    """MIX: right and wrong rationales alike, as if all were right."""

    name: Literal["mix"] = "mix"
    negatives: Negatives = Negatives()
    """Which wrong rationales."""


class Contrastive(Section):
    """Right against wrong: a right rationale must be likelier than a wrong one by a margin (our definition)."""

    name: Literal["contrastive"] = "contrastive"
    weight: Annotated[float, Field(ge=0)] = 0.5
    """Weight of the margin's term beside the cross-entropy of right rationales."""
    margin: Annotated[float, Field(gt=0)] = 1.0
    """Nats a token by which the wrong one's cross-entropy is to be above the right one's."""
    negatives: Negatives = Negatives()
    """Which wrong rationales."""


class NegativeTraining(Section):
    """Negative training (He and Glass 2020, arXiv 1903.02134): wrong rationales with a small negative weight."""

    name: Literal["negative-training"] = "negative-training"
    weight: Annotated[float, Field(ge=0, le=1)] = 0.05
    """Weight of a wrong rationale's cross-entropy, taken away."""
    cap: Annotated[float, Field(gt=0)] = 5.0
    """Nats a token beyond which a wrong one is pushed no further: without it the loss has no lower bound."""
    negatives: Negatives = Negatives()
    """Which wrong rationales."""


class Unlikelihood(Section):
    """Unlikelihood (Welleck et al. 2020, arXiv 1908.04319): -log(1 - p) on the tokens of wrong rationales."""

    name: Literal["unlikelihood"] = "unlikelihood"
    weight: Annotated[float, Field(ge=0)] = 0.5
    """Weight of the wrong ones' term beside the cross-entropy of right ones."""
    negatives: Negatives = Negatives()
    """Which wrong rationales."""


class Nat(Section):
    """NAT (arXiv 2312.12832): adapters of wrong and of right rationales over one frozen base, and a unit between."""

    name: Literal["nat"] = "nat"
    negative_steps: Annotated[int, Field(ge=0)] = 0
    """Steps of the stage that trains the adapter of wrong rationales; 0: as many as training.steps."""
    negatives: Negatives = Negatives()
    """Which wrong rationales; of those written in training none can be used, since their adapter is trained before."""

    @model_validator(mode="after")
    def _known_before(self) -> "Nat":
        _written_before(self.name, self.negatives)
        return self


class Nce(Section):
    """NCE (arXiv 2312.12832): a fresh adapter taught by NAT, the more where the wrong adapter disagrees with it."""

    name: Literal["nce"] = "nce"
    negative_steps: Annotated[int, Field(ge=0)] = 0
    """Steps of the stage that trains the adapter of wrong rationales; 0: as many as training.steps."""
    nat_steps: Annotated[int, Field(ge=0)] = 0
    """Steps of NAT's second stage; 0: as many as training.steps."""
    alpha_ce: Annotated[float, Field(ge=0)] = 0.5
    """Weight of the cross-entropy of right rationales."""
    alpha_kd: Annotated[float, Field(ge=0)] = 0.5
    """Weight of what NAT teaches."""
    mask: Literal["rationale", "released"] = "rationale"
    """Which tokens count: the rationale's; released: as that code has it, prompt (of causal students) and pads too."""
    negatives: Negatives = Negatives()
    """Which wrong rationales; of those written in training none can be used, since their adapter is trained before."""

    @model_validator(mode="after")
    def _known_before(self) -> "Nce":
        _written_before(self.name, self.negatives)
        return self


class Ranking(Section):
    """The ranking model of adaptive self-consistency (arXiv 2312.12832), by which `qcrd evaluate` weighs votes: it
    learns to score a question's right rationales above its wrong ones. No student is trained."""

    name: Literal["ranking"] = "ranking"
    encoder: str = "student-sized"
    """student-sized: a T5 encoder of the student's shape, from scratch; or a hub id or folder of an encoder to start
    from (T5, BERT, MiniLM, …)."""
    p: Annotated[float, Field(ge=1)] = 7.0
    """Exponent of the loss (1 - s of the right one)^p + (s of the wrong one)^p; the released demo has 3."""
    lr: Annotated[float, Field(gt=0)] | None = None
    """Learning rate of AdamW, constant. Unset: 2e-5, as published, for an encoder that is pre-trained; 1e-3, as the
    discriminator's, for "student-sized", which begins at random weights and learns nothing at 2e-5."""
    weight_decay: Annotated[float, Field(ge=0)] = 1e-5
    """AdamW's decoupled weight decay."""
    epochs: Annotated[int, Field(ge=1)] = 5
    """Times that every rationale is seen at least once; the best epoch on held-out questions is kept."""
    batch_size: Annotated[int, Field(ge=1)] = 32
    """Pairs of a right and a wrong rationale of one question, per step."""
    max_tokens: Annotated[int, Field(ge=16)] = 512
    """Longest question with its rationale, in the encoder's tokens; what is longer is not trained on, and in a vote
    takes the mean score of its question's other samples. The encoder's own limit holds where it is lower."""

    @field_validator("encoder")
    @classmethod
    def _of_its_own(cls, encoder: str) -> str:
        if encoder in ("student", "none"):
            raise ValueError(f"{encoder!r} is no encoder of a ranking model: student-sized, a hub id or a folder")
        return encoder


def _written_before(name: str, negatives: Negatives) -> None:
    if negatives.waits:
        raise ValueError(
            f"method {name}: negatives of the sources {' '.join(negatives.sources)} are written in training, "
            "after the stage that learns them; use minority, perturbed or peer"
        )


NAT_LORA = {"r": 8, "alpha": 16, "dropout": 0.05, "targets": ("query-value",)}
"""What [student.lora] is for nat and nce where it is left unset: as published."""
