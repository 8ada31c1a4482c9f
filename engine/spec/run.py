"""A run, whole: the root of the TOML file."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from engine.spec.dust_into_gold import NAT_LORA, Nat, Nce
from engine.spec.methods import LABELS_ALONE, PAPER_TRAINING, PAPER_VOTE, RATIONALES_ALONE, MethodConfig, Qcrd
from engine.spec.negatives import Negatives
from engine.spec.sections import (
    ComputeConfig,
    DataConfig,
    EvaluationConfig,
    Section,
    StudentConfig,
    TrainingConfig,
    VoteConfig,
    under,
)
from engine.spec.selection import SelectionConfig
from engine.spec.teachers import TeacherConfig


class RunSpec(Section):
    """Everything a run needs to know; equal specs, data and code give equal runs on the CPU."""

    name: Annotated[str, Field(min_length=1, max_length=100)] = "arithmetic-qcrd"
    """What the run is called in every list; need not be unique."""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    """Everything random comes from here."""
    until: Literal["export", "vote"] = "export"
    """vote: samples are bought and voted, nothing is trained (`qcrd sample`); a later run uses them without a call."""
    data: DataConfig = DataConfig()
    """Which questions."""
    teacher: TeacherConfig = TeacherConfig()
    """Who writes the rationales."""
    vote: VoteConfig = VoteConfig()
    """How samples become positive and negative."""
    selection: SelectionConfig = SelectionConfig()
    """Which of those are trained on."""
    student: StudentConfig = StudentConfig()
    """Who learns."""
    method: MethodConfig = Qcrd()
    """How it learns: finetune, single-task, dss, mi, positives, qcrd, orpo, redi, cot-kd, mix, contrastive,
    negative-training, unlikelihood, nat or nce; ranking trains a ranking model in place of a student."""
    training: TrainingConfig = TrainingConfig()
    """How long and how fast."""
    compute: ComputeConfig = ComputeConfig()
    """How it computes: speed and memory."""
    evaluation: EvaluationConfig = EvaluationConfig()
    """How the student is judged."""

    @property
    def data_seed(self) -> int:
        """The data's own seed, else the run's."""
        return self.seed if self.data.seed is None else self.data.seed

    @property
    def needs_teacher(self) -> bool:
        """False for the one method that learns from gold answers alone."""
        return self.method.name != "finetune"

    @property
    def trains_student(self) -> bool:
        """False for ranking models."""
        return self.method.name != "ranking"

    @property
    def heads(self) -> tuple[Literal["predict", "explain"], ...]:
        """Which heads the method trains; none where it trains no student."""
        if not self.trains_student:
            return ()
        if self.method.name in LABELS_ALONE:
            return ("predict",)
        return ("explain",) if self.method.name in RATIONALES_ALONE else ("predict", "explain")

    @property
    def negatives(self) -> Negatives | None:
        """Where the method's negatives come from; None where it has none."""
        return getattr(self.method, "negatives", None)

    @model_validator(mode="before")
    @classmethod
    def _as_published(cls, given: Any) -> Any:
        """What a method as published asks of other sections: `profile = "paper"`, and the adapters of nat and nce."""
        method = given.get("method") if isinstance(given, dict) else None
        name = method.get("name") if isinstance(method, dict) else getattr(method, "name", None)
        if name in ("nat", "nce"):
            student = under(given.get("student"), {})
            if isinstance(student, dict):
                given = {**given, "student": {**student, "lora": under(student.get("lora"), NAT_LORA)}}
        profile = method.get("profile") if isinstance(method, dict) else getattr(method, "profile", None)
        if profile != "paper":
            return given
        vote, training = under(given.get("vote"), PAPER_VOTE), under(given.get("training"), PAPER_TRAINING)
        return {**given, "vote": vote, "training": training}

    @model_validator(mode="after")
    def _fits_together(self) -> "RunSpec":
        if isinstance(self.method, Nat | Nce) and self.student.lora.r == 0:
            raise ValueError(f"method {self.method.name} trains adapters: student.lora.r must be at least 1")
        if not self.trains_student and self.compute.processes > 1:
            raise ValueError("method ranking trains in one process: compute.processes must be 1")
        if self.until == "vote" and not self.needs_teacher:
            raise ValueError('until = "vote": the method finetune asks no teacher, so there is nothing to sample')
        if self.compute.processes > self.training.batch_size:
            raise ValueError(
                f"compute.processes = {self.compute.processes} must not exceed training.batch_size = "
                f"{self.training.batch_size}: each process needs a question of every batch"
            )
        if self.training.iterations == "epoch":
            return self  # how many there are is known with the examples: engine/batches.iterations_of checks then
        if self.training.iterations > self.training.steps:
            raise ValueError(
                f"training.iterations = {self.training.iterations} must not exceed training.steps = "
                f"{self.training.steps}: an iteration is at least one step"
            )
        negatives = self.negatives
        if negatives and negatives.waits and negatives.lag >= self.training.iterations:
            raise ValueError(
                f"method.negatives.lag = {negatives.lag} must be smaller than training.iterations = "
                f"{self.training.iterations}: otherwise no negative of the student's own is ever used"
            )
        return self
