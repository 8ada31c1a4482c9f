"""A prompt tried on a few training questions before a run: bought through the ledger, so that the run reuses them."""

import signal
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.answers import kinds
from engine.data.hashing import dataset_hash
from engine.data.load import load
from engine.errors import Interrupted, QcrdError, UsageError
from engine.orders import Orders
from engine.records import Dataset, Example
from engine.spec.run import RunSpec
from engine.store.connect import open_reader
from engine.store.ledger import Ledger
from engine.store.recorder import Recorder
from engine.store.runs import create_run
from engine.store.teacher_texts import texts_of
from engine.teacher.messages import Prompt, load_prompt, messages_for
from engine.teacher.sampling import sample
from engine.worker import work


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


def try_prompt(spec: RunSpec, database: Path, examples: int) -> Trial:
    """One sample of each of the first training questions, as a run of its own, worked on here and now.

    Raises UsageError where there is no teacher, QcrdError and Interrupted as the run ends.
    """
    if not spec.needs_teacher:
        raise UsageError(f"the method {spec.method.name} asks no teacher: there is no prompt to try")
    prompt = load_prompt(spec.teacher, spec.data.answer)
    asked = load(spec).splits["train"][:examples]
    given = {"name": f"{spec.name[:80]} (prompt trial)", "teacher": spec.teacher.model_copy(update={"samples": 1})}
    run_id = create_run(database, spec.model_copy(update=given))

    def stages(spec: RunSpec, database: Path, run_id: int, recorder: Recorder, orders: Orders) -> None:
        with _ctrl_c_stops(orders):
            _ask(spec, asked, recorder, orders)

    code = work(database, run_id, stages)
    if code == Interrupted.exit_code:
        raise Interrupted("the trial was stopped; what is paid for is stored")
    with closing(open_reader(database)) as conn:
        if code:
            error = conn.execute("SELECT error FROM runs WHERE id = ?", (run_id,)).fetchone()["error"]
            raise QcrdError(str(error))
        rows = {row["example"]: row for row in texts_of(conn, run_id)}
        calls, price, unknown, reused = conn.execute(
            "SELECT coalesce(sum(calls), 0), coalesce(sum(price_usd), 0), coalesce(sum(unknown_prices), 0),"
            " coalesce(sum(reused_samples), 0) FROM teacher_spend WHERE run_id = ?",
            (run_id,),
        ).fetchone()
    return Trial(
        run_id=run_id,
        model=spec.teacher.model,
        prompt_hash=prompt.hash,
        style=prompt.style,
        tried_rules=kinds.rules(spec.data.answer, spec.data.answer_pattern),
        tried=tuple(_tried(spec, prompt, example, rows.get(example.id)) for example in asked),
        calls=calls,
        price_usd=None if unknown else price,
        reused=reused,
    )


def _ask(spec: RunSpec, examples: tuple[Example, ...], recorder: Recorder, orders: Orders) -> None:
    splits = {"train": examples}
    recorder.dataset(Dataset(spec.data.dataset, splits, dataset_hash(splits)))
    recorder.declare_stages([("sample", "questions")])
    recorder.stage("sample", state="running", total=len(examples))
    sample(
        spec,
        examples,
        Ledger(recorder.writer, recorder.run_id),
        _Stop(orders),
        on_progress=lambda done, total: recorder.stage("sample", done=done, total=total),
        say=lambda level, line: recorder.log(level, line, "sample"),
    )
    recorder.stage("sample", state="done", done=len(examples))


@dataclass(frozen=True, slots=True)
class _Stop:
    orders: Orders

    def poll(self) -> None:
        """Raises Interrupted once the trial is to stop."""
        self.orders.raise_if_stopped()


@contextmanager
def _ctrl_c_stops(orders: Orders) -> Iterator[None]:
    """The trial runs in the user's own process: Ctrl-C lets what is under way land, as SIGTERM does in a worker."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, lambda _number, _frame: orders.request_stop())
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


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
