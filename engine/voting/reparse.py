"""Stored samples read again: what no rule found an answer in, and what other rules would make of them. Asks nobody."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.answers import kinds
from engine.data.load import load
from engine.data.splits import asked
from engine.errors import UsageError
from engine.records import Example, Sample
from engine.spec.load import read_spec
from engine.spec.run import RunSpec
from engine.spec.selection import StepJudgeConfig
from engine.store.ledger.teacher_texts import texts_of
from engine.store.queries import provenance
from engine.store.runs.run import stored_spec
from engine.voting.selection import select
from engine.voting.vote import Vote, vote

CHANGEABLE = ("data.answer", "data.answer_pattern", "data.labels", "vote.", "selection.")
"""What can be tried on samples that are there already."""


@dataclass(frozen=True, slots=True)
class Miss:
    """A sample without an answer."""

    example: str
    slot: int
    finish: str | None
    """Why the teacher ended, where it said; "length": it was cut off."""
    text: str
    """As paid for."""


@dataclass(frozen=True, slots=True)
class Misses:
    """How a run's samples were read."""

    rules: dict[str, int]
    """Samples by the rule that found their answer, "miss" last."""
    tried: tuple[str, ...]
    """The rules, in order."""
    missed: tuple[Miss, ...]


@dataclass(frozen=True, slots=True)
class Changed:
    """A question whose vote would be another."""

    example: str
    gold: str | None
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class Reparsed:
    """The same samples under two specs."""

    questions: int
    before: dict[str, float]
    """The facts of the vote, as a run's report has them."""
    after: dict[str, float]
    changed: tuple[Changed, ...]


def misses(conn: sqlite3.Connection, run_id: int) -> Misses:
    """The run's samples under its own rules. Raises UsageError where its data is not as it was."""
    spec = stored_spec(conn, run_id)
    questions = {x.id: x for x in _questions(conn, run_id, spec)}
    kind, pattern = spec.data.answer, spec.data.answer_pattern
    tried = kinds.rules(kind, pattern)
    rules = dict.fromkeys((*tried, "miss"), 0)
    missed: list[Miss] = []
    for row in texts_of(conn, run_id):
        if row["example"] not in questions:
            continue
        parsed = kinds.parse(kind, row["text"], questions[row["example"]].choices, pattern)
        rules[parsed.rule] += 1
        if parsed.answer is None:
            missed.append(Miss(row["example"], row["slot"], row["finish"], row["text"]))
    return Misses(rules, tried, tuple(missed))


def reparse(conn: sqlite3.Connection, run_id: int, overrides: Sequence[str]) -> Reparsed:
    """What `overrides` ("data.answer_pattern=…", vote.…, selection.…) would make of the run's samples.

    Nothing is stored. A judge of steps is left out on both sides: its verdicts cost money. Raises UsageError for other
    keys, and where the run's data is not as it was.
    """
    for text in overrides:
        if not text.partition("=")[0].strip().startswith(CHANGEABLE):
            raise UsageError(f"--set {text}: stored samples can be tried with other {', '.join(CHANGEABLE)} alone")
    spec = stored_spec(conn, run_id)
    other = read_spec(spec.model_dump(), overrides, where=f"the spec of run {run_id}", folder=Path.cwd())
    samples: dict[str, list[Sample]] = {}
    for row in texts_of(conn, run_id):
        thought = row["reasoning"] if spec.teacher.reasoning == "use" else None
        samples.setdefault(row["example"], []).append(Sample(row["example"], row["slot"], row["text"], thought))
    mine = [x for x in _questions(conn, run_id, spec) if x.id in samples]
    # another kind of answer may come with gold answers of its own
    theirs = (
        mine if other.data.answer == spec.data.answer else [x for x in asked(other, load(other)) if x.id in samples]
    )
    before, after = _vote(spec, mine, samples), _vote(other, theirs, samples)
    answers = {v.example.id: v.answer for v in before.voted}
    changed = [
        Changed(v.example.id, v.example.answer, answers[v.example.id], v.answer)
        for v in after.voted
        if not _same(other, answers[v.example.id], v.answer)
    ]
    return Reparsed(len(mine), before.facts, after.facts, tuple(changed))


def _questions(conn: sqlite3.Connection, run_id: int, spec: RunSpec) -> list[Example]:
    dataset = load(spec)
    first = {row["key"]: row["value"] for row in provenance(conn, run_id)}.get("data_hash", dataset.hash)
    if first != dataset.hash:
        raise UsageError(
            f"data.dataset = {spec.data.dataset!r} has changed since run {run_id} read it: put it back as it was"
        )
    return list(asked(spec, dataset))


def _vote(spec: RunSpec, examples: Sequence[Example], samples: dict[str, list[Sample]]) -> Vote:
    found = vote(
        examples,
        samples,
        kind=spec.data.answer,
        tie=spec.vote.tie,
        labels=spec.data.labels,
        drop_right_negatives=spec.vote.drop_right_negatives,
        pattern=spec.data.answer_pattern,
    )
    unjudged = spec.selection.model_copy(update={"judge": StepJudgeConfig()})
    return select(found, unjudged, kind=spec.data.answer, labels=spec.data.labels)


def _same(spec: RunSpec, before: str | None, after: str | None) -> bool:
    if before is None or after is None:
        return before is after
    return before == after or kinds.equal(spec.data.answer, before, after)
