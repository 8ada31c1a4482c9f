"""What a flag and a note are for: the rationale under the cursor, else the question. Pure functions."""

from dataclasses import dataclass

from engine.store.rationales.notes import QUESTION
from engine.store.rationales.questions import Question
from screens.widgets.pair import source
from screens.widgets.words import line


@dataclass(frozen=True, slots=True)
class Target:
    """What they are for, and what it has of them."""

    number: int
    name: str
    flagged: bool
    note: str | None


def target_of(question: Question, cursor: int | None) -> Target:
    """The rationale of that number, else the question."""
    known = (*question.positives, *question.negatives, *question.aside)
    at = next((c for c in known if c.number == cursor), None)
    if at is None:
        return Target(QUESTION, f"question {line(question.example, 40)}", question.flagged, question.note)
    number = at.number if at.marked is None else at.marked
    return Target(number, f"{source(at)} of {line(question.example, 40)}", at.flagged, at.note)
