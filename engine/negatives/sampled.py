"""What a student writes to the explain prompt at a high temperature, sorted into negatives and the rest."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from engine.answers.kinds import equal, parse
from engine.parallel.ranks import ALONE, Ranks
from engine.randomness import uniforms
from engine.records import Polarity, Rationale, Reason
from engine.spec.negatives import Negatives
from engine.spec.sections import AnswerKind
from engine.students.seam import Student, Tokens
from engine.training.batches import Item
from engine.training.memory import AtOnce

AT_ONCE = 2**16
"""Tokens, of prompts and of what may be written, that are sampled at once: 700 questions of the built-in task."""


@dataclass(frozen=True)
class How:
    """What is the same for all that a run's students write."""

    kind: AnswerKind
    max_new: int
    """Tokens of one rationale at most."""
    drop_right: bool
    """Those that end in the label are no negatives."""
    ranks: Ranks = ALONE
    at_once: AtOnce = field(default_factory=AtOnce)


@dataclass(frozen=True, slots=True)
class Task:
    """What a student is to write: `per_example` samples for each item, to its prompt in the student's own tokens."""

    items: Sequence[Item]
    prompts: Sequence[Tokens]
    config: Negatives
    source: str
    iteration: int
    seed: int
    first_number: int
    """The rationales are numbered on from it."""
    how: How
    first_slot: int = 0

    @property
    def count(self) -> int:
        """Samples."""
        return len(self.items) * self.config.per_example


def write(student: Student, task: Task) -> list[Rationale]:
    """The task's samples as rationales, sorted; the run's ranks share them out."""

    def some(places: Sequence[int]) -> list[Rationale]:
        return sort(task, places, draft(student, task, places))

    return task.how.ranks.spread(range(task.count), some)


def _owners(task: Task) -> list[int]:
    """The item of each sample: those of similar length are written together."""
    order = sorted(range(len(task.items)), key=lambda i: len(task.prompts[i]))
    return [i for i in order for _ in range(task.config.per_example)]


def draft(student: Student, task: Task, places: Sequence[int]) -> list[str]:
    """The texts of those samples."""
    owners, max_new = _owners(task), task.how.max_new
    size = max(1, AT_ONCE // (max((len(p) for p in task.prompts), default=0) + max_new))

    def sample(part: Sequence[int]) -> list[str]:
        draws = uniforms(task.seed, part, max_new)
        return student.generate([task.prompts[owners[p]] for p in part], max_new, task.config.temperature, draws)

    groups = [places[at : at + size] for at in range(0, len(places), size)]
    return task.how.at_once.each("sampling negatives", groups, sample)


def sort(task: Task, places: Sequence[int], texts: Sequence[str]) -> list[Rationale]:
    """Each text as a Rationale: polarity "dropped" where it ends in the label and `how.drop_right` or is an answer
    alone, "unparsed" where it is empty, else "negative". One without an answer is one."""
    owners = _owners(task)
    return [_sorted(task, task.items[owners[p]], p, text) for p, text in zip(places, texts, strict=True)]


def _sorted(task: Task, item: Item, place: int, text: str) -> Rationale:
    kind = task.how.kind
    parsed = parse(kind, text, item.example.choices)
    wanted = right_answer(item)
    right = parsed.answer is not None and wanted is not None and equal(kind, wanted, parsed.answer)
    polarity: Polarity = "negative"
    reason: Reason = ""
    if not parsed.rationale:
        polarity = "unparsed" if parsed.answer is None else "dropped"
        reason = "" if parsed.answer is None else "no rationale"
    elif right and task.how.drop_right:
        polarity, reason = "dropped", "right"
    return Rationale(
        number=task.first_number + place,
        example_id=item.example.id,
        text=parsed.rationale,
        answer=parsed.answer,
        rule=parsed.rule,
        polarity=polarity,
        source=task.source,
        iteration=task.iteration,
        slot=task.first_slot + place % task.config.per_example,
        reason=reason,
    )


def right_answer(item: Item) -> str | None:
    """What a negative of this item must not end in: its label, else its positives' answer."""
    return item.answer or next((c.rationale.answer for c in item.positives), None)
