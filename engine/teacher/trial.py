"""A prompt tried on a few training questions before a run: bought through the ledger, so that the run reuses them."""

import json
import signal
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from engine.answers import kinds
from engine.data.hashing import dataset_hash
from engine.data.load import load
from engine.errors import Interrupted, QcrdError, UsageError
from engine.records import Dataset, Example
from engine.spec.load import load_spec
from engine.spec.run import RunSpec
from engine.store.connect import open_reader
from engine.store.ledger.ledger import Ledger
from engine.store.ledger.spend import spend
from engine.store.ledger.teacher_texts import texts_of
from engine.teacher.aside import aside, at_once
from engine.teacher.buying import Orders
from engine.teacher.messages import Prompt, load_prompt, messages_for
from engine.teacher.sampling import sample


@dataclass(frozen=True, slots=True)
class Tried:
    """One question: what was asked, what came back, what was read."""

    example: str
    question: str
    gold: str | None
    messages: list[dict[str, str]]
    """As sent."""
    text: str | None
    """As it came; None where nothing did."""
    finish: str | None
    answer: str | None
    rule: str
    right: bool | None
    """None where there is no gold answer or nothing was read."""
    input_tokens: int | None
    output_tokens: int | None


@dataclass(frozen=True, slots=True)
class Trial:
    """A prompt on a few questions."""

    run_id: int
    """The trial's own in the database, which has its requests, responses and cost."""
    model: str
    prompt_hash: str
    style: str
    tried_rules: tuple[str, ...]
    tried: tuple[Tried, ...]
    calls: int
    """Over the wire, failed ones included."""
    price_usd: float | None
    """None: unknown."""
    reused: int
    """Answers that were paid for already."""


def try_prompt(spec: RunSpec, database: Path, examples: int, orders: Orders, say: Callable[[str, str], None]) -> Trial:
    """One sample of each of the first training questions, as a run of its own in this process.

    Raises UsageError where there is no teacher, and as `sampling.sample` does.
    """
    if not spec.needs_teacher:
        raise UsageError(f"the method {spec.method.name} asks no teacher: there is no prompt to try")
    prompt = load_prompt(spec.teacher, spec.data.answer)
    asked = load(spec).splits["train"][:examples]
    now = at_once(spec)
    one = now.model_copy(update={"teacher": now.teacher.model_copy(update={"samples": 1})})
    with aside(one, database, "prompt trial") as recorder:
        splits = {"train": asked}
        recorder.dataset(Dataset(spec.data.dataset, splits, dataset_hash(splits)))
        recorder.stage("sample", state="running", total=len(asked))
        sample(one, asked, Ledger(recorder.writer, recorder.run_id), orders, say=say)
        recorder.stage("sample", state="done", done=len(asked))
    with closing(open_reader(database)) as conn:
        rows = {row["example"]: row for row in texts_of(conn, recorder.run_id)}
        paid = spend(conn, recorder.run_id)
    return Trial(
        run_id=recorder.run_id,
        model=spec.teacher.model,
        prompt_hash=prompt.hash,
        style=prompt.style,
        tried_rules=kinds.rules(spec.data.answer, spec.data.answer_pattern),
        tried=tuple(_tried(spec, prompt, example, rows.get(example.id)) for example in asked),
        calls=sum(row["calls"] for row in paid),
        price_usd=None if any(row["unknown_prices"] for row in paid) else sum(row["price_usd"] or 0 for row in paid),
        reused=sum(row["reused_samples"] for row in paid),
    )


def _tried(spec: RunSpec, prompt: Prompt, example: Example, row: Any) -> Tried:
    """`row`: of `texts_of`, None where no answer came."""
    kind = spec.data.answer
    parsed = None if row is None else kinds.parse(kind, row["text"], example.choices, spec.data.answer_pattern)
    answer = None if parsed is None else parsed.answer
    return Tried(
        example=example.id,
        question=example.question,
        gold=example.answer,
        messages=messages_for(prompt, example),
        text=None if row is None else row["text"],
        finish=None if row is None else row["finish"],
        answer=answer,
        rule="miss" if parsed is None else parsed.rule,
        right=None if example.answer is None or answer is None else kinds.equal(kind, example.answer, answer),
        input_tokens=None if row is None else row["input_tokens"],
        output_tokens=None if row is None else row["output_tokens"],
    )


class _Signalled:
    """Raises Interrupted at the next look once SIGTERM or SIGINT has come."""

    def __init__(self) -> None:
        self.asked = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._note)

    def _note(self, _number: int, _frame: object) -> None:
        self.asked = True

    def poll(self) -> None:
        """As `buying.Orders`."""
        if self.asked:
            raise Interrupted("stopped; what was bought is stored")


def main() -> int:
    """`python -m engine.teacher.trial DATABASE SPEC.toml QUESTIONS`: the trial as one line of JSON, for the console."""
    database, file, questions = sys.argv[1:]
    try:
        found = asdict(
            try_prompt(load_spec(file), Path(database), int(questions), _Signalled(), lambda level, line: None)
        )
    except (QcrdError, Interrupted) as error:
        found = {"error": str(error)}
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
