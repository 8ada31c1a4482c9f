"""What a training is made of."""

from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

import torch

from engine.judge.discriminator import Discriminator, Judged
from engine.negatives.band import Band
from engine.negatives.sampled import How
from engine.parallel.ranks import ALONE, Ranks
from engine.runs.orders import Orders
from engine.spec.run import RunSpec
from engine.store.recorder import Recorder
from engine.students.seam import Student
from engine.training.batches import Item, Schedule, iterations_of
from engine.training.memory import AtOnce
from engine.training.validation import Validation


@dataclass(frozen=True)
class Setup:
    """All that training needs, made by the pipeline's earlier stages."""

    spec: RunSpec
    method: ModuleType
    student: Student
    judge: Discriminator | None
    judge_optimizer: torch.optim.Optimizer | None
    items: list[Item]
    followed: set[str]
    validation: Validation
    held_out: list[Judged]
    """Validation examples for the discriminator's AUC."""
    first_number: int
    """The first number that a self-adversarial negative may take."""
    band: Band | None
    """Which negatives are let in; None: all."""
    sampling: How
    folder: Path
    recorder: Recorder
    orders: Orders
    ranks: Ranks = ALONE
    at_once: AtOnce = field(default_factory=AtOnce)
    helped: bool = False
    """Whether a copy of this process writes negatives beside the training."""

    @property
    def schedule(self) -> Schedule:
        """Which items each step sees."""
        t = self.spec.training
        iterations = iterations_of(self.spec, len(self.items))
        return Schedule(len(self.items), t.batch_size, t.steps, iterations, self.spec.seed)
