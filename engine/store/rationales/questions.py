"""What the console reads of one question: its rationales as they stood at one visit, and their history over visits.

A followed question has every visit; any other its last one. Every function leaves no transaction behind; texts are raw.
"""

import sqlite3
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from engine.store.rationales.notes import QUESTION, UNMARKED, Mark, read_notes

TEXT_LENGTH = 20_000
"""Characters read of a text; `length` says how long it is."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A rationale with what the method made of it at a visit; None: not visited then, or no discriminator."""

    number: int
    polarity: str
    source: str
    iteration: int
    answer: str | None
    text: str
    length: int
    """Characters of the whole text."""
    copies: int
    """How many samples had this very text."""
    quality: float | None = None
    cross_entropy: float | None = None
    weight: float | None = None
    chosen: bool = False
    active: bool | None = None
    teacher: str | None = None
    """The model that wrote it, where the run has several teachers."""
    slot: int = 0
    """Of a teacher's: which of its samples, from 0."""
    reason: str | None = None
    """Of a dropped one: why."""
    flagged: bool = False
    note: str | None = None
    """What a person wrote beside it."""
    marked: int | None = None
    """The number that flag and note are kept under, where that is a copy's."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """A rationale that a visit chose."""

    number: int
    source: str
    slot: int


@dataclass(frozen=True, slots=True)
class Moment:
    """What one visit chose; several where the scheme uses all."""

    step: int
    positives: tuple[Chosen, ...]
    positive_ce: float | None
    """Mean cross-entropy of them; None: none."""
    negatives: tuple[Chosen, ...]
    negative_ce: float | None
    active: bool
    """Whether any of the negatives counted."""


@dataclass(frozen=True, slots=True)
class Question:
    """One training question of a run at one visit."""

    run_id: int
    run_name: str
    index: int
    """Place in the training set, from 0."""
    count: int
    example: str
    text: str
    length: int
    gold: str | None
    vote: str | None
    votes: int
    samples: int
    tie: bool
    vote_right: bool | None
    followed: bool
    step: int | None
    """The visit shown; None: not visited yet."""
    iteration: int | None
    iterations: int
    visits: tuple[int, ...]
    """Steps of all visits kept, in order."""
    delta: float | None
    """The hinge's bound on a negative's cross-entropy; None where the method has none."""
    margin: bool
    """Whether delta is counted from the chosen positive's cross-entropy."""
    greatest: bool
    """Whether the negative of the greatest cross-entropy is chosen, so that one beyond delta silences all."""
    counted: str
    """Which tokens of a negative its cross-entropy is of: all, parted, fork."""
    positives: tuple[Candidate, ...]
    negatives: tuple[Candidate, ...]
    earlier: int
    """Self-written negatives of other iterations, not shown."""
    aside: tuple[Candidate, ...]
    """Those that were dropped or could not be parsed: never trained on."""
    dropped: tuple[tuple[str, int], ...]
    """How many were dropped, by reason ('' where none is known), in the order of their numbers."""
    unparsed: int
    history: tuple[Moment, ...]
    """What each visit kept has chosen, in order."""
    answers: tuple[tuple[int, bool | None], ...]
    """Step of each evaluation, and whether the student was right."""
    student_answer: str | None
    student_right: bool | None
    student_step: int | None
    """The evaluation at which it gave that answer; None: never asked."""
    flagged: bool
    note: str | None
    """What a person wrote beside the question."""


def read_keys(con: sqlite3.Connection, run_id: int) -> tuple[str, ...]:
    """The run's training questions that were voted on, in the order of the training set."""
    rows = con.execute("SELECT example FROM votes WHERE run_id = ? ORDER BY position", (run_id,)).fetchall()
    return tuple(row[0] for row in rows)


