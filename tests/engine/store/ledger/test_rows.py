"""Rows of many tries, a statement a table: as if each had been written by itself."""

import sqlite3
from pathlib import Path

from engine.spec.run import RunSpec
from engine.store.connect import open_writer
from engine.store.ledger.rows import Asked, Begun, Finished, Sent, Stored, begin_many, finish_many
from engine.store.runs.run import create_run
from engine.teacher.outcome import Completion

QUERIES = {  # texts by what they say: ids are as they came
    "requests": "SELECT q.id, purpose, example, model, asked, slots, state, input_tokens, t.text, m.text"
    " FROM requests q JOIN messages t ON t.id = q.turns_id"
    " JOIN messages m ON m.id = q.message_id ORDER BY q.id",
    "attempts": "SELECT * FROM attempts ORDER BY id",
    "responses": "SELECT * FROM responses ORDER BY id",
    "samples": "SELECT s.id, key, model, finish, input_tokens, attempt_id, response_id, t.text, h.text"
    " FROM samples s JOIN texts t ON t.id = s.text_id"
    " LEFT JOIN texts h ON h.id = s.reasoning_id ORDER BY s.id",
    "run_samples": "SELECT * FROM run_samples ORDER BY example",
    "spending": "SELECT * FROM spending",
    "messages": "SELECT text FROM messages ORDER BY text",
    "texts": "SELECT text FROM texts ORDER BY text",
}
MANY = 37
"""More than two statements' rows."""


def asked(number: int) -> Begun:
    messages = [
        {"role": "system", "content": "think"},
        {"role": "user", "content": f"what of {number // 2}?"},  # each question twice
    ]
    return Begun(1, Asked("sample", f"e{number}", "m", b"k%d" % number, (0,), 10, None, 20, messages), 1)


def answered(number: int, begun: Begun, sent: Sent) -> Finished:
    said = Completion(f"so {number % 5} \ud800", "stop", 3, 4, "hm" if number % 3 else None)
    key = begun.asked.key if number != 20 else b"k19"  # one that was bought a moment ago
    return Finished(1, sent, "m", ("m", "id", 3, 4, None, 0.5, b"{}"), None, "done", [(key, 0, said)], [f"e{number}"])


def written(path: Path, size: int) -> tuple[dict[str, list[tuple[object, ...]]], list[dict[bytes, Stored]]]:
    create_run(path, RunSpec.model_validate({"name": "x"}))
    db = open_writer(path)
    stored: list[dict[bytes, Stored]] = []
    db.execute("BEGIN")
    for at in range(0, MANY, size):
        numbers = range(at, min(at + size, MANY))
        begun = [asked(number) for number in numbers]
        tries = zip(numbers, begun, begin_many(db, begun), strict=True)
        stored += finish_many(db, [answered(*one) for one in tries])
    db.execute("COMMIT")
    rows = {name: [_untimed(row) for row in db.execute(query)] for name, query in QUERIES.items()}
    db.close()
    return rows, stored


def _untimed(row: sqlite3.Row) -> tuple[object, ...]:
    return tuple(value for value in row if not (isinstance(value, float) and value > 1e9))


def test_many_at_once_are_as_one_by_one(tmp_path: Path) -> None:
    many, stored = written(tmp_path / "a.db", MANY)
    single, each = written(tmp_path / "b.db", 1)
    assert many == single
    assert stored == each
    assert stored[3][b"k3"] == Stored(4, "so 3 \ufffd", None)
    assert stored[20] == {b"k19": stored[19][b"k19"]}
    assert [len(many[name]) for name in ("requests", "samples", "messages")] == [MANY, MANY - 1, 1 + (MANY + 1) // 2]
