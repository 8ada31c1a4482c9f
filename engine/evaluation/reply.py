"""What is said between someone who asks a student a question and the process that answers: a line of JSON each.

Light: the console reads it. Texts are raw: cleaning is the drawing's part.
"""

import json
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias

from engine.errors import QcrdError

Head = Literal["predict", "explain"]
SAMPLES = 8
"""Answers drawn of each head, where nothing else is said."""
TEMPERATURE = 0.7
"""Of those answers, where nothing else is said."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A question to a run's student."""

    id: int
    """Of the question, in the replies to it."""
    run_id: int
    text: str
    example: str | None = None
    """The example of the run's data that it is; its stored text is then asked, and its gold answer compared with."""
    samples: int = 0
    """0: each head's greedy answer; else so many answers of each head, drawn at `temperature`."""
    temperature: float = TEMPERATURE


@dataclass(frozen=True, slots=True)
class Doing:
    """What has to be done before it can be answered."""

    id: int
    text: str


@dataclass(frozen=True, slots=True)
class Ready:
    """Which student answers."""

    id: int
    step: int | None
    """Of its checkpoint; None: the exported student."""
    heads: tuple[Head, ...]
    judged: bool
    """Whether a discriminator tells qualities."""
    note: str = ""
    """What is to be known before its answers are believed."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A head's text so far."""

    id: int
    head: Head
    text: str


@dataclass(frozen=True, slots=True)
class Told:
    """A head's whole answer."""

    id: int
    head: Head
    text: str
    answer: str | None
    rule: str
    """By which rule the answer was found; of the predict head, whose text is its answer, ''."""
    right: bool | None
    """None: nothing to compare with."""
    quality: float | None
    """The discriminator's score of an explanation, in [0, 1]."""
    seconds: float


@dataclass(frozen=True, slots=True)
class Given:
    """An answer of several, and how often it was given; None: no answer was found."""

    answer: str | None
    count: int
    right: bool | None
    text: str
    """The first text that ends in it."""


@dataclass(frozen=True, slots=True)
class Votes:
    """What several drawn answers of a head are, the commonest first, those without an answer last."""

    id: int
    head: Head
    temperature: float
    given: tuple[Given, ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class Failed:
    """Why there is no answer."""

    id: int
    error: str


@dataclass(frozen=True, slots=True)
class Over:
    """No more of this question."""

    id: int


Reply: TypeAlias = Doing | Ready | Piece | Told | Votes | Failed | Over
KINDS: dict[str, type[Any]] = {kind.__name__: kind for kind in (Doing, Ready, Piece, Told, Votes, Failed, Over)}


def line(said: Reply | Asked) -> str:
    """One line, with its end."""
    return json.dumps({"kind": type(said).__name__, **asdict(said)}) + "\n"


def read(text: str) -> Reply:
    """The reply in a line. Raises QcrdError where it is none."""
    try:
        found = json.loads(text)
        kind = found.pop("kind")
        if kind == "Votes":
            found["given"] = tuple(Given(**one) for one in found["given"])
        if kind == "Ready":
            found["heads"] = tuple(found["heads"])
        reply: Reply = KINDS[kind](**found)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise QcrdError(f"the inference worker said something that is no reply: {text[:80]!r}") from None
    return reply