def read_question(
    con: sqlite3.Connection, run_id: int, keys: Sequence[str], index: int, step: int | None = None
) -> Question | None:
    """The question at `index`, at the visit at `step` (None: the last); None where there is no such question."""
    if not 0 <= index < len(keys):
        return None
    example = keys[index]
    head = con.execute(
        "SELECT substr(r.name, 1, 300), r.iterations, json_extract(r.spec, '$.method.loss.delta'),"
        " json_extract(r.spec, '$.method.loss.hinge'), json_extract(r.spec, '$.method.loss.scheme'),"
        " json_extract(r.spec, '$.method.negatives.select'), json_extract(r.spec, '$.method.negatives.tokens'),"
        " substr(v.answer, 1, 300), v.votes, v.samples, v.tie, v.correct, v.followed,"
        " substr(x.question, 1, ?), length(x.question), substr(x.answer, 1, 300)"
        " FROM runs r JOIN votes v ON v.run_id = r.id AND v.example = ?"
        " LEFT JOIN run_datasets d ON d.run_id = r.id"
        " LEFT JOIN examples x ON x.dataset_id = d.dataset_id AND x.key = v.example WHERE r.id = ?",
        (TEXT_LENGTH, example, run_id),
    ).fetchone()
    if head is None:
        return None
    (
        name,
        iterations,
        delta,
        hinge,
        scheme,
        select,
        counted,
        vote,
        votes,
        samples,
        tie,
        vote_right,
        followed,
        text,
        length,
        gold,
    ) = head
    notes = read_notes(con, run_id, example)
    rows = con.execute(
        "SELECT r.number, r.polarity, substr(r.source, 1, 300), r.iteration, substr(r.answer, 1, 300),"
        " substr(t.text, 1, ?), length(t.text), r.text_id,"
        " l.step, l.iteration, l.quality, l.cross_entropy, l.weight, l.chosen, l.active, substr(r.reason, 1, 300),"
        " substr(s.model, 1, 300), r.slot"
        " FROM rationales r JOIN texts t ON t.id = r.text_id"
        " LEFT JOIN runs w ON w.id = r.run_id AND json_array_length(w.spec, '$.teacher.others') > 0"
        " LEFT JOIN run_samples u ON u.run_id = w.id AND u.example = r.example AND u.slot = r.slot"
        "  AND r.source IN ('teacher', 'minority')"
        " LEFT JOIN samples s ON s.id = u.sample_id"
        " LEFT JOIN last_visits l ON l.run_id = r.run_id AND l.example = r.example AND l.number = r.number"
        " WHERE r.run_id = ? AND r.example = ? ORDER BY r.number",
        (TEXT_LENGTH, run_id, example),
    ).fetchall()
    kept = con.execute(
        "SELECT step, number, iteration, quality, cross_entropy, weight, chosen, active FROM visits"
        " WHERE run_id = ? AND example = ? ORDER BY step",
        (run_id, example),
    ).fetchall()
    # by step, by number: (iteration, quality, cross-entropy, weight, chosen, active)
    by_step: dict[int, dict[int, tuple[Any, ...]]] = {}
    for row in rows:
        if row[8] is not None:
            by_step.setdefault(row[8], {})[row[0]] = row[9:15]
    for at, number, *rest in kept:
        by_step.setdefault(at, {})[number] = tuple(rest)
    # of a question that is not followed only the last visit is whole
    steps = sorted(by_step) if kept else sorted(by_step)[-1:]
    shown = step if step in by_step else steps[-1] if steps else None
    visit = by_step.get(shown, {}) if shown is not None else {}
    chosen = {row[0]: (row[1], Chosen(row[0], row[2], row[17])) for row in rows}
    answers = con.execute(
        "SELECT p.step, substr(p.answer, 1, 300), p.correct, p.head FROM predictions p"
        " WHERE p.run_id = ? AND p.split = 'followed' AND p.example = ? ORDER BY p.step, p.head = 'explain'",
        (run_id, example),
    ).fetchall()
    # where the student has no explain head its label is all there is
    last_of = {at: (answer, right) for at, answer, right, _ in answers}
    told = [(at, *value) for at, value in sorted(last_of.items()) if shown is None or step is None or at <= shown]
    return Question(
        run_id=run_id,
        run_name=name,
        index=index,
        count=len(keys),
        example=example,
        text=text or "",
        length=length or 0,
        gold=gold,
        vote=vote,
        votes=votes,
        samples=samples,
        tie=bool(tie),
        vote_right=_maybe(vote_right),
        followed=bool(followed),
        step=shown,
        iteration=next(iter(visit.values()))[0] if visit else None,
        iterations=iterations,
        visits=tuple(steps),
        delta=delta,
        margin=hinge == "margin",
        greatest=(scheme or "minmax") == "minmax" and (select or "max") == "max",
        counted=counted or "all",
        positives=_candidates(rows, visit, "positive", notes),
        negatives=_candidates(rows, visit, "negative", notes),
        aside=_candidates(rows, {}, "dropped", notes) + _candidates(rows, {}, "unparsed", notes),
        earlier=sum(row[1] == "negative" and row[2] == "self" and row[0] not in visit for row in rows),
        dropped=tuple(Counter(row[15] or "" for row in rows if row[1] == "dropped").items()),
        unparsed=sum(row[1] == "unparsed" for row in rows),
        history=tuple(_moment(at, by_step[at], chosen) for at in steps),
        answers=tuple((at, _maybe(right)) for at, (_, right) in sorted(last_of.items())),
        student_answer=told[-1][1] if told else None,
        student_right=_maybe(told[-1][2]) if told else None,
        student_step=told[-1][0] if told else None,
        flagged=notes.get(QUESTION, UNMARKED).flagged,
        note=notes.get(QUESTION, UNMARKED).note,
    )


