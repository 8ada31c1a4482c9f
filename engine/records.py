"""The nouns that travel between the stages of a run; `docs/architecture.md` has the words."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

Polarity = Literal["positive", "negative", "dropped", "unparsed"]
Reason = Literal[
    "",
    "right",
    "no rationale",
    "no vote",
    "band",
    "too short",
    "too long",
    "not gold",
    "near duplicate",
    "unsound step",
]
"""Why a rationale was dropped: its answer is the right one; it is an answer alone; its question's vote has no winner;
its quality is outside `negatives.band`."""


@dataclass(frozen=True, slots=True)
class Example:
    """One question with its gold answer, which may be missing."""

    id: str
    question: str
    answer: str | None = None
    choices: tuple[str, ...] = ()
    """The options, in order, of a multiple-choice question; empty otherwise."""


@dataclass(frozen=True, slots=True)
class Dataset:
    """The examples of a run by split; `splits` always has "train", "validation" and "test"."""

    name: str
    splits: dict[str, tuple[Example, ...]]
    hash: str
    """SHA-256 over every id, question, answer and split, in order: 64 hex digits."""
    notes: tuple[str, ...] = ()
    """What loading had to do (split by hash, cut questions), each a line for the run's log."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One teacher completion, raw, as paid for."""

    example_id: str
    slot: int
    """Its number among the example's K samples, from 0."""
    text: str
    reasoning: str | None = None
    """Hidden reasoning, where it is to be the rationale."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """An answer found in a text, and the rule that found it; `answer` is None where none did."""

    answer: str | None
    rule: str
    """"strict", the name of a fallback, or "miss"."""
    rationale: str
    """The chain of thought without the answer line and without any run-on into a next question."""


@dataclass(frozen=True, slots=True)
class Rationale:
    """A chain of thought for an example, with the answer it ends in."""

    number: int
    """Counts the rationales of a run from 0, in an order that a resumed run repeats; the key in the store."""
    example_id: str
    text: str
    answer: str | None
    rule: str
    polarity: Polarity
    source: str
    """"teacher"; of a negative "minority", "self", "fixed", "perturbed" or "peer"."""
    iteration: int = 0
    """Of the student's own negatives ("self", "fixed"): the iteration whose weights wrote it; 0 elsewhere."""
    slot: int = 0
    reason: Reason = ""
    """Of a dropped one."""


@dataclass(frozen=True, slots=True)
class Voted:
    """What the vote made of one example's samples."""

    example: Example
    answer: str | None
    """The winning answer; None where no sample parsed or the vote was a tie that drops the example."""
    votes: int
    """Samples in the winning cluster."""
    parsed: int
    """Samples whose answer could be parsed."""
    tie: bool
    positives: tuple[Rationale, ...]
    negatives: tuple[Rationale, ...]
    others: tuple[Rationale, ...] = field(default=())
    """Unparsed and dropped rationales: stored and shown, never trained on."""
    rejected: bool = False
    """The vote is not the gold answer, and selection.require_gold left the question out."""


@dataclass(frozen=True, slots=True)
class Visit:
    """What the method made of one rationale when its example was in the batch."""

    number: int
    """The rationale's, within the run."""
    example: str
    quality: float | None
    """The discriminator's score in [0, 1]; None without one."""
    cross_entropy: float
    """Mean over the target's tokens, in nats; with compute.choice = "iteration" of what is not both chosen and active
    it is that of the iteration's start."""
    weight: float
    """Its factor within the explain term: s or beta (1 - s), normalised or not, times its share where many are used;
    0 where not chosen or silenced. Times alpha / N it is the size of d loss / d cross-entropy."""
    chosen: bool
    active: bool
    """False: the hinge silenced it."""
    followed: bool
    """Whether every visit of this example is kept, not the last alone."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """What the student answered to one question."""

    example: str
    text: str
    answer: str | None
    correct: bool | None
    """None where there is nothing to compare with."""


def all_rationales(voted: Sequence[Voted]) -> list[Rationale]:
    """Every rationale of the vote, by number."""
    found = [r for v in voted for r in (*v.positives, *v.negatives, *v.others)]
    return sorted(found, key=lambda r: r.number)


@dataclass(frozen=True, slots=True)
class Scored:
    """A rationale's cross-entropy, and the iteration at whose start it was found."""

    iteration: int
    cross_entropy: float
