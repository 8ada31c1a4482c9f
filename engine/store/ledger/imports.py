"""Recorded outputs as samples: each in a free slot of its question, with the file and line that it is from."""

import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from engine.store.connect import write
from engine.store.texts import storable, store_texts, text_hash
from engine.teacher.outcome import Completion

CHUNK = 500
"""Keys looked up by one statement; SQLite takes 999 variables at least."""
MOST_SLOTS = 1024
"""Of a question; outputs beyond are left."""


@dataclass(frozen=True, slots=True)
class Origin:
    """The file that outputs are taken from."""

    file: str
    hash: str
    """SHA-256 in hexadecimal."""
    layout: str


@dataclass(frozen=True, slots=True)
class Found:
    """An output of the file."""

    completion: Completion
    line: int
    model: str | None
    """As the file names it."""


@dataclass(frozen=True, slots=True)
class Slot:
    """Where a sample of a question goes."""

    number: int
    key: bytes
    """That a run looks for."""
    model: str
    """As the spec names it."""


@dataclass(frozen=True, slots=True)
class Place:
    """Outputs of one question, and where they may go."""

    asked: bytes
    """The question and how it is asked, without a slot."""
    slots: Callable[[int], Sequence[Slot]]
    """Those below a number, in order."""
    outputs: list[Found] = field(default_factory=list)


@dataclass(slots=True)
class Stored:
    """What became of the outputs."""

    new: int = 0
    known: int = 0
    """In the database already."""
    left: int = 0
    """More than MOST_SLOTS of a question."""
    slots: Counter[int] = field(default_factory=Counter)
    """New ones by slot."""


def store(path: Path, origin: Origin, places: Sequence[Place], told: Counter[tuple[bytes, bytes]]) -> Stored:
    """Stores, in one transaction, what the database lacks: afterwards it has each text of a question at least as often
    as the file, so that a second import of it adds nothing.

    `told`: by question and text, how often the file has said it so far; the caller keeps it from call to call.
    """
    before = Counter(told)

    def run(db: sqlite3.Connection) -> Stored:
        told.clear()  # a transaction may be tried again
        told.update(before)
        result = Stored()
        import_id: int | None = None
        for place in places:
            free, known = _free(db, place)
            for output in place.outputs:
                text = text_hash(output.completion.text)
                told[place.asked, text] += 1
                if known[text] >= told[place.asked, text]:
                    result.known += 1
                elif not free:
                    result.left += 1
                else:
                    slot = free.pop()
                    known[text] += 1
                    import_id = _import(db, origin) if import_id is None else import_id
                    _insert(db, slot, output, import_id)
                    result.new += 1
                    result.slots[slot.number] += 1
        return result

    return write(path, run)


def _free(db: sqlite3.Connection, place: Place) -> tuple[list[Slot], Counter[bytes]]:
    """The free slots, the first one last, and how often each text is stored in the others."""
    width = 2 * len(place.outputs) + 8
    while True:
        slots = place.slots(min(width, MOST_SLOTS))
        stored = _texts(db, [slot.key for slot in slots])
        free = [slot for slot in reversed(slots) if slot.key not in stored]
        enough = bool(slots) and len(free) >= len(place.outputs) and slots[-1].key not in stored
        if enough or width >= MOST_SLOTS:
            return free, Counter(stored.values())
        width *= 2


def _texts(db: sqlite3.Connection, keys: Sequence[bytes]) -> dict[bytes, bytes]:
    """By key of a stored sample: the hash of its text."""
    found: dict[bytes, bytes] = {}
    for start in range(0, len(keys), CHUNK):
        chunk = keys[start : start + CHUNK]
        marks = ",".join("?" * len(chunk))
        rows = db.execute(
            f"SELECT s.key, t.hash FROM samples s JOIN texts t ON t.id = s.text_id WHERE s.key IN ({marks})", chunk
        )
        found.update({bytes(key): bytes(text) for key, text in rows})
    return found


def _import(db: sqlite3.Connection, origin: Origin) -> int:
    names = (storable(origin.file), origin.hash, origin.layout)
    db.execute(
        "INSERT OR IGNORE INTO imports (file, hash, layout, created_at) VALUES (?, ?, ?, ?)", (*names, time.time())
    )
    row = db.execute("SELECT id FROM imports WHERE (file, hash, layout) = (?, ?, ?)", names).fetchone()
    return int(row[0])


def _insert(db: sqlite3.Connection, slot: Slot, output: Found, import_id: int) -> None:
    completion = output.completion
    (text_id,) = store_texts(db, [completion.text])
    reasoning_id = store_texts(db, [completion.reasoning])[0] if completion.reasoning else None
    sample = db.execute(
        "INSERT INTO samples (key, model, text_id, reasoning_id, finish, created_at) VALUES (?, ?, ?, ?, ?, ?)",
        (slot.key, slot.model, text_id, reasoning_id, completion.finish and storable(completion.finish), time.time()),
    ).lastrowid
    db.execute(
        "INSERT INTO imported_samples (sample_id, import_id, line, model) VALUES (?, ?, ?, ?)",
        (sample, import_id, output.line, output.model and storable(output.model)),
    )
