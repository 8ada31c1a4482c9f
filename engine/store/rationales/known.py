"""What the database knows of a question that a student is asked: whose it is, gold, vote, rationales, former answers.

Light: the console reads it. Every function leaves no transaction behind; texts are raw.
"""

import sqlite3
from dataclasses import dataclass

from engine.store.rationales.questions import TEXT_LENGTH, Question, read_question

ORDER = {"test": 0, "validation": 2, "train": 3}
"""In which splits are offered; tests of another name come after the first."""


@dataclass(frozen=True, slots=True)
class Answered:
    """What the run's student answered to it at its last evaluation."""

    head: str
    step: int
    answer: str | None
    right: bool | None


@dataclass(frozen=True, slots=True)
class Known:
    """A question of the run's data."""

    example: str
    split: str
    text: str
    length: int
    """Characters of the whole text."""
    gold: str | None
    answered: tuple[Answered, ...]
    question: Question | None
    """With vote and rationales; None where the teacher was not asked."""


def read_splits(con: sqlite3.Connection, run_id: int) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """The splits of the run's data, each with the ids of its questions in their order."""
    rows = con.execute(
        "SELECT x.split, x.key FROM run_datasets d JOIN examples x ON x.dataset_id = d.dataset_id WHERE d.run_id = ?"
        " ORDER BY x.key",
        (run_id,),
    ).fetchall()
    found: dict[str, list[str]] = {}
    for split, key in rows:
        found.setdefault(split, []).append(key)
    return tuple((split, tuple(found[split])) for split in sorted(found, key=lambda one: (ORDER.get(one, 1), one)))


def find_example(con: sqlite3.Connection, run_id: int, text: str) -> str | None:
    """The id of the run's question of just this text, white space around it aside."""
    row = con.execute(
        "SELECT x.key FROM run_datasets d JOIN examples x ON x.dataset_id = d.dataset_id"
        " WHERE d.run_id = ? AND x.question IN (?, ?) ORDER BY x.key LIMIT 1",
        (run_id, text, text.strip()),
    ).fetchone()
    return None if row is None else str(row[0])


def read_known(con: sqlite3.Connection, run_id: int, example: str) -> Known | None:
    """All that is known of a question; None where the run's data have none of that id."""
    row = con.execute(
        "SELECT x.split, substr(x.question, 1, ?), length(x.question), substr(x.answer, 1, 300) FROM run_datasets d"
        " JOIN examples x ON x.dataset_id = d.dataset_id WHERE d.run_id = ? AND x.key = ?",
        (TEXT_LENGTH, run_id, example),
    ).fetchone()
    if row is None:
        return None
    answers = con.execute(
        "SELECT head, max(step), substr(answer, 1, 300), correct FROM predictions"
        " WHERE run_id = ? AND example = ? GROUP BY head ORDER BY head DESC",
        (run_id, example),
    ).fetchall()
    said = tuple(Answered(head, step, answer, None if right is None else bool(right))
                 for head, step, answer, right in answers)  # fmt: skip
    split, text, length, gold = row
    return Known(example, split, text, length, gold, said, read_question(con, run_id, (example,), 0))
