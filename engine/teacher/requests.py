"""What is asked: messages with the slots that are wanted of them, and the keys that find their answers again."""

import hashlib
import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

from engine.records import Example
from engine.spec.sections import AnswerKind
from engine.spec.teachers import TeacherConfig
from engine.store.ledger.rows import Purpose, Stored
from engine.teacher.client import Messages
from engine.teacher.local import fingerprint
from engine.teacher.messages import ask, load_prompt, messages_for
from engine.teacher.mixed import teacher_of


@dataclass(slots=True)
class Request:
    """One list of messages; examples that ask the same share it, so that nothing is bought twice."""

    teacher: TeacherConfig
    messages: Messages
    key: bytes
    """Of all that is asked but the slot."""
    slots: tuple[int, ...]
    """The samples that are wanted, by number."""
    examples: list[str] = field(default_factory=list)
    """Their ids."""
    purpose: Purpose = "sample"
    older_key: bytes | None = None
    """The key that earlier versions gave it; None where it could not be asked then."""
    texts: dict[int, str] = field(default_factory=dict)
    """By slot, as far as there are any."""
    reasoning: dict[int, str] = field(default_factory=dict)
    """Hidden reasoning by slot, where there is any."""
    open: int = 0
    """Units that are still to be done."""

    def take(self, slot: int, stored: Stored) -> None:
        """The slot's sample is in the database."""
        self.texts[slot] = stored.text
        if stored.reasoning is not None:
            self.reasoning[slot] = stored.reasoning

    @property
    def missing(self) -> list[int]:
        """The slots without a text."""
        return [slot for slot in self.slots if slot not in self.texts]


@dataclass(slots=True)
class Unit:
    """Consecutive slots of a request that are bought together."""

    request: Request
    slots: tuple[int, ...]
    """Those still to be bought."""
    tries: int = 0
    """Since the last that brought something."""
    spared: int = 0
    """Of those, tries that say nothing about the question: turned away, or sent to learn if the teacher is back."""
    turned_away: int = 0
    row: int | None = None
    """The request's in the ledger, once it was sent."""
    brought: bool = False


def requests_for(teacher: TeacherConfig, kind: AnswerKind, examples: Sequence[Example]) -> list[Request]:
    """All samples of all examples, in their order; where there are several teachers, each is asked for its own.

    Two that differ in their account alone (a key, a price, a ceiling) ask with one key, each for slots of its own.
    """
    everyone = [(one, load_prompt(one, kind)) for one in teacher.everyone]
    shares = [other.share for other in teacher.others]
    found: dict[tuple[int, bytes], Request] = {}
    for example in examples:
        slots: dict[int, list[int]] = {}
        for slot in range(teacher.samples):
            slots.setdefault(teacher_of(ask(example), slot, shares), []).append(slot)
        for index, mine in sorted(slots.items()):
            one, prompt = everyone[index]
            messages = messages_for(prompt, example)
            key = key_of(one, messages, prompt.hash)
            if (index, key) not in found:
                found[index, key] = Request(one, messages, key, tuple(mine), older_key=_older_key(one, messages))
            found[index, key].examples.append(example.id)
    return list(found.values())


def key_of(teacher: TeacherConfig, messages: Messages, prompt_hash: str) -> bytes:
    """SHA-256 over who is asked, what, and with which settings; not over how many samples."""
    model = teacher.model
    asked = {
        # a folder's name says nothing about what is in it
        "model": f"local:{fingerprint(model)}" if model.startswith("local/") else model,
        "api_base": teacher.api_base,
        "messages": messages,
        "prompt": prompt_hash,
        "temperature": teacher.temperature,
        "top_p": teacher.top_p,
        "max_tokens": teacher.max_tokens,
        "seed": None,  # none is sent: with one, samples would repeat themselves
    }
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).digest()


def slot_key(key: bytes, slot: int) -> bytes:
    """By slot and not by K: a run that asks for more samples reuses those of one that asked for fewer."""
    return hashlib.sha256(key + slot.to_bytes(4, "big")).digest()


def units(request: Request, together: bool, under_way: Collection[int] = ()) -> Iterator[Unit]:
    """The missing slots of a request but those that are under way: runs of consecutive ones where they can be bought
    together, else one by one."""
    runs: list[list[int]] = []
    for slot in request.missing:
        if slot in under_way:
            continue
        if together and runs and runs[-1][-1] == slot - 1:
            runs[-1].append(slot)
        else:
            runs.append([slot])
    request.open = len(runs)
    yield from (Unit(request, tuple(run)) for run in runs)


def _older_key(teacher: TeacherConfig, messages: Messages) -> bytes | None:
    """Up to the third schema of the database; top_p could not be set then."""
    if teacher.top_p is not None:
        return None
    asked = [teacher.model, teacher.api_base, messages, teacher.temperature, teacher.max_tokens]
    return hashlib.sha256(json.dumps(asked).encode()).digest()
