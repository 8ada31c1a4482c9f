"""What the built-in base reads before any run: generated text in which no question of a task, and no chain, occurs.

For the built-in task: true equations of one step in the scripted teacher's four wordings, counting, and short stories
in the generator's words, with a question about one sentence or one change, or the equation of one. A question of the
task names its steps in order and asks for what is left; none of these does both. For other data: the run's own training
questions, without answers, beside equations and counting. Never a test question, never a rationale.
"""

import random
from collections.abc import Callable, Iterator, Sequence

from engine.data.arithmetic import GAINS, HE, ITEMS, LARGEST, LOSSES, OPERANDS, ORDINALS, SHE

TRIES = 100
"""For a line of known words alone; a tokeniser of very few words reads the rest as unknown."""
Line = Callable[[random.Random], str]


def lines(rng: random.Random, known: Callable[[str], bool], questions: Sequence[str]) -> Iterator[str]:
    """Without end. `known`: whether the tokeniser has a word; `questions`: other data's; none: the built-in task."""
    kinds: tuple[Line, ...] = (_equation, _count, _change, _told, _recall)
    if questions:
        kinds = (_equation, _count, lambda r: r.choice(questions))
    while True:
        kind = rng.choice(kinds)
        line = kind(rng)
        for _ in range(TRIES):
            if all(map(known, line.split())):
                break
            line = kind(rng)
        yield line


def _sum(rng: random.Random) -> tuple[int, str, int, int]:
    """Before, sign, operand, after: within the task's range."""
    sign, n = rng.choice("+-"), rng.choice(OPERANDS)
    before = rng.randint(0, LARGEST - n) + (n if sign == "-" else 0)
    return before, sign, n, before + n if sign == "+" else before - n


def _equation(rng: random.Random) -> str:
    return _worded(*_sum(rng), rng)


def _worded(a: int, sign: str, n: int, b: int, rng: random.Random) -> str:
    plus = (
        f"{a} plus {n} makes {b}",
        f"begin {a} . add {n} get {b}",
        f"start with {a} . {a} and {n} is {b}",
        f"there are {a} . {a} + {n} = {b}",
    )
    minus = (
        f"{a} minus {n} makes {b}",
        f"begin {a} . take {n} get {b}",
        f"start with {a} . {a} less {n} is {b}",
        f"there are {a} . {a} - {n} = {b}",
    )
    return rng.choice(plus if sign == "+" else minus)


def _count(rng: random.Random) -> str:
    first = rng.randint(0, LARGEST - 3)
    numbers = list(range(first, min(LARGEST, first + rng.randint(3, 8)) + 1))
    return " ".join(map(str, rng.choice((numbers, numbers[::-1]))))


def _change(rng: random.Random) -> str:
    """A question of one step; its change has no ordinal, by which every question of the task names its own."""
    (_, _, _, b), who, item, story = _changed(rng)
    answer = rng.choice((f"{b} {item}", f"Answer: {b}"))
    return f"{story} . how many {item} does {who} have now ? {answer}"


def _told(rng: random.Random) -> str:
    """A story of one change, and its equation."""
    found, _, _, story = _changed(rng)
    return f"{story} . {_worded(*found, rng)}"


def _changed(rng: random.Random) -> tuple[tuple[int, str, int, int], str, str, str]:
    """A sum; who and what it is about; the story of it."""
    who, he = _person(rng)
    item = rng.choice(ITEMS)
    found = a, sign, n, _ = _sum(rng)
    verb = rng.choice(GAINS if sign == "+" else LOSSES)
    more = rng.choice(("", " more")) if sign == "+" else ""
    return found, who, item, f"{who} has {a} {item} . {he} {verb} {n}{more}"


def _recall(rng: random.Random) -> str:
    """A story, and what one of its sentences says."""
    who, he = _person(rng)
    item = rng.choice(ITEMS)
    start = rng.randint(0, LARGEST)
    ordinals = ORDINALS[: rng.randint(1, len(ORDINALS))]
    steps = [(ordinal, rng.choice((*GAINS, *LOSSES)), rng.choice(OPERANDS)) for ordinal in ordinals]
    ordinal, verb, n = rng.choice(steps)
    story = " . ".join(f"{o} {he} {v} {m}" for o, v, m in steps)
    other, _ = _person(rng)
    thing = rng.choice(ITEMS)
    aside = f"{other} has {rng.choice(OPERANDS)} {thing} . " if other != who and thing != item else ""
    asked = rng.choice((f"{ordinal} {he} {verb} how many ? {n}", f"{who} has how many {item} ? {start}"))
    return f"{who} has {start} {item} . {aside}{story} . {asked}"


def _person(rng: random.Random) -> tuple[str, str]:
    return (rng.choice(HE), "he") if rng.random() < 0.5 else (rng.choice(SHE), "she")