def next_followed(con: sqlite3.Connection, run_id: int, keys: Sequence[str], after: int) -> int | None:
    """The next place after `after` (round the end) of a question whose visits are all kept."""
    rows = con.execute("SELECT example FROM votes WHERE run_id = ? AND followed", (run_id,)).fetchall()
    return _next(keys, {row[0] for row in rows}, after)


def _next(keys: Sequence[str], found: set[str], after: int) -> int | None:
    places = [*range(after + 1, len(keys)), *range(min(after + 1, len(keys)))]
    return next((i for i in places if keys[i] in found), None)


def _maybe(flag: int | None) -> bool | None:
    return None if flag is None else bool(flag)


def _candidates(
    rows: Sequence[tuple[Any, ...]], visit: Mapping[int, tuple[Any, ...]], polarity: str, notes: Mapping[int, Mark]
) -> tuple[Candidate, ...]:
    """The rationales of one polarity: the chosen first, those of one text told once; of selves only those visited."""
    groups: dict[tuple[Any, ...], list[tuple[Any, ...]]] = {}
    for row in rows:
        if row[1] == polarity and (row[2] != "self" or row[0] in visit or polarity not in ("positive", "negative")):
            groups.setdefault((row[7], row[2], row[3], row[15]), []).append(row)
    found = []
    for same in groups.values():
        # the visited one, and of those the chosen one, speaks for its copies
        row = max(same, key=lambda r: (r[0] in visit, visit[r[0]][4] if r[0] in visit else 0))
        number, _, source, iteration, answer, text, length = row[:7]
        marked = next((r[0] for r in same if r[0] in notes), None)
        mark = UNMARKED if marked is None else notes[marked]
        candidate = Candidate(
            number,
            polarity,
            source,
            iteration,
            answer,
            text,
            length,
            len(same),
            teacher=row[16],
            slot=row[17],
            reason=row[15],
            flagged=mark.flagged,
            note=mark.note,
            marked=marked,
        )
        if number in visit:
            _, quality, cross_entropy, weight, chosen, active = visit[number]
            candidate = replace(
                candidate,
                quality=quality,
                cross_entropy=cross_entropy,
                weight=weight,
                chosen=bool(chosen),
                active=bool(active),
            )
        found.append(candidate)
    return tuple(sorted(found, key=lambda c: (not c.chosen, c.number)))


def _moment(step: int, visit: Mapping[int, tuple[Any, ...]], known: Mapping[int, tuple[str, Chosen]]) -> Moment:
    """What the visit at `step` chose of either polarity."""
    sides: dict[str, list[tuple[Chosen, float, int]]] = {"positive": [], "negative": []}
    for number, (_, _, cross_entropy, _, chosen, active) in sorted(visit.items()):
        polarity, one = known.get(number, ("", None))
        if chosen and one is not None and polarity in sides:
            sides[polarity].append((one, cross_entropy, active))

    def mean(side: Sequence[tuple[Chosen, float, int]]) -> float | None:
        return sum(ce for _, ce, _ in side) / len(side) if side else None

    up, down = sides["positive"], sides["negative"]
    return Moment(
        step, tuple(c for c, *_ in up), mean(up), tuple(c for c, *_ in down), mean(down), any(a for *_, a in down)
    )
