"""An LLM as judge of a rationale's steps: what it is asked, and what its answer means."""

import re
from collections.abc import Callable, Sequence

from engine.records import Example
from engine.teacher.messages import ask as question_of

Messages = list[dict[str, str]]
Ask = Callable[[Sequence[Messages]], list[str | None]]
"""Messages of many requests -> the answers, None where a request failed."""

SYSTEM = (
    "You check solutions step by step. A step is sound where it is correct in itself and follows from the question and "
    "from the steps before it. Reply with one line for each step and nothing else: the step's number, a colon, "
    "and yes if the step is sound or no if it is not."
)
BETWEEN = re.compile(r"\n+|(?<=[.!?;])\s+")
VERDICT = re.compile(r"\s*(?:step\s{1,3})?(\d{1,4})\s{0,3}[:.)]\s{0,3}(yes|no)\b.*", re.IGNORECASE)
MOST_STEPS = 100
"""What comes after is part of the last one."""


def steps(text: str) -> list[str]:
    """The sentences and lines of a rationale, in order; none is empty."""
    found = [part.strip() for part in BETWEEN.split(text, maxsplit=MOST_STEPS - 1)]
    return [part for part in found if part]


def messages(example: Example, text: str) -> Messages:
    """What the judge is asked about one rationale of an example."""
    numbered = "\n".join(f"{i}. {step}" for i, step in enumerate(steps(text), 1))
    asked = f"Question: {question_of(example)}\n\nSteps:\n{numbered}"
    return [{"role": "system", "content": SYSTEM}, {"role": "user", "content": asked}]


def sound(text: str, reply: str | None) -> bool | None:
    """Whether the judge found every step of the rationale sound; None where it did not say so of each, once."""
    found: dict[int, bool] = {}
    for line in (reply or "").splitlines():
        match = VERDICT.fullmatch(line)
        if match is None:
            if line.strip():
                return None
            continue
        number = int(match[1])
        if number in found:
            return None
        found[number] = match[2].lower() == "yes"
    if sorted(found) != list(range(1, len(steps(text)) + 1)):
        return None
    return all(found.values())
