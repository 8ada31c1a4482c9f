"""Negatives over a training: which ones a visit has, and writing the student's own at the ends of iterations."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from engine.evaluation.intervals import auc
from engine.negatives import fixed, mixed, sampled, self_adversarial
from engine.negatives.sampled import Task
from engine.parallel.helper import Helper, helper
from engine.randomness import generator
from engine.records import Rationale
from engine.training.batches import Candidate, candidate, counted
from engine.training.checkpoint import Progress
from engine.training.memory import AtOnce
from engine.training.setup import Setup
from engine.training.step import Row, Stepped

Asked = tuple[int, dict[str, Tensor]]
"""An iteration that negatives are for, and the weights that are to write them."""


@dataclass(frozen=True, slots=True)
class _UnderWay:
    """What the helper writes, as the student was after `step`, for the iteration `use_at`."""

    task: Task
    use_at: int
    step: int


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
        self.under_way: _UnderWay | None = None
        self.helper: Helper[Asked, list[str]] | None = None
        if setup.helped and setup.spec.negatives is not None and "self" in setup.spec.negatives.sources:
            with suppress(OSError):  # no room for another process: this one writes them
                self.helper = helper(self._draft)

    def close(self) -> None:
        """Ends the helper, whatever it does."""
        if self.helper is not None:
            self.helper.close()

    def rows(self, batch: Sequence[int], iteration: int, final: Sequence[bool]) -> list[Row]:
        """The batch of the next step with the negatives of this iteration, which it waits for if need be."""
        begun, by = self.under_way, self.helper
        if begun is not None and by is not None and (begun.use_at == iteration or by.ready()):
            self.settle()
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
        """At the end of an iteration: the negatives for `lag` iterations later, from the weights as they are now.

        Where there is a helper it writes them while training goes on; they come in when they are there, at the latest
        when they are needed.
        """
        self.settle()
        setup, config = self.setup, self.setup.spec.negatives
        if config is None:
            return
        if "fixed" in config.sources and iteration == config.lag:
            number = self.progress.number
            found = fixed.write(
                setup.student, setup.items, config, seed=setup.spec.seed, first_number=number, how=setup.sampling
            )
            self.progress.number += len(found)
            self.progress.fixed = self._kept(found)
            self.fixed = self._candidates(self.progress.fixed)
        use_at = iteration + config.lag
        if "self" not in config.sources or use_at > setup.schedule.iterations:
            return
        task = self._task(use_at, self.progress.number)
        self.progress.number += task.count
        if self.helper is None:
            self._take(sampled.write(setup.student, task), use_at, self.progress.step)
            return
        learnt = {name: p.detach() for name, p in setup.student.model.named_parameters() if p.requires_grad}
        self.helper.ask((use_at, learnt))
        self.under_way = _UnderWay(task, use_at, self.progress.step)

    def settle(self) -> None:
        """Waits for what the helper writes, and takes it in. Raises QcrdError where it failed or was killed."""
        if self.under_way is not None and self.helper is not None:
            begun, self.under_way = self.under_way, None
            texts = self.helper.answer()
            self._take(sampled.sort(begun.task, range(len(texts)), texts), begun.use_at, begun.step)

    def _task(self, use_at: int, first_number: int) -> Task:
        setup, config = self.setup, self.setup.spec.negatives
        assert config is not None
        return self_adversarial.task(
            [setup.items[i] for i in setup.schedule.due(use_at)],
            config,
            iteration=use_at - config.lag,
            seed=setup.spec.seed,
            first_number=first_number,
            how=setup.sampling,
        )

    def _draft(self, asked: Asked) -> list[str]:
        """The helper's part. Where its memory runs out it writes fewer at once, and has no log to say so in."""
        use_at, learnt = asked
        student = self.setup.student
        student.model.load_state_dict(learnt, strict=False)
        task = self._task(use_at, first_number=0)
        task = replace(task, how=replace(task.how, at_once=AtOnce()))
        return sampled.draft(student, task, range(task.count))

    def _take(self, written: list[Rationale], use_at: int, step: int) -> None:
        right = sum(r.polarity == "dropped" for r in written)
        self.progress.pending[use_at] = self._kept(written)
        self.setup.recorder.points(step, {"self_right_share": right / max(len(written), 1)})

    def _kept(self, written: list[Rationale]) -> list[Rationale]:
        """Stores what was written and returns the negatives among it."""
        if self.setup.band is not None:
            written = self.setup.band.sort(written, {x.example.id: x.example.question for x in self.setup.items})
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
