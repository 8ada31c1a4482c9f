"""The student on the validation set while it trains: what selects the best checkpoint, and what the charts show.

Agreement is with the label that supervises (the vote, unless labels = gold) and selects; accuracy is with gold, where
gold is known, and is only shown: a label-free run must not choose by it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from engine.evaluation.evaluate import Answered, Head, answer, is_right, right_of
from engine.parallel.ranks import ALONE, Ranks
from engine.records import Example, Prediction
from engine.spec.run import RunSpec
from engine.spec.sections import AnswerKind
from engine.store.recorder import Recorder
from engine.students.seam import Student
from engine.training.memory import AtOnce


@dataclass(frozen=True)
class Validation:
    """What is asked, and what counts as right."""

    spec: RunSpec
    heads: tuple[Head, ...]
    examples: tuple[Example, ...]
    wanted: dict[str, str | None]
    """By id: the label that selects."""
    followed: tuple[Example, ...]
    """Training questions whose answer is kept at every evaluation."""
    followed_wanted: dict[str, str | None]
    max_new: dict[Head, int]
    at_once: AtOnce = field(default_factory=AtOnce)
    between: Callable[[], None] = lambda: None
    """Called before each group of questions; raises Interrupted where the run is to end."""


def validate(validation: Validation, student: Student, recorder: Recorder, step: int, ranks: Ranks = ALONE) -> float:
    """Records both heads' answers and scores at a step; returns the mean agreement of the heads, which selects."""
    kind = validation.spec.data.answer
    agreements = []
    for head in validation.heads:
        answered = ask(validation, student, validation.examples, head, ranks)
        gold = {x.id: x.answer for x in validation.examples}
        right, total = right_of(kind, answered, gold)
        if total:
            recorder.score("validation", "student", head, step, right, total)
            recorder.points(step, {f"accuracy/{head}": right / total})
        agreed, compared = right_of(kind, answered, validation.wanted)
        if compared:
            recorder.points(step, {f"agreement/{head}": agreed / compared})
            agreements.append(agreed / compared)
        followed = ask(validation, student, validation.followed, head, ranks)
        record_predictions(recorder, kind, "followed", head, step, followed, validation.followed_wanted)
    return sum(agreements) / len(agreements) if agreements else 0.0


def record_predictions(
    recorder: Recorder,
    kind: AnswerKind,
    split: str,
    head: Head,
    step: int,
    answered: Sequence[Answered],
    wanted: dict[str, str | None],
) -> None:
    """Each answer with its verdict."""
    recorder.predictions(
        split,
        head,
        step,
        [
            Prediction(a.example.id, a.text, a.answer, is_right(kind, wanted.get(a.example.id), a.answer))
            for a in answered
        ],
    )


def ask(
    validation: Validation, student: Student, examples: Sequence[Example], head: Head, ranks: Ranks = ALONE
) -> list[Answered]:
    """Greedy answers with the run's own limits."""
    return answer(
        student,
        examples,
        head,
        validation.spec.data.answer,
        max_new=validation.max_new[head],
        batch_size=validation.spec.evaluation.batch_size,
        ranks=ranks,
        at_once=validation.at_once,
        between=validation.between,
    )
