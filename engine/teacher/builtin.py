"""The scripted teacher: writes rationales for the built-in task from a question's text alone, and errs as teachers do.

Errors are of four kinds (an arithmetic slip, a wrong operation, a skipped step, a distractor taken in as a step). On a
fifth of the questions samples share one misconception, so that the vote goes wrong too. One sample is right about
74 % of the time, a vote of five about 89 %.
"""

import random

from engine.data.arithmetic import LARGEST, ORDINALS, Problem, parse

TRICKY_SHARE = 0.2
"""Questions on which samples share a misconception."""
MISCONCEPTION = 0.44
"""Share of the samples of a tricky question that fall for it."""
ERROR = 0.088
"""Chance of an error on the easiest question, of two steps; a third step adds it twice, a distractor once."""

ERRS = {"arithmetic": 1.0, "arithmetic-careful": 0.6}
"""How often each scripted teacher errs. All five samples of the careful one agree on half of the questions, as on the
paper's tasks; on a third with the other."""

Step = tuple[str, int, int]
"""Sign, operand, and the total that the writer believes in afterwards."""
Error = tuple[str, int, int]
"""Kind ("slip", "operation", "skip" or "distractor"), index of the step, and by how much a slip is off."""


def answer(question: str, seed: int, errs: float = 1.0) -> str:
    """A completion `<Explanation>: … <Answer>: …` for the question; the same for the same question and seed.

    `errs`: a factor of the share of tricky questions and of the errors on the others. A text that is no question of
    the built-in task gets a reply without an answer.
    """
    problem = parse(question)
    if problem is None:
        return "<Explanation>: this is no question that i can read ."
    about_question = random.Random(question)
    rng = random.Random(f"{seed} {question}")
    tricky = about_question.random() < TRICKY_SHARE * errs
    misconceptions = [e for e in _errors(problem) if e[0] != "slip"] if tricky else []
    error: Error | None = None
    if misconceptions:
        shared = about_question.choice(misconceptions)
        error = shared if rng.random() < MISCONCEPTION else None
    else:
        difficulty = max(1, 2 * len(problem.ops) - 3) + len(problem.distractors)
        if rng.random() < ERROR * errs * difficulty and (candidates := _errors(problem)):
            kind = rng.choice(sorted({e[0] for e in candidates}))
            error = rng.choice([e for e in candidates if e[0] == kind])
    steps = _steps(problem, error)
    return f"<Explanation>: {_write(problem.start, steps, rng)} . <Answer>: {steps[-1][2]}"


def _errors(problem: Problem) -> list[Error]:
    """Every single error that keeps the totals within the task's range; none of them ends in the right answer."""
    indices = range(len(problem.ops))
    found: list[Error] = [("slip", i, off) for i in indices for off in (-2, -1, 1, 2)]
    found += [("operation", i, 0) for i in indices]
    if len(problem.ops) > 1:  # with nothing left there is no answer
        found += [("skip", i, 0) for i in indices]
    if problem.distractors:
        found += [("distractor", i, 0) for i in indices]
    return [e for e in found if all(0 <= total <= LARGEST for _, _, total in _steps(problem, e))]


def _steps(problem: Problem, error: Error | None) -> list[Step]:
    """The steps as the teacher takes them, one error included."""
    kind, at, off = error or ("", -1, 0)
    total = problem.start
    steps: list[Step] = []
    for i, (_, sign, n) in enumerate(problem.ops):
        did, slip = sign, 0
        if i == at:
            match kind:
                case "skip":
                    continue
                case "operation":
                    did = "-" if sign == "+" else "+"
                case "distractor":
                    total += problem.distractors[0]
                    steps.append(("+", problem.distractors[0], total))
                case "slip":
                    slip = off
        total += (n if did == "+" else -n) + slip
        steps.append((did, n, total))
    return steps


def _write(start: int, steps: list[Step], rng: random.Random) -> str:
    """One of four phrasings."""
    opening, phrase = rng.choice((
        ("{start} first", {"+": "{a} plus {n} makes {b}", "-": "{a} minus {n} makes {b}"}),
        ("begin {start}", {"+": "add {n} get {b}", "-": "take {n} get {b}"}),
        ("start with {start}", {"+": "{a} and {n} is {b}", "-": "{a} less {n} is {b}"}),
        ("there are {start}", {"+": "{a} + {n} = {b}", "-": "{a} - {n} = {b}"}),
    ))  # fmt: skip
    parts = [opening.format(start=start)]
    before = start
    for i, (sign, n, total) in enumerate(steps):
        ordinal = ORDINALS[min(i, len(ORDINALS) - 1)]
        parts.append(f"{ordinal} {phrase[sign].format(a=before, n=n, b=total)}")
        before = total
    return " . ".join(parts)
