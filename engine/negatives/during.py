"""Negatives over a training: which ones a visit has, and writing the student's own at the ends of iterations."""

from collections.abc import Sequence

import torch

from engine.evaluation.intervals import auc
from engine.negatives import fixed, mixed, self_adversarial
from engine.randomness import generator
from engine.records import Rationale
from engine.training.batches import Candidate, candidate, counted
from engine.training.checkpoint import Progress
from engine.training.setup import Setup
from engine.training.step import Row, Stepped


class During:
    """Which negatives each visit has, and writing those of later iterations."""

    def __init__(self, setup: Setup, progress: Progress) -> None:
        self.setup = setup
        self.progress = progress
        self.positives = {x.example.id: x.positives for x in setup.items}
        self.by_example: dict[str, list[Candidate]] = {}
        """Of this iteration's self-adversarial ones."""
        self.fixed: dict[str, list[Candidate]] = self._candidates(progress.fixed)
        self.iteration = 0

    def rows(self, batch: Sequence[int], iteration: int, final: Sequence[bool]) -> list[Row]:
        """The batch of the next step with the negatives of this iteration."""
        if iteration != self.iteration:
            self.iteration = iteration
            for old in [t for t in self.progress.pending if t < iteration]:
                del self.progress.pending[old]
            self.by_example = self._candidates(self.progress.pending.get(iteration, []))
        config = self.setup.spec.negatives
        shares = config.shares if config is not None else {}
        random = generator(self.setup.spec.seed, "mixed", self.progress.step + 1)
        rows = []
        for row, last, draw in zip(
            self.all_of(batch), final, torch.rand(len(batch), generator=random).tolist(), strict=True
        ):
            drawn = mixed.drawn(shares, row.negatives, draw)
            rows.append(Row(row.item, drawn, last or row.item.example.id in self.setup.followed))
        return rows

    def all_of(self, batch: Sequence[int]) -> list[Row]:
        """Those items with every negative that this iteration has, before any is drawn by shares."""
        items = [self.setup.items[i] for i in batch]
        return [
            Row(x, (*x.negatives, *self.fixed.get(x.example.id, ()), *self.by_example.get(x.example.id, ())), False)
            for x in items
        ]

    def write_due(self, iteration: int) -> None:
        """At the end of an iteration: the negatives for `lag` iterations later, from the weights as they are now."""
        setup, config = self.setup, self.setup.spec.negatives
        if config is None:
            return
        how = setup.sampling
        if "fixed" in config.sources and iteration == config.lag:
            number = self.progress.number
            self.progress.fixed = self._kept(
                fixed.write(setup.student, setup.items, config, seed=setup.spec.seed, first_number=number, how=how)
            )
            self.fixed = self._candidates(self.progress.fixed)
        use_at = iteration + config.lag
        if "self" not in config.sources or use_at > setup.schedule.iterations:
            return
        written = self_adversarial.write(
            setup.student,
            [setup.items[i] for i in setup.schedule.due(use_at)],
            config,
            iteration=iteration,
            seed=setup.spec.seed,
            first_number=self.progress.number,
            how=how,
        )
        right = sum(r.polarity == "dropped" for r in written)
        self.progress.pending[use_at] = self._kept(written)
        setup.recorder.points(self.progress.step, {"self_right_share": right / max(len(written), 1)})

    def _kept(self, written: list[Rationale]) -> list[Rationale]:
        """Stores what was written and returns the negatives among it."""
        if self.setup.band is not None:
            written = self.setup.band.sort(written, {x.example.id: x.example.question for x in self.setup.items})
        self.progress.number += len(written)
        self.setup.recorder.rationales(written)
        return [r for r in written if r.polarity == "negative"]

    def _candidates(self, rationales: Sequence[Rationale]) -> dict[str, list[Candidate]]:
        found: dict[str, list[Candidate]] = {}
        config = self.setup.spec.negatives
        for r in rationales:
            c = candidate(self.setup.student, r, self.setup.spec.student.answer_in_rationale)
            found.setdefault(r.example_id, []).append(c)
        tokens = "all" if config is None else config.tokens
        return {example: [*counted(some, self.positives[example], tokens)] for example, some in found.items()}

    def note_qualities(self, rows: Sequence[Row], stepped: Stepped) -> None:
        """Qualities of fully judged rows, for the AUC by source."""
        if self.setup.judge is None:
            return
        positive, negative = stepped.scores.positive_quality.tolist(), stepped.scores.negative_quality.tolist()
        qualities = self.progress.qualities
        for i, row in enumerate(rows):
            if row.judge_all:
                qualities["positive"] += positive[i][: len(row.item.positives)]
                for j, c in enumerate(row.negatives):
                    if c.rationale.source != "minority":  # its AUC is measured on held-out questions
                        qualities.setdefault(c.rationale.source, []).append(negative[i][j])

    def take_auc(self) -> dict[str, float]:
        """AUC since the last call by source, on training questions; sources without such negatives are missing."""
        positive = self.progress.qualities["positive"]
        found = {source: auc(positive, s) for source, s in self.progress.qualities.items() if source != "positive"}
        self.progress.qualities = {"positive": []}
        return {source: value for source, value in found.items() if value is not None}
