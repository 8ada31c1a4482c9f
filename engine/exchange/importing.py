"""Recorded outputs of a file become the samples that a spec's teacher would be asked for."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from engine.errors import UsageError
from engine.exchange.lines import Line, read_lines
from engine.exchange.recorded import LAYOUTS, Layout, Recorded, Unreadable, asked_of, layout_of, read
from engine.records import Example
from engine.spec.run import RunSpec
from engine.store.ledger.imports import MOST_SLOTS, Found, Origin, Place, Slot, store
from engine.teacher.messages import ask
from engine.teacher.replay import plain
from engine.teacher.requests import requests_for, slot_key

ROWS = 200
"""Read and stored together."""
NAMED = 5
"""Of what could not be used, so many are named."""


@dataclass(slots=True)
class Imported:
    """What became of a file."""

    file: str
    layout: Layout
    rows: int = 0
    """That could be read."""
    questions: set[str] = field(default_factory=set)
    """Ids of the spec's examples that it has outputs for."""
    asked: int = 0
    """Examples that the spec's teacher is asked about."""
    new: int = 0
    known: int = 0
    """Outputs that the database has already."""
    spare: int = 0
    """Of the new ones, those in slots beyond teacher.samples: used when that is raised."""
    empty: int = 0
    """Outputs without a text."""
    left: int = 0
    """Outputs for which their question has no slot."""
    unmatched: int = 0
    """Rows whose question is none of the spec's."""
    unmatched_named: list[str] = field(default_factory=list)
    broken: int = 0
    broken_named: list[str] = field(default_factory=list)
    models: Counter[str] = field(default_factory=Counter)
    """By the name in the file: outputs that were imported or known."""


@dataclass(frozen=True, slots=True)
class _Questions:
    """How a row finds its example."""

    by_id: dict[str, Example]
    by_text: dict[str, Example]
    by_request: Mapping[str, str]
    """Of a batch's request file: custom_id -> question."""

    def of(self, row: Recorded) -> Example | None:
        """By id where the question is the same or not told, else by question."""
        question = row.question
        if question is None:
            question = self.by_request.get(row.id or "")
        named = self.by_id.get(row.id) if row.id is not None else None
        if question is None:
            return named
        text = plain(question)
        if named is not None and text in (plain(named.question), plain(ask(named))):
            return named
        return self.by_text.get(text)


def import_samples(
    path: Path,
    database: Path,
    spec: RunSpec,
    examples: Sequence[Example],
    layout: Layout | None = None,
    requests: Path | None = None,
) -> Imported:
    """Stores the file's outputs as samples of the spec's teacher; `examples`: those it would be asked about.

    `layout`: None: told by the first row. `requests`: the request file of an OpenAI batch. Rows that cannot be read or
    have another question are counted. What is in the database already is not stored again. Raises UsageError where
    nothing of the file is of use.
    """
    teacher = spec.teacher
    if teacher.model.startswith("replay:"):
        raise UsageError(
            f"teacher.model = {teacher.model!r} reads a file itself: name in the spec the model that wrote the outputs"
        )
    layout = layout or _layout(path)
    questions = _questions(examples, requests)
    origin = Origin(str(path), _hash(path), layout)
    result = Imported(str(path), layout, asked=len(examples))
    told: Counter[tuple[bytes, bytes]] = Counter()
    lines = read_lines(path, "FILE")
    while batch := list(islice(lines, ROWS)):
        places = _places(batch, result, questions, spec)
        stored = store(database, origin, places, told)
        result.new += stored.new
        result.known += stored.known
        result.left += stored.left
        result.spare += sum(count for slot, count in stored.slots.items() if slot >= teacher.samples)
    if not result.questions:
        raise UsageError(_useless(result))
    return result


def _layout(path: Path) -> Layout:
    """By the first row that is one."""
    columns: list[str] = []
    for line in read_lines(path, "FILE"):
        if line.values is None:
            continue
        found = layout_of(line.values)
        if found is not None:
            return found
        columns = columns or [str(name) for name in line.values]
        break
    seen = f"its columns are {', '.join(columns)[:200]}" if columns else "it has no row that can be read"
    raise UsageError(f"{path}: cannot tell its layout, {seen}; --format names it: {' '.join(LAYOUTS)}")


