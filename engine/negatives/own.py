"""The student's own negatives over a training: written at the end of an iteration, used `lag` iterations later."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from engine.batches import Candidate, candidate
from engine.checkpoint import Progress
from engine.intervals import auc
from engine.negatives import self_adversarial
from engine.step import Row, Stepped

if TYPE_CHECKING:
    from engine.train import Setup


class Own:
    """The student's own negatives: which ones this iteration has, and writing those of a later one."""

    def __init__(self, setup: "Setup", progress: Progress) -> None:
        self.setup = setup
        self.progress = progress
        self.by_example: dict[str, list[Candidate]] = {}
        self.iteration = 0

    def rows(self, batch: Sequence[int], iteration: int, final: Sequence[bool]) -> list[Row]:
        """The batch with the negatives of this iteration."""
        if iteration != self.iteration:
            self.iteration = iteration
            self.by_example = {}
            for old in [t for t in self.progress.pending if t < iteration]:
                del self.progress.pending[old]
            for r in self.progress.pending.get(iteration, []):
                c = candidate(self.setup.student, r, self.setup.spec.student.answer_in_rationale)
                self.by_example.setdefault(r.example_id, []).append(c)
        items = [self.setup.items[i] for i in batch]
        return [
            Row(x, (*x.negatives, *self.by_example.get(x.example.id, [])), last or x.example.id in self.setup.followed)
            for x, last in zip(items, final, strict=True)
        ]

    def write_due(self, iteration: int) -> None:
        """At the end of an iteration: the negatives for `lag` iterations later, from the weights as they are now."""
        spec = self.setup.spec
        config = spec.negatives
        if config is None or "self" not in config.sources:
            return
        use_at = iteration + config.lag
        if use_at > self.setup.schedule.iterations:
            return
        written = self_adversarial.write(
            self.setup.student,
            [self.setup.items[i] for i in self.setup.schedule.due(use_at)],
            config,
            kind=spec.data.answer,
            iteration=iteration,
            max_new=self.setup.validation.max_new["explain"],
            seed=spec.seed,
            drop_right=spec.vote.drop_right_negatives == "auto",
            first_number=self.progress.number,
        )
        self.progress.number += len(written)
        self.setup.recorder.rationales(written)
        self.progress.pending[use_at] = [r for r in written if r.polarity == "negative"]
        right = sum(r.polarity == "dropped" for r in written)
        self.setup.recorder.points(self.progress.step, {"self_right_share": right / max(len(written), 1)})

    def note_qualities(self, rows: Sequence[Row], stepped: Stepped) -> None:
        """Qualities of fully judged rows, for the AUC of this source."""
        if self.setup.judge is None:
            return
        positive, negative = stepped.scores.positive_quality.tolist(), stepped.scores.negative_quality.tolist()
        for i, row in enumerate(rows):
            if row.judge_all:
                self.progress.qualities["positive"] += positive[i][: len(row.item.positives)]
                self.progress.qualities["self"] += [
                    negative[i][j] for j, c in enumerate(row.negatives) if c.rationale.source == "self"
                ]

    def take_auc(self) -> dict[str, float]:
        """{"self": AUC} since the last call, on training questions; empty without such negatives."""
        value = auc(self.progress.qualities["positive"], self.progress.qualities["self"])
        self.progress.qualities = {"positive": [], "self": []}
        return {} if value is None else {"self": value}
