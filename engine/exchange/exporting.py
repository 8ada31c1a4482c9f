"""A run's samples, and its positives and negatives, as rows that other programs read."""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from itertools import groupby
from pathlib import Path
from typing import Any, Literal

from engine.answers.kinds import join
from engine.spec.run import RunSpec
from engine.store.connect import open_reader
from engine.store.rationales.queries import REMARKED, REMARKS
from engine.store.runs.run import stored_spec
from engine.teacher.messages import style_of

Form = Literal["qcrd", "preference", "kto"]
OF_EACH = ("source", "iteration", "model", "answer", "flagged", "note")
"""Told of each rationale."""
OF_QUESTION = ("gold", "vote", "votes", "samples", "question_flagged", "question_note")
QUESTIONS = 500
"""Read at once: between two reads no transaction is open, so that a run that writes is not held up."""
Row = dict[str, Any]

SAMPLES = f"""
SELECT u.example, x.split, x.question, x.answer AS gold, t.text, h.text AS reasoning, s.model, r.answer, r.rule,
    r.polarity, v.answer AS vote, v.votes,{REMARKS}
FROM run_samples u
JOIN samples s ON s.id = u.sample_id
JOIN texts t ON t.id = s.text_id
LEFT JOIN texts h ON h.id = s.reasoning_id
JOIN run_datasets d ON d.run_id = u.run_id
JOIN examples x ON x.dataset_id = d.dataset_id AND x.key = u.example
LEFT JOIN votes v ON v.run_id = u.run_id AND v.example = u.example
LEFT JOIN rationales r ON r.run_id = u.run_id AND r.example = u.example AND r.slot = u.slot AND r.iteration = 0
    AND r.source IN ('teacher', 'minority')
LEFT JOIN rationale_notes m ON m.run_id = u.run_id AND m.example = u.example AND m.number = r.number
LEFT JOIN rationale_notes q ON q.run_id = u.run_id AND q.example = u.example AND q.number = -1
WHERE u.run_id = ? AND u.example BETWEEN ? AND ?
ORDER BY u.example, u.slot
"""
RATIONALES = f"""
SELECT r.example, x.split, x.question, x.answer AS gold, t.text, s.model, r.answer, r.polarity, r.source,
    r.iteration, v.answer AS vote, v.votes, v.samples,{REMARKS}
FROM rationales r
JOIN texts t ON t.id = r.text_id
JOIN run_datasets d ON d.run_id = r.run_id
JOIN examples x ON x.dataset_id = d.dataset_id AND x.key = r.example
LEFT JOIN votes v ON v.run_id = r.run_id AND v.example = r.example
LEFT JOIN run_samples u ON u.run_id = r.run_id AND u.example = r.example AND u.slot = r.slot
    AND r.source IN ('teacher', 'minority')
LEFT JOIN samples s ON s.id = u.sample_id
{REMARKED}
WHERE r.run_id = ? AND r.example BETWEEN ? AND ? AND r.polarity IN ('positive', 'negative') AND x.split = 'train'
ORDER BY r.example, r.number
"""


def export_rows(database: Path, run_id: int, form: Form) -> Iterator[Row]:
    """The rows of a form, question by question, in the order of their ids; the run may be in any state.

    qcrd: every sample, as `import-samples` reads it; preference and kto: the rationales of training questions, as TRL
    reads them. Texts are raw.
    """
    with closing(open_reader(database)) as connection:
        spec = stored_spec(connection, run_id)
    if form == "qcrd":
        for rows in _questions(database, run_id, "run_samples", SAMPLES):
            yield _recorded(rows)
        return
    made: Callable[[RunSpec, Sequence[sqlite3.Row]], Iterator[Row]] = _pairs if form == "preference" else _labelled
    for rows in _questions(database, run_id, "rationales", RATIONALES):
        yield from made(spec, rows)


