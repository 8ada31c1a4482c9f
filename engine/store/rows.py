"""The rows that a run's records become, each kind beside its statement; a text has a row of its own, found by hash."""

import math

from engine.errors import QcrdError
from engine.evaluation.sampled import Sampled
from engine.records import Example, Prediction, Rationale, Visit, Voted
from engine.store.texts import storable, text_hash

TEXT = "INSERT OR IGNORE INTO texts (hash, text) VALUES (?, ?)"
EXAMPLE = (
    "INSERT OR IGNORE INTO examples (dataset_id, key, split, question, answer)"
    " VALUES ((SELECT id FROM datasets WHERE hash = ?), ?, ?, ?, ?)"
)
VOTE = (
    "INSERT OR REPLACE INTO votes"
    " (run_id, example, position, answer, votes, parsed, samples, tie, correct, followed)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
RATIONALE = (
    "INSERT OR REPLACE INTO rationales"
    " (run_id, number, example, polarity, source, iteration, slot, answer, rule, reason, text_id)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, (SELECT id FROM texts WHERE hash = ?))"
)
_VISIT = (
    " (run_id, example, step, number, iteration, quality, cross_entropy, weight, chosen, active)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
VISIT, LAST_VISIT = (f"INSERT OR REPLACE INTO {table}{_VISIT}" for table in ("visits", "last_visits"))
POINT = "INSERT OR REPLACE INTO points (series_id, step, value, special, at) VALUES (?, ?, ?, ?, ?)"
PREDICTION = (
    "INSERT OR REPLACE INTO predictions (run_id, split, example, head, step, answer, correct, text_id)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, (SELECT id FROM texts WHERE hash = ?))"
)
SAMPLED = (
    "INSERT OR REPLACE INTO sampled_answers (run_id, split, example, head, step, samples, correct, majority)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)
SCORE = (
    "INSERT OR REPLACE INTO scores (run_id, split, who, head, step, correct, total, accuracy, low, high)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
Row = tuple[object, ...]


def text(text: str) -> Row:
    """Of TEXT."""
    return text_hash(text), storable(text)


def example(dataset: str, split: str, x: Example) -> Row:
    """Of EXAMPLE, in the dataset of that hash."""
    return dataset, storable(x.id), split, storable(x.question), None if x.answer is None else storable(x.answer)


def vote(run: int, position: int, v: Voted, correct: bool | None, followed: bool) -> Row:
    """Of VOTE: that of the question at this place among the training's."""
    samples = len(v.positives) + len(v.negatives) + len(v.others)
    answer = v.answer and storable(v.answer)
    return run, storable(v.example.id), position, answer, v.votes, v.parsed, samples, v.tie, correct, followed


def rationale(run: int, r: Rationale) -> Row:
    """Of RATIONALE."""
    made = (r.polarity, r.source, r.iteration, r.slot, r.answer and storable(r.answer), r.rule, r.reason or None)
    return run, r.number, storable(r.example_id), *made, text_hash(r.text)


def visit(run: int, step: int, iteration: int, v: Visit) -> Row:
    """Of VISIT and LAST_VISIT. Raises QcrdError where its cross-entropy or weight is no number."""
    if math.isnan(v.cross_entropy) or math.isnan(v.weight):  # SQLite has no NaN, and these columns must not be empty
        raise QcrdError("a visit's cross-entropy or weight is not a number: training has diverged, lower training.lr")
    found = (v.quality, float(v.cross_entropy), float(v.weight), v.chosen, v.active)
    return run, storable(v.example), step, v.number, iteration, *found


def point(series: int, step: int, value: float, at: float) -> Row:
    """Of POINT: what is no finite number stands in a column of its own, as SQLite takes NaN for null."""
    if math.isfinite(value):
        return series, step, value, None, at
    return series, step, None, "nan" if math.isnan(value) else "inf" if value > 0 else "-inf", at


def prediction(run: int, split: str, head: str, step: int, p: Prediction) -> Row:
    """Of PREDICTION."""
    return run, split, storable(p.example), head, step, p.answer and storable(p.answer), p.correct, text_hash(p.text)


def sampled(run: int, split: str, example: str, head: str, step: int, s: Sampled) -> Row:
    """Of SAMPLED."""
    return run, split, storable(example), head, step, s.samples, s.right, s.majority
