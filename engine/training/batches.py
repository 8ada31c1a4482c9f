"""Training examples as tokens, and which of them each step sees."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from types import ModuleType
from typing import Any

import torch

from engine.answers.kinds import join
from engine.errors import SpecError
from engine.randomness import generator
from engine.records import Example, Rationale, Voted
from engine.spec.run import RunSpec
from engine.students.seam import Student


@dataclass(frozen=True, slots=True)
class Candidate:
    """A rationale as a target of the explain head."""

    rationale: Rationale
    text: str
    tokens: list[int]
    counted_from: int = 0
    """The first token whose cross-entropy counts."""


@dataclass(frozen=True, slots=True)
class Item:
    """All that one example trains on."""

    example: Example
    predict: list[int]
    """Prompt of the predict head."""
    explain: list[int]
    """Prompt of the explain head."""
    label: list[int] | None
    answer: str | None
    """The label as text: a negative that ends in it is no negative."""
    positives: tuple[Candidate, ...]
    negatives: tuple[Candidate, ...]


def predict_prompt(question: str) -> str:
    """Multi-task by prefix."""
    return f"predict: {question}"


def explain_prompt(question: str) -> str:
    """Multi-task by prefix."""
    return f"explain: {question}"


def target_text(rationale: Rationale, answer_in_rationale: bool) -> str:
    """The explain head's target."""
    if answer_in_rationale and rationale.answer is not None:
        return join(rationale.text, rationale.answer)
    return rationale.text


def candidate(student: Student, rationale: Rationale, answer_in_rationale: bool) -> Candidate:
    """A rationale with its tokens."""
    text = target_text(rationale, answer_in_rationale)
    ending = join("", rationale.answer).strip() if answer_in_rationale and rationale.answer is not None else None
    return Candidate(rationale, text, student.target(text, ending))


def parted(negative: Candidate, positives: Sequence[Candidate]) -> Candidate:
    """The negative, counted from where it parts from the positive that it shares the longest beginning with.

    What the two share is right: pushing it away pushes the positive as well.
    """
    shared = max((_shared(negative.tokens, p.tokens) for p in positives), default=0)
    return replace(negative, counted_from=min(shared, len(negative.tokens) - 1))


def counted(negatives: Sequence[Candidate], positives: Sequence[Candidate], tokens: str) -> tuple[Candidate, ...]:
    """The negatives with the tokens that count of each: `tokens` of the spec's [method.negatives].

    parted: each counts from where it parts; one that is a positive or its beginning parts nowhere and is left out.
    fork: each ends where it parts, and that token alone counts (what follows follows from it); one that shares no
    beginning with a positive is left out too: it says the same in other words, or all of it is wrong.
    """
    if tokens == "all":
        return tuple(negatives)
    apart = [
        parted(c, positives) for c in negatives if not any(p.tokens[: len(c.tokens)] == c.tokens for p in positives)
    ]
    if tokens == "parted":
        return tuple(apart)
    return tuple(replace(c, tokens=c.tokens[: c.counted_from + 1]) for c in apart if c.counted_from)


def _shared(a: Sequence[int], b: Sequence[int]) -> int:
    return next((at for at, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))


def items(
    student: Student,
    method: ModuleType,
    config: Any,
    voted: Sequence[Voted],
    *,
    labels: str,
    answer_in_rationale: bool,
) -> list[Item]:
    """Every example that the method can learn from, in order."""
    found = []
    for one in voted:
        supervision = method.supervise(config, one, labels)
        label = supervision.label if supervision.trains_label else None
        if label is None and not supervision.positives and not supervision.negatives:
            continue
        question = one.example.question
        found.append(
            Item(
                example=one.example,
                predict=student.prompt(predict_prompt(question)),
                explain=student.prompt(explain_prompt(question)),
                label=None if label is None else student.target(label),
                answer=supervision.label,
                positives=tuple(candidate(student, r, answer_in_rationale) for r in supervision.positives),
                negatives=tuple(candidate(student, r, answer_in_rationale) for r in supervision.negatives),
            )
        )
    return found


def iterations_of(spec: RunSpec, items: int) -> int:
    """The training's iterations over so many items; "epoch": an equal part for each epoch, their number rounded.

    Raises UsageError where there are too few for the lag of the negatives.
    """
    training, negatives = spec.training, spec.negatives
    if training.iterations != "epoch":
        return training.iterations
    found = min(training.steps, max(1, round(training.steps * training.batch_size / items)))
    if negatives and negatives.waits and negatives.lag >= found:
        raise SpecError(
            f'training.iterations = "epoch" makes {found} of {training.steps} steps over {items} examples, and '
            f"method.negatives.lag = {negatives.lag} must be smaller: raise training.steps or lower the lag"
        )
    return found


@dataclass(frozen=True)
class Schedule:
    """Which items step 1, 2, … see: epochs in fresh random order, batches running on over their ends."""

    items: int
    batch_size: int
    steps: int
    iterations: int
    seed: int

    def batch(self, step: int) -> list[int]:
        """Indices of the items of a step (from 1)."""
        first = (step - 1) * self.batch_size
        wanted = range(first, first + self.batch_size)
        orders = {epoch: _order(self.items, self.seed, epoch) for epoch in {at // self.items for at in wanted}}
        return [orders[at // self.items][at % self.items] for at in wanted]

    def iteration(self, step: int) -> int:
        """The iteration (from 1) of a step."""
        return -(-step * self.iterations // self.steps)

    def last_step(self, iteration: int) -> int:
        """The last step of an iteration; 0 of iteration 0."""
        return iteration * self.steps // self.iterations

    def due(self, iteration: int) -> list[int]:
        """Indices of the items that an iteration sees, each once, in order."""
        steps = range(self.last_step(iteration - 1) + 1, self.last_step(iteration) + 1)
        return list(dict.fromkeys(index for step in steps for index in self.batch(step)))

    def last_visits(self) -> dict[int, int]:
        """The last step that sees each item."""
        last: dict[int, int] = {}
        for step in range(self.steps, 0, -1):
            if len(last) == self.items:
                break
            for index in self.batch(step):
                last.setdefault(index, step)
        return last


@lru_cache(maxsize=4)
def _order(items: int, seed: int, epoch: int) -> list[int]:
    """The order of an epoch; a batch needs one or two, and drawing half a million takes longer than a step."""
    found: list[int] = torch.randperm(items, generator=generator(seed, "order", epoch)).tolist()
    return found