def why_empty(database: Path, run_id: int, form: Form) -> str:
    """Why a run has no row of a form."""
    with closing(open_reader(database)) as connection:
        samples = connection.execute("SELECT 1 FROM run_samples WHERE run_id = ? LIMIT 1", (run_id,)).fetchone()
        voted = connection.execute("SELECT 1 FROM rationales WHERE run_id = ? LIMIT 1", (run_id,)).fetchone()
    if samples is None and (form == "qcrd" or voted is None):
        return f"run {run_id} has no samples of a teacher yet"
    if voted is None:
        return f"run {run_id} has no positives and negatives before its vote; --format qcrd has its samples"
    return f"no training question of run {run_id} has a positive and a negative; --format kto needs only one"


def _questions(database: Path, run_id: int, table: str, sql: str) -> Iterator[list[sqlite3.Row]]:
    """The rows of each question together."""
    last = ""
    while True:
        with closing(open_reader(database)) as connection:
            ids = connection.execute(
                f"SELECT DISTINCT example FROM {table} WHERE run_id = ? AND example > ? ORDER BY example LIMIT ?",
                (run_id, last, QUESTIONS),
            ).fetchall()
            if not ids:
                return
            first, last = ids[0][0], ids[-1][0]
            rows = connection.execute(sql, (run_id, first, last)).fetchall()
        for _, together in groupby(rows, key=lambda row: row["example"]):
            yield list(together)


def _recorded(rows: Sequence[sqlite3.Row]) -> Row:
    """The form of recorded outputs; what the vote made of each stands beside it."""
    first = rows[0]
    return {
        "id": first["example"],
        "question": first["question"],
        "answer": first["gold"],
        "samples": [row["text"] for row in rows],
        "models": [row["model"] for row in rows],
        "reasoning": [row["reasoning"] for row in rows],
        "split": first["split"],
        "answers": [row["answer"] for row in rows],
        "rules": [row["rule"] for row in rows],
        "polarities": [row["polarity"] for row in rows],
        "vote": first["vote"],
        "votes": first["votes"],
        "flagged": [_told(row, "flagged") for row in rows],
        "notes": [row["note"] for row in rows],
        "question_flagged": _told(first, "question_flagged"),
        "question_note": first["question_note"],
    }


def _pairs(spec: RunSpec, rows: Sequence[sqlite3.Row]) -> Iterator[Row]:
    """Each positive and each negative at least once, in order, the fewer ones in turns; none without both."""
    positives = [row for row in rows if row["polarity"] == "positive"]
    negatives = [row for row in rows if row["polarity"] == "negative"]
    if not (positives and negatives):
        return
    for i in range(max(len(positives), len(negatives))):
        chosen, rejected = positives[i % len(positives)], negatives[i % len(negatives)]
        yield {
            "prompt": _turn(spec, "user", chosen["question"]),
            "chosen": _turn(spec, "assistant", _completion(spec, chosen)),
            "rejected": _turn(spec, "assistant", _completion(spec, rejected)),
            **_about(chosen),
            **{f"chosen_{name}": _told(chosen, name) for name in OF_EACH},
            **{f"rejected_{name}": _told(rejected, name) for name in OF_EACH},
        }


def _labelled(spec: RunSpec, rows: Sequence[sqlite3.Row]) -> Iterator[Row]:
    for row in rows:
        yield {
            "prompt": _turn(spec, "user", row["question"]),
            "completion": _turn(spec, "assistant", _completion(spec, row)),
            "label": row["polarity"] == "positive",
            **_about(row),
            **{f"completion_{name}": _told(row, name) for name in OF_EACH},
        }


def _about(row: sqlite3.Row) -> Row:
    return {"id": row["example"], **{name: _told(row, name) for name in OF_QUESTION}}


def _told(row: sqlite3.Row, name: str) -> Any:
    return bool(row[name]) if name.endswith("flagged") else row[name]


def _completion(spec: RunSpec, row: sqlite3.Row) -> str:
    """As the student's explain head is taught it."""
    text = str(row["text"])
    return text if row["answer"] is None or not spec.student.answer_in_rationale else join(text, row["answer"])


def is_chat(spec: RunSpec) -> bool:
    """Whether the teacher was asked in turns; recorded outputs and completion models were not."""
    return not spec.teacher.model.startswith("replay:") and style_of(spec.teacher) == "chat"


def _turn(spec: RunSpec, role: str, text: str) -> Any:
    return [{"role": role, "content": text}] if is_chat(spec) else text
