"""A teacher that answers from a file of recorded outputs: JSONL or Parquet with id, question and samples."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.errors import UsageError
from engine.exchange.lines import read_lines
from engine.exchange.recorded import Unreadable, read
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
    for line in read_lines(path, "teacher.model"):
        if line.values is None:
            raise UsageError(f"{path}:{line.number}: {line.wrong}")
        try:
            found = read(line.values, "qcrd")
        except Unreadable as reason:
            raise UsageError(f"{path}:{line.number}: {reason}") from None
        question = plain(found.question or "")
        samples = tuple(output.completion.text for output in found.outputs)
        if found.id is not None:
            by_id.setdefault(found.id, (question, samples))
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
        question = plain(example.question)
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


def plain(question: str) -> str:
    """White space aside, a question is the same question."""
    return " ".join(question.split())
