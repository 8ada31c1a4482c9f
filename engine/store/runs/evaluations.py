"""Answers that `qcrd evaluate` draws of a run's student, and judges' scores of them: written as they come, and read."""

import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass

from engine.errors import UsageError
from engine.store.texts import storable, store_texts


@dataclass(frozen=True, slots=True)
class Drawing:
    """One way to draw answers: what of it is asked again goes on with it."""

    run_id: int
    split: str
    head: str
    step: int
    """Of the student's checkpoint; -1: the exported student."""
    temperature: float
    seed: int


@dataclass(frozen=True, slots=True)
class Drawn:
    """Sample `number` of a question."""

    example: str
    number: int
    position: int
    """The question's place in its split."""
    text: str
    answer: str | None
    cluster: int | None
    """The number of the first sample with an equal answer."""
    correct: bool | None


@dataclass(frozen=True, slots=True)
class JudgeKey:
    """Whose scores: of a run's ranking model or discriminator."""

    run_id: int
    step: int


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A drawing and how far it is."""

    id: int
    drawing: Drawing
    questions: int
    """Asked for last."""
    samples: int
    """Of each, asked for last."""
    drawn: int
    """How many of questions times samples there are."""
    whole: int
    """Samples that every question has."""
    judges: tuple[tuple[JudgeKey, int], ...]
    """Who has scored them, and how many of them; the newest judge first."""


@dataclass(frozen=True, slots=True)
class Ballot:
    """One question's samples, in order, for votes."""

    clusters: tuple[int | None, ...]
    right: tuple[bool, ...]
    scores: tuple[float | None, ...]
    """None: over-long, or no judge was asked for."""


@dataclass(frozen=True, slots=True)
class Ballots:
    """Those of the questions that have all samples, gold answers, and scores where a judge is asked for."""

    ballots: tuple[Ballot, ...]
    asked: int
    """Questions asked for."""
    goldless: int
    """Questions left out because there is no gold answer to compare with."""


def judge_of(conn: sqlite3.Connection, run_id: int, vote: str, head: str, named: int | None) -> int | None:
    """The run whose scores weigh a vote (count, asc, discriminator): that `named`, else the newest ranking model on the
    run's data, or the run itself; None for count. Raises UsageError where there is none, or it is of another kind."""
    if vote == "count":
        if named is not None:
            raise UsageError("--ranking is for --vote asc and --vote discriminator: a count asks no judge")
        return None
    if head != "explain":
        raise UsageError(f"--vote {vote} scores rationales: --head explain")
    if named is None and vote == "asc":
        row = conn.execute(
            "SELECT max(r.id) FROM runs r JOIN run_datasets d ON d.run_id = r.id WHERE r.method = 'ranking'"
            " AND r.status = 'done' AND d.dataset_id = (SELECT dataset_id FROM run_datasets WHERE run_id = ?)",
            (run_id,),
        ).fetchone()
        if row[0] is None:
            raise UsageError(
                f"--vote asc: no ranking model was trained on the data of run {run_id}; run its file with "
                "`--set method.name=ranking`, or name one with --ranking RUN2"
            )
        return int(row[0])
    judge = run_id if named is None else named
    row = conn.execute("SELECT method FROM runs WHERE id = ?", (judge,)).fetchone()
    wanted = "ranking" if vote == "asc" else "qcrd"
    if row[0] != wanted:
        raise UsageError(
            f"--vote {vote} takes the scores of a run of the method {wanted}; run {judge} is of {row[0]}: name another "
            "with --ranking RUN2"
        )
    return judge


def begin(conn: sqlite3.Connection, drawing: Drawing, questions: int, samples: int) -> int:
    """The evaluation's id: a new one, or the one there is, with what is now asked for. Within a transaction."""
    d = drawing
    row = conn.execute(
        "INSERT INTO evaluations (run_id, split, head, step, temperature, seed, questions, samples, created_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (run_id, split, head, step, temperature, seed)"
        " DO UPDATE SET questions = excluded.questions, samples = excluded.samples RETURNING id",
        (d.run_id, d.split, d.head, d.step, d.temperature, d.seed, questions, samples, time.time()),
    ).fetchone()
    return int(row[0])


def write_drawn(conn: sqlite3.Connection, evaluation: int, drawn: Sequence[Drawn]) -> None:
    """Store answers; one that is there already stays. Within a transaction."""
    ids = store_texts(conn, [one.text for one in drawn])
    conn.executemany(
        "INSERT OR IGNORE INTO drawn_answers (evaluation_id, example, number, position, text_id, answer, cluster,"
        " correct) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (
                evaluation,
                storable(one.example),
                one.number,
                one.position,
                text,
                one.answer and storable(one.answer),
                one.cluster,
                one.correct,
            )
            for one, text in zip(drawn, ids, strict=True)
        ],
    )


