"""A teacher that answers from a file of recorded outputs: JSONL (plain or .gz) with id, question and samples."""

import gzip
import json
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.errors import UsageError
from engine.records import Example, Sample


@dataclass(frozen=True, slots=True)
class Recorded:
    """The outputs of a file, by example id and by question."""

    path: Path
    by_id: dict[str, tuple[str, tuple[str, ...]]]
    """id -> (question, samples); all questions with plain single spaces."""
    by_question: dict[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a file had for a run's examples."""

    samples: dict[str, list[Sample]]
    """For every example, in slot order; an empty list where the file has nothing."""
    missing: int
    """Examples that the file has nothing for."""
    short: int
    """Examples with fewer recorded samples than asked for (but at least one)."""


def read_recorded(model: str) -> Recorded:
    """The file of a "replay:FILE" teacher. Raises UsageError that names the file and the line."""
    path = Path(model.removeprefix("replay:")).expanduser()
    by_id: dict[str, tuple[str, tuple[str, ...]]] = {}
    by_question: dict[str, tuple[str, ...]] = {}
    for number, line in _lines(path):
        if not line.strip():
            continue
        name, question, samples = _row(line, f"{path}:{number}")
        question = _plain(question)
        if name is not None:
            by_id.setdefault(name, (question, samples))
        by_question.setdefault(question, samples)
    if not by_question:
        raise UsageError(f"teacher.model: {path} has no rows")
    return Recorded(path, by_id, by_question)


def replay(recorded: Recorded, examples: Sequence[Example], samples: int) -> Replayed:
    """At most `samples` recorded outputs for each example: by id where the question is the same, else by question.

    Raises UsageError where the file has nothing for any of them.
    """
    found: dict[str, list[Sample]] = {}
    missing = short = 0
    for example in examples:
        question = _plain(example.question)
        recorded_question, texts = recorded.by_id.get(example.id, ("", ()))
        if recorded_question != question:  # ids such as "0001" occur in many files
            texts = recorded.by_question.get(question, ())
        found[example.id] = [Sample(example.id, slot, text) for slot, text in enumerate(texts[:samples])]
        missing += not texts
        short += 0 < len(texts) < samples
    if missing == len(examples):
        raise UsageError(
            f"teacher.model: {recorded.path} has no output for any of the {len(examples)} training questions: neither "
            "their ids nor their questions occur in it; is it the file for this dataset?"
        )
    return Replayed(found, missing, short)


def _plain(question: str) -> str:
    """White space aside, a question is the same question."""
    return " ".join(question.split())


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Numbered lines; opening and decoding errors are the user's to know."""
    number = 0
    try:
        with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                yield number, line
    except UnicodeDecodeError:
        raise UsageError(f"{path}:{number + 1}: not UTF-8 text") from None
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise UsageError(f"{path}:{number + 1}: not a whole gzip file: {error}") from None
    except OSError as error:
        raise UsageError(f"teacher.model: cannot read {path}: {error.strerror or error}") from None


def _row(line: str, where: str) -> tuple[str | None, str, tuple[str, ...]]:
    try:
        row = json.loads(line)
    except (json.JSONDecodeError, RecursionError):
        raise UsageError(f"{where}: not a JSON object") from None
    if not isinstance(row, dict):
        raise UsageError(f"{where}: not a JSON object")
    question, samples, name = row.get("question"), row.get("samples"), row.get("id")
    if not isinstance(question, str):
        raise UsageError(f'{where}: "question" is missing or no text')
    if not isinstance(samples, list) or not all(isinstance(s, str) for s in samples):
        raise UsageError(f'{where}: "samples" is missing or no list of texts')
    return (None if name is None else str(name)), question, tuple(samples)
