"""A training that may be stopped or killed at any step: what it keeps, what it goes on from, and what it is ordered."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from engine.errors import Interrupted, QcrdError
from engine.parallel.ranks import ALONE, Ranks
from engine.runs.orders import Orders
from engine.store.recorder import Recorder
from engine.training import checkpoint
from engine.training.checkpoint import Progress, Trained


@dataclass(frozen=True)
class Resumable:
    """The training of one stage. Every rank has one; the first alone saves and listens."""

    stage: str
    """Of the run."""
    steps: int
    """Its last one's number."""
    every: int
    """Steps between two checkpoints."""
    keep: int
    """So many checkpoints stay, the last ones; and the best."""
    place: Path
    """Their folder `checkpoints/` is in it."""
    trained: Trained
    recorder: Recorder
    orders: Orders
    ranks: Ranks = ALONE

    def latest(self) -> int | None:
        """The step of the last checkpoint; None: the stage begins."""
        return self.ranks.agree(checkpoint.latest(self.place))

    def restore(self, step: int | None) -> Progress:
        """Puts the state of that checkpoint back, generators included; None: everything stays as it is.

        What lies beyond it in the database is the caller's to forget. Raises QcrdError where it cannot be read.
        """
        if step is None:
            return Progress()
        progress = checkpoint.load(self.place, step, self.trained)
        if self.ranks.first:
            checkpoint.tidy(self.place, self.keep, progress.best_step)
        self.recorder.log("info", f"goes on from the checkpoint of step {step}", self.stage)
        return progress

    def save(self, progress: Progress) -> Path:
        """The checkpoint's folder; for the first rank. Raises QcrdError where the weights are not all numbers."""
        if not all(bool(p.isfinite().all()) for p in self.trained.student.parameters() if p.requires_grad):
            raise QcrdError(
                f"the weights after step {progress.step} are not all numbers and are not kept; lower the learning rate "
                f"and start again, or resume from step {checkpoint.latest(self.place) or 0}"
            )
        self.recorder.flush()  # rows first: a checkpoint never knows more than the database
        folder = checkpoint.save(self.place, self.trained, progress)
        checkpoint.tidy(self.place, self.keep, progress.best_step)
        return folder

    def after_step(self, progress: Progress, settle: Callable[[], None] = lambda: None) -> None:
        """A checkpoint where one is due, is the best, or is ordered; a pause where that is.

        `settle` brings in what is under way and belongs into a checkpoint.
        Raises Interrupted, after a checkpoint, where the run is to stop; QcrdError where it is no longer ours.
        """
        if self.ranks.first:
            self._obey(progress, settle)
        self.ranks.agree(None)  # while rank 0 is paused or writes, the others wait here, and not in a GPU's collective

    def _obey(self, progress: Progress, settle: Callable[[], None]) -> None:
        orders, at = self.orders, progress.step
        orders.poll()
        asked, orders.checkpoint = orders.checkpoint, False
        if orders.taken_over:
            raise QcrdError("another process has taken over this run: this one ends")
        due = at % self.every == 0 or at == self.steps or progress.best_step == at
        if not (due or asked or orders.stop):
            return
        settle()
        folder = self.save(progress)
        if asked:
            self.recorder.log("info", f"checkpoint of step {at} in {folder.name}, as ordered", self.stage)
            orders.poll()  # a paused run saves, and stays paused
        if orders.stop and at < self.steps:
            run = self.recorder.run_id
            raise Interrupted(
                f"stopped after step {at} of {self.steps} (stage {self.stage}); `qcrd resume {run}` goes on from there"
            )