def _questions(examples: Sequence[Example], requests: Path | None) -> _Questions:
    by_text: dict[str, Example] = {}
    for example in examples:
        by_text.setdefault(plain(example.question), example)
        by_text.setdefault(plain(ask(example)), example)
    by_request: dict[str, str] = {}
    for line in read_lines(requests, "--requests") if requests else ():
        body = (line.values or {}).get("body")
        name = (line.values or {}).get("custom_id")
        if not isinstance(name, str) or not isinstance(body, dict):
            raise UsageError(f"--requests: {requests}:{line.number}: {line.wrong or 'no custom_id with a body'}")
        asked = asked_of(body.get("messages")) or body.get("prompt")
        if isinstance(asked, str) and plain(asked) in by_text:
            by_request[name] = asked
    return _Questions({example.id: example for example in examples}, by_text, by_request)


def _places(lines: Sequence[Line], result: Imported, questions: _Questions, spec: RunSpec) -> list[Place]:
    """Of the rows that are of use; what is not is counted in the result."""
    places: dict[bytes, Place] = {}
    for line in lines:
        try:
            if line.values is None:
                raise Unreadable(line.wrong)
            row = read(line.values, result.layout)
        except Unreadable as reason:
            result.broken += 1
            _name(result.broken_named, f"{result.file}:{line.number}: {reason}")
            continue
        result.rows += 1
        example = questions.of(row)
        if example is None:
            result.unmatched += 1
            _name(result.unmatched_named, f"{result.file}:{line.number}: {row.id or plain(row.question or '')[:60]}")
            continue
        for output in row.outputs:
            if not (output.completion.text.strip() or output.completion.reasoning):
                result.empty += 1
                continue
            result.questions.add(example.id)
            if output.model is not None:
                result.models[output.model] += 1
            place = _place(spec, example, _named(spec, output.model))
            places.setdefault(place.asked, place).outputs.append(Found(output.completion, line.number, output.model))
    return list(places.values())


def _named(spec: RunSpec, model: str | None) -> str | None:
    """Of several teachers the one that the file names, by its whole name or without provider and date; else None."""
    if model is None or not spec.teacher.others:
        return None
    said = model.rpartition("/")[2]
    teachers = [one.model for one in spec.teacher.everyone]
    near = [name for name in teachers if name == model or said.startswith(name.rpartition("/")[2])]
    return max(near, key=lambda name: (name == model, len(name)), default=None)


def _place(spec: RunSpec, example: Example, model: str | None) -> Place:
    """All slots of the example, or those of one of its teachers."""

    def slots(below: int) -> list[Slot]:
        teacher = spec.teacher.model_copy(update={"samples": below})
        found = [
            Slot(number, slot_key(request.key, number), request.teacher.model)
            for request in requests_for(teacher, spec.data.answer, [example])
            if model in (None, request.teacher.model)
            for number in request.slots
        ]
        return sorted(found, key=lambda slot: slot.number)

    first = slots(8) or slots(MOST_SLOTS)
    return Place(first[0].key, slots) if first else _place(spec, example, None)


def _name(named: list[str], what: str) -> None:
    if len(named) < NAMED:
        named.append(what)


def _useless(result: Imported) -> str:
    if result.rows and result.unmatched:
        return (
            f"{result.file}: none of its {result.rows} rows is of one of the {result.asked} questions that the teacher "
            "is asked: neither ids nor questions occur among them; is it the file for this dataset?"
            + (" A batch's result needs its request file: --requests" if result.layout == "openai-batch" else "")
        )
    first = f"; the first: {result.broken_named[0]}" if result.broken_named else ""
    return f"{result.file}: no output in the layout {result.layout} in it ({result.broken} broken lines{first})"


def _hash(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UsageError(f"FILE: cannot read {path}: {error.strerror or error}") from None
