"""Questions with their positive and negative rationales, as `sqlite3.Row`s; texts are raw.

A followed question has every visit of its rationales; any other has the last one.
"""

import sqlite3

from engine.store.queries import Rows
from engine.store.rationales.filter import LAST, Filter, of_questions, of_rationales

REMARKS = (
    " coalesce(m.flagged, 0) AS flagged, m.note, coalesce(q.flagged, 0) AS question_flagged, q.note AS question_note"
)
REMARKED = (
    " LEFT JOIN rationale_notes m ON m.run_id = r.run_id AND m.example = r.example AND m.number = r.number"
    " LEFT JOIN rationale_notes q ON q.run_id = r.run_id AND q.example = r.example AND q.number = -1"
)


def pairs(
    conn: sqlite3.Connection,
    run_id: int,
    example: str | None = None,
    *,
    limit: int | None = None,
    newest_first: bool = True,
) -> Rows:
    """Rows of `rationale_pairs`, by step: the chosen positive beside the chosen negative at each visit that is kept."""
    order = "DESC" if newest_first else "ASC"
    return conn.execute(
        "SELECT * FROM rationale_pairs WHERE run_id = ?"
        + (" AND example = ?" if example is not None else "")
        # the order in which the rows of one step stand must not depend on the plan
        + f" ORDER BY step {order}, example, positive_cross_entropy LIMIT ?",
        (run_id, *(() if example is None else (example,)), -1 if limit is None else limit),
    ).fetchall()


def questions(conn: sqlite3.Connection, run_id: int) -> Rows:
    """Training examples that training has visited, in the training set's order.

    example, position, question, gold, vote, votes, samples, tie, correct, followed, positives, negatives, last_step.
    """
    return conn.execute(
        """
        SELECT v.example, v.position, x.question, x.answer AS gold, v.answer AS vote,
            v.votes, v.samples, v.tie, v.correct, v.followed,
            (SELECT count(*) FROM rationales r
             WHERE r.run_id = v.run_id AND r.example = v.example AND r.polarity = 'positive') AS positives,
            (SELECT count(*) FROM rationales r
             WHERE r.run_id = v.run_id AND r.example = v.example AND r.polarity = 'negative') AS negatives,
            (SELECT max(l.step) FROM last_visits l WHERE l.run_id = v.run_id AND l.example = v.example) AS last_step
        FROM votes v
        JOIN run_datasets d ON d.run_id = v.run_id
        JOIN examples x ON x.dataset_id = d.dataset_id AND x.key = v.example
        WHERE v.run_id = ? AND EXISTS (SELECT 1 FROM last_visits l WHERE l.run_id = v.run_id AND l.example = v.example)
        ORDER BY v.position, v.example
        """,
        (run_id,),
    ).fetchall()


def rationales_of(conn: sqlite3.Connection, run_id: int, example: str, step: int | None = None) -> Rows:
    """Every rationale of an example, by number, with what the visit at `step` (None: its last) made of it.

    number, text, answer, rule, polarity, reason (of a dropped one), source, iteration, slot, teacher (its model; null
    of what a student wrote); step, quality, cross_entropy, weight, chosen, active: null where it was not visited then;
    flagged, note, question_flagged, question_note: what people remarked.
    """
    visit = (
        "last_visits v ON v.run_id = r.run_id AND v.example = r.example AND v.number = r.number"
        if step is None
        else "rationale_visits v ON v.run_id = ?1 AND v.example = ?2 AND v.number = r.number AND v.step = ?3"
    )
    return conn.execute(
        "SELECT r.number, t.text, r.answer, r.rule, r.polarity, r.reason, r.source, r.iteration, r.slot,"
        " s.model AS teacher,"
        f" v.step, v.quality, v.cross_entropy, v.weight, v.chosen, v.active,{REMARKS}"
        " FROM rationales r JOIN texts t ON t.id = r.text_id"
        " LEFT JOIN run_samples u ON u.run_id = r.run_id AND u.example = r.example AND u.slot = r.slot"
        "  AND r.source IN ('teacher', 'minority')"
        f" LEFT JOIN samples s ON s.id = u.sample_id LEFT JOIN {visit}{REMARKED}"
        " WHERE r.run_id = ?1 AND r.example = ?2 ORDER BY r.number",
        (run_id, example) if step is None else (run_id, example, step),
    ).fetchall()


def rationales_like(conn: sqlite3.Connection, run_id: int, wanted: Filter, limit: int | None = None) -> Rows:
    """The rationales that a filter lets in, as at their last visit, in the training set's order.

    Where it asks for something of visits: those of their question's last one.

    example, question, gold, vote, then as `rationales_of`.
    """
    conditions, values = of_rationales(wanted, run_id)
    conditions += [LAST] if wanted.of_visits else []
    asked = of_questions(conn, run_id, wanted)
    if asked is not None:
        conditions.append(f"r.example IN ({asked[0]})")
        values += asked[1]
    return conn.execute(
        "SELECT r.example, x.question, x.answer AS gold, v.answer AS vote, r.number, t.text, r.answer, r.rule,"
        " r.polarity, r.reason, r.source, r.iteration, r.slot, s.model AS teacher,"
        f" l.step, l.quality, l.cross_entropy, l.weight, l.chosen, l.active,{REMARKS}"
        " FROM votes v JOIN run_datasets d ON d.run_id = v.run_id"
        " JOIN examples x ON x.dataset_id = d.dataset_id AND x.key = v.example"
        " JOIN rationales r ON r.run_id = v.run_id AND r.example = v.example JOIN texts t ON t.id = r.text_id"
        " LEFT JOIN last_visits l ON l.run_id = r.run_id AND l.example = r.example AND l.number = r.number"
        " LEFT JOIN run_samples u ON u.run_id = r.run_id AND u.example = r.example AND u.slot = r.slot"
        "  AND r.source IN ('teacher', 'minority')"
        f" LEFT JOIN samples s ON s.id = u.sample_id{REMARKED}"
        f" WHERE v.run_id = ? AND {' AND '.join(conditions) or '1'} ORDER BY v.position, r.number LIMIT ?",
        (run_id, *values, -1 if limit is None else limit),
    ).fetchall()


def steps_of(conn: sqlite3.Connection, run_id: int, example: str) -> list[int]:
    """The steps at which a visit of the example is kept, ascending."""
    return [
        row["step"]
        for row in conn.execute(
            "SELECT step FROM visits WHERE run_id = ?1 AND example = ?2 UNION"
            " SELECT step FROM last_visits WHERE run_id = ?1 AND example = ?2 ORDER BY step",
            (run_id, example),
        )
    ]


def student_answers(conn: sqlite3.Connection, run_id: int, example: str) -> Rows:
    """step, head, answer, correct, text: what the student said to a followed question at each evaluation."""
    return conn.execute(
        "SELECT p.step, p.head, p.answer, p.correct, t.text FROM predictions p JOIN texts t ON t.id = p.text_id"
        " WHERE p.run_id = ? AND p.split = 'followed' AND p.example = ? ORDER BY p.step, p.head",
        (run_id, example),
    ).fetchall()
