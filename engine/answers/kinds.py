"""Answers by kind: how one is found in a text, and when two are equal. The table at the end says all."""

from collections.abc import Callable
from dataclasses import dataclass

from engine.answers import choice, equation, latex, layout, limited, number, text
from engine.answers import pattern as own
from engine.records import Parsed
from engine.spec.sections import AnswerKind

Read = Callable[[str, tuple[str, ...]], str | None]
"""(clause, choices) -> the answer at its start, or None."""


@dataclass(frozen=True, slots=True)
class Kind:
    """How answers of one kind are read and compared."""

    read: Read
    """From a strict layout's clause or a box."""
    read_spoken: Read
    """From what follows "the answer is"."""
    equal: Callable[[str, str], bool]
    """(gold or first member, other): need not be symmetric."""
    rules: tuple[str, ...]
    """Tried in this order; the name of the one that matched is stored."""


def parse(kind: AnswerKind, text: str, choices: tuple[str, ...] = (), pattern: str | None = None) -> Parsed:
    """The answer in a completion, by the first rule of its kind that matches; "miss" where none does.

    The rules: "strict" (the layout "<Explanation>: … <Answer>: X" or the student's "… Answer: X"), "pattern" (the last
    match of the user's own, where there is one), "hash-marks" ("#### X"), "the-answer-is", "boxed" (the last
    \\boxed{X}), "last-equation", "last-number", "last-choice".
    A run-on into a next question is cut off first.

    The rationale keeps a box, which is part of its sentence, and loses a strict or spoken answer clause; a match of the
    pattern it loses where that begins a line. Never raises on any text, and takes time linear in its length; with a
    pattern as `pattern.clauses` does.
    """
    text = layout.cut_run_on(text)
    for rule in rules(kind, pattern):
        found = _by_rule(rule, KINDS[kind], text, choices, pattern)
        if found is not None:
            return Parsed(found[0], rule, found[1])
    return Parsed(None, "miss", text)


def rules(kind: AnswerKind, pattern: str | None = None) -> tuple[str, ...]:
    """What is tried, in order."""
    strict, *fallbacks = KINDS[kind].rules
    return (strict, "pattern", *fallbacks) if pattern else KINDS[kind].rules


def equal(kind: AnswerKind, a: str, b: str) -> bool:
    """Whether two answers are the same; a is the gold answer or a cluster's first member (latex is not symmetric)."""
    return KINDS[kind].equal(a, b)


def join(rationale: str, answer: str) -> str:
    """The student's explain target, which `parse` takes apart again by the rule "strict"."""
    return f"{rationale} Answer: {answer}"


def timeouts() -> int:
    """Latex comparisons of this process that ran out of their limit, each counted as unequal."""
    return limited.timeouts()


def _by_rule(rule: str, kind: Kind, text: str, choices: tuple[str, ...], pattern: str | None) -> tuple[str, str] | None:
    """(answer, rationale) by one rule."""
    if rule == "pattern" and pattern is not None:
        return _first(own.clauses(pattern, text), kind.read, text, choices, cut=layout.begins_line)
    if rule == "strict":
        return _first(layout.strict_clauses(text), kind.read, text, choices)
    if rule == "hash-marks":
        return _first(layout.hash_clauses(text), kind.read, text, choices)
    if rule == "the-answer-is":
        return _first(layout.spoken_clauses(text), kind.read_spoken, text, choices)
    if rule == "boxed":
        answers = (kind.read(box.content, choices) for box in layout.boxes(text))
        return next(((a, text) for a in answers if a is not None), None)
    if rule == "last-choice":
        found = choice.last(text, choices)
    else:
        found = equation.last(text) if rule == "last-equation" else number.last(text)
    return None if found is None else (found[1], text)


def _first(
    clauses: list[layout.Clause],
    read: Read,
    text: str,
    choices: tuple[str, ...],
    cut: Callable[[str, layout.Clause], bool] = lambda text, clause: True,
) -> tuple[str, str] | None:
    for clause in clauses:
        answer = read(clause.content, choices)
        if answer is not None:
            return answer, layout.without_clause(text, clause) if cut(text, clause) else text
    return None


KINDS: dict[AnswerKind, Kind] = {
    "number": Kind(
        number.read, number.read, number.equal, ("strict", "hash-marks", "the-answer-is", "boxed", "last-number")
    ),
    "equation": Kind(
        equation.read, equation.read, equation.equal, ("strict", "the-answer-is", "boxed", "last-equation")
    ),
    "choice": Kind(choice.read, choice.read, choice.equal, ("strict", "the-answer-is", "boxed", "last-choice")),
    "text": Kind(text.read, text.read_spoken, text.equal, ("strict", "the-answer-is", "boxed")),
    "latex": Kind(latex.read, latex.read_spoken, latex.equal, ("strict", "boxed", "the-answer-is")),
}
