"""Rows become examples: columns mapped, every value checked, a bad row named by its place."""

import difflib
import json
import math
from collections.abc import Mapping
from typing import Any

from engine.answers import choice
from engine.data.presets import with_choices
from engine.data.rows import Row
from engine.errors import SpecError, UsageError
from engine.records import Example
from engine.spec.sections import AnswerKind

Columns = Mapping[str, str]


def to_examples(
    name: str, splits: Mapping[str, list[Row]], columns: Columns, kind: AnswerKind, show_choices: bool = True
) -> dict[str, list[Example]]:
    """Examples by split; `show_choices` adds the options to a question that does not have them all.

    UsageError: a missing column, an empty question, a value of no use, an id used twice.
    """
    mapping = {c: columns.get(c, c) for c in ("id", "question", "answer", "choices")}
    there = {c: None for rows in splits.values() for row in rows for c in row.values}  # a set that keeps the order
    for what, column in mapping.items():
        needed = what in columns or what in ("question", "answer")
        if needed and column not in there and not (what == "answer" and column == ""):
            raise SpecError(_missing(name, what, column, list(there)))
    places: dict[str, str] = {}
    found: dict[str, list[Example]] = {}
    for split, rows in splits.items():
        found[split] = [_example(row, split, mapping, kind, show_choices) for row in rows]
        for row, example in zip(rows, found[split], strict=True):
            if example.id in places:
                raise UsageError(f"{row.place}: the id {example.id!r} is used already, at {places[example.id]}")
            places[example.id] = row.place
    return found


def _example(row: Row, split: str, mapping: dict[str, str], kind: AnswerKind, show_choices: bool) -> Example:
    if mapping["question"] not in row.values:
        raise SpecError(_missing(row.place, "question", mapping["question"], list(row.values)))
    question = _scalar(row, "question", row.values[mapping["question"]])
    if question is None:
        raise UsageError(f"{row.place}: the question is empty; fill it in or take the row out")
    answer = _scalar(row, "answer", row.values.get(mapping["answer"]))
    choices = _choices(row, row.values.get(mapping["choices"])) if kind == "choice" else ()
    if choices:
        if answer is not None:
            option = choice.canonical(answer, choices)
            if option is None:
                raise UsageError(f"{row.place}: the answer {answer[:80]!r} is none of the choices {', '.join(choices)}")
            answer = option
        if show_choices and not all(c in question for c in choices):
            question = with_choices(question, choices)
    id = _scalar(row, "id", row.values.get(mapping["id"]))
    return Example(id or f"{split}-{row.line}", question, answer, choices)


def _scalar(row: Row, what: str, value: Any) -> str | None:
    """A text or number as text; None for null, NaN and white space."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise UsageError(f"{row.place}: the {what} must be text or a number, not {_kind_of(value)}")
    try:
        text = str(value)
        text.encode()
    except ValueError as error:  # half a surrogate pair, or an integer of thousands of digits
        raise UsageError(f"{row.place}: the {what} is not valid text ({str(error)[:100]})") from error
    return text.strip() or None


def _choices(row: Row, value: Any) -> tuple[str, ...]:
    """Options from a list, a JSON list in text, text with "|" between them, or {"text": [...]}."""
    if isinstance(value, str):
        try:
            parsed = json.loads(value)
        except ValueError:
            parsed = None
        value = parsed if isinstance(parsed, list | dict) else [c for c in value.split("|") if c.strip()]
    if isinstance(value, dict):
        value = value.get("text")
    if value is None or value == []:
        return ()
    if not isinstance(value, list):
        raise UsageError(f"{row.place}: the choices must be a list of texts, not {_kind_of(value)}")
    options = tuple(_scalar(row, "choice", v) or "" for v in value)
    if "" in options or len(set(options)) < len(options) or not 2 <= len(options) <= 26:
        raise UsageError(f"{row.place}: choices must be 2 to 26 different, non-empty texts")
    return options


def _kind_of(value: Any) -> str:
    return {bool: "true or false", dict: "an object", list: "a list", bytes: "bytes"}.get(
        type(value), type(value).__name__
    )


def _missing(place: str, what: str, column: str, there: list[str]) -> str:
    near = difflib.get_close_matches(column, there, n=1, cutoff=0.5)
    guess = near[0] if near else "..."
    hint = f"did you mean {guess!r}? " if near else ""
    none = ' (or columns = {answer = ""} where there are no gold answers)' if what == "answer" else ""
    columns = ", ".join(there[:30]) or "none"
    return (
        f"{place}: no column {column!r} for the {what}; its columns are: {columns}. {hint}"
        f'Set data.columns = {{{what} = "{guess}"}}{none}'
    )