def read_drawn(conn: sqlite3.Connection, evaluation: int, samples: int) -> dict[tuple[str, int], Drawn]:
    """By example and number, the first `samples` of each question."""
    rows = conn.execute(
        "SELECT d.example, d.number, d.position, t.text, d.answer, d.cluster, d.correct FROM drawn_answers d"
        " JOIN texts t ON t.id = d.text_id WHERE d.evaluation_id = ? AND d.number < ?",
        (evaluation, samples),
    )
    found = (Drawn(r[0], r[1], r[2], r[3], r[4], r[5], None if r[6] is None else bool(r[6])) for r in rows)
    return {(one.example, one.number): one for one in found}


def write_scores(
    conn: sqlite3.Connection, evaluation: int, judge: JudgeKey, scores: Sequence[tuple[str, int, float | None]]
) -> None:
    """Store (example, number, score). Within a transaction."""
    conn.executemany(
        "INSERT OR REPLACE INTO drawn_scores (evaluation_id, judge, judge_step, example, number, score)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        [(evaluation, judge.run_id, judge.step, storable(example), number, s) for example, number, s in scores],
    )


def scored(conn: sqlite3.Connection, evaluation: int, judge: JudgeKey) -> set[tuple[str, int]]:
    """(example, number) of what the judge has scored."""
    rows = conn.execute(
        "SELECT example, number FROM drawn_scores WHERE evaluation_id = ? AND judge = ? AND judge_step = ?",
        (evaluation, judge.run_id, judge.step),
    )
    return {(row[0], row[1]) for row in rows}


def read_evaluations(conn: sqlite3.Connection, run_id: int) -> tuple[Evaluation, ...]:
    """Those of a run, the newest first."""
    rows = conn.execute(
        "SELECT e.id, e.run_id, e.split, e.head, e.step, e.temperature, e.seed, e.questions, e.samples,"
        " (SELECT count(*) FROM drawn_answers d WHERE d.evaluation_id = e.id AND d.position < e.questions"
        " AND d.number < e.samples), (SELECT CASE WHEN count(*) = e.questions THEN min(n) ELSE 0 END FROM (SELECT"
        " count(*) AS n FROM drawn_answers d WHERE d.evaluation_id = e.id AND d.position < e.questions"
        " AND d.number < e.samples GROUP BY d.position))"
        " FROM evaluations e WHERE e.run_id = ? ORDER BY e.id DESC",
        (run_id,),
    ).fetchall()
    found = []
    for row in rows:
        judges = conn.execute(
            "SELECT s.judge, s.judge_step, count(*) FROM drawn_scores s JOIN drawn_answers d USING (evaluation_id,"
            " example, number) WHERE s.evaluation_id = ? AND d.position < ? AND s.number < ?"
            " GROUP BY s.judge, s.judge_step ORDER BY s.judge DESC, s.judge_step DESC",
            (row[0], row[7], row[8]),
        )
        told = tuple((JudgeKey(judge[0], judge[1]), int(judge[2])) for judge in judges)
        found.append(Evaluation(row[0], Drawing(*row[1:7]), row[7], row[8], row[9], row[10] or 0, told))
    return tuple(found)


def read_judges(conn: sqlite3.Connection, run_id: int) -> tuple[tuple[int, str], ...]:
    """(run, method) of what can judge that run's answers: ranking models on its data, the newest first, and itself."""
    rows = conn.execute(
        "SELECT r.id, r.method FROM runs r JOIN run_datasets d ON d.run_id = r.id WHERE r.method = 'ranking'"
        " AND r.status = 'done' AND d.dataset_id = (SELECT dataset_id FROM run_datasets WHERE run_id = ?1)"
        " UNION ALL SELECT id, method FROM runs WHERE id = ?1 AND method = 'qcrd' ORDER BY 2 DESC, 1 DESC",
        (run_id,),
    )
    return tuple((int(row[0]), str(row[1])) for row in rows)


def read_ballots(
    conn: sqlite3.Connection, evaluation: int, questions: int, samples: int, judge: JudgeKey | None
) -> Ballots:
    """Of the first `questions` of the split, those that are whole; the first `samples` of each."""
    rows = conn.execute(
        "SELECT d.position, d.cluster, d.correct, s.score, s.example IS NOT NULL FROM drawn_answers d"
        " LEFT JOIN drawn_scores s ON s.evaluation_id = d.evaluation_id AND s.judge = ?2 AND s.judge_step = ?3"
        " AND s.example = d.example AND s.number = d.number"
        " WHERE d.evaluation_id = ?1 AND d.position < ?4 AND d.number < ?5 ORDER BY d.position, d.number",
        (evaluation, judge.run_id if judge else None, judge.step if judge else None, questions, samples),
    )
    by_question: dict[int, list[tuple[int | None, int | None, float | None, int]]] = {}
    for position, *rest in rows:
        by_question.setdefault(position, []).append((rest[0], rest[1], rest[2], rest[3]))
    whole = [mine for mine in by_question.values() if len(mine) == samples and (not judge or all(r[3] for r in mine))]
    told = [mine for mine in whole if all(r[1] is not None for r in mine)]
    ballots = tuple(
        Ballot(tuple(r[0] for r in mine), tuple(bool(r[1]) for r in mine), tuple(r[2] for r in mine)) for mine in told
    )
    return Ballots(ballots, questions, len(whole) - len(told))
