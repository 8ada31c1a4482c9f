"""`python -m engine.runs.evaluation DATABASE WANTED`: answers drawn of a run's student, and judged.

WANTED is an `evaluation_client.Wanted` as JSON; what it says on standard output is a line of JSON each. Every batch is
in the database before the next is begun; what is there is not made again.
"""

import json
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict
from functools import partial
from pathlib import Path

from engine.errors import Interrupted, QcrdError, UsageError
from engine.records import Example
from engine.runs import line_out
from engine.runs.evaluation_client import Made, Step, Wanted
from engine.spec.run import RunSpec
from engine.store.connect import open_reader, write
from engine.store.runs.evaluations import (
    Drawing,
    Drawn,
    JudgeKey,
    begin,
    read_drawn,
    scored,
    write_drawn,
    write_scores,
)

JUDGED = 256
"""Answers that are judged between two looks at whether to stop."""


def carry_out(database: Path, wanted: Wanted, say: Callable[[Step], None], between: Callable[[], None]) -> Made:
    """Draws and judges what is missing of it. `between` is called before each batch: to end it, it raises.

    Raises UsageError where it is not possible, QcrdError where something cannot be read or written.
    """
    say(Step("loading torch and transformers"))
    from engine.data.load import load as load_data
    from engine.evaluation.drawing import draw
    from engine.judge import scorer
    from engine.runs import learned as learning

    found = learning.place(database, wanted.run_id)
    spec = found.spec
    if wanted.head not in spec.heads:
        raise UsageError(
            f"run {wanted.run_id} ({spec.method.name}) trains no {wanted.head} head: --head {' or '.join(spec.heads)}"
        )
    key = None if wanted.judge is None else scorer.key_of(database, wanted.judge)
    dataset = load_data(spec)
    with closing(open_reader(database)) as conn:
        row = conn.execute(
            "SELECT value FROM provenance WHERE run_id = ? AND key = 'data_hash'", (wanted.run_id,)
        ).fetchone()
    if row is not None and row["value"] != dataset.hash:
        raise QcrdError(f"data.dataset = {spec.data.dataset!r} is no longer what run {wanted.run_id} was trained on")
    if wanted.split not in dataset.splits:
        raise UsageError(f"--split {wanted.split}: the data of run {wanted.run_id} have {', '.join(dataset.splits)}")
    examples = dataset.splits[wanted.split][: wanted.limit]
    step = -1 if found.step is None else found.step
    drawing = Drawing(wanted.run_id, wanted.split, wanted.head, step, wanted.temperature, spec.seed)
    evaluation = write(database, lambda conn: begin(conn, drawing, len(examples), wanted.samples))
    with closing(open_reader(database)) as conn:
        drawn = read_drawn(conn, evaluation, wanted.samples)
    total = len(examples) * wanted.samples
    mine = {x.id for x in examples}
    done = sum(example in mine for example, _ in drawn)

    def keep(made: list[Drawn]) -> None:
        nonlocal done
        write(database, partial(write_drawn, evaluation=evaluation, drawn=made))
        drawn.update({(one.example, one.number): one for one in made})
        done += len(made)
        say(Step("answers", done, total))

    say(Step("answers", done, total))
    if done < total:
        learned = learning.load(found, lambda text: say(Step(text)))
        draw(
            learned,
            examples,
            wanted.head,
            samples=wanted.samples,
            temperature=wanted.temperature,
            seed=spec.seed,
            there=dict(drawn),
            keep=keep,
            between=between,
        )
    if key is not None:
        _judge(database, evaluation, key, [one for _, one in sorted(drawn.items())], examples, spec, say, between)
    return Made(evaluation, len(examples), None if key is None else key.step)


def _judge(
    database: Path,
    evaluation: int,
    key: JudgeKey,
    drawn: Sequence[Drawn],
    examples: Sequence[Example],
    spec: RunSpec,
    say: Callable[[Step], None],
    between: Callable[[], None],
) -> None:
    """Scores what the judge has not scored yet of the answers to these questions."""
    from engine.answers.kinds import parse
    from engine.judge import scorer

    asked = {x.id: x for x in examples}
    wanted = [one for one in drawn if one.example in asked]
    with closing(open_reader(database)) as conn:
        there = scored(conn, evaluation, key)
    missing = [one for one in wanted if (one.example, one.number) not in there]
    say(Step("scores", len(wanted) - len(missing), len(wanted)))
    if not missing:
        return
    judge = scorer.load(database, key, lambda text: say(Step(text)))
    for at in range(0, len(missing), JUDGED):
        between()
        part = missing[at : at + JUDGED]
        texts = []
        for one in part:
            x = asked[one.example]
            texts.append((x.question, judge.text(parse(spec.data.answer, one.text, x.choices).rationale, one.answer)))
        scores = judge.scorer.scores(texts)
        rows = [(one.example, one.number, score) for one, score in zip(part, scores, strict=True)]
        write(database, partial(write_scores, evaluation=evaluation, judge=key, scores=rows))
        say(Step("scores", len(wanted) - len(missing) + at + len(part), len(wanted)))


def main(arguments: list[str]) -> int:
    """Carry it out; the last line is what was made, or the error with its exit code."""
    for number in (signal.SIGINT, signal.SIGHUP):  # Ctrl-C is for who asks, who then says SIGTERM
        signal.signal(number, signal.SIG_IGN)
    out = line_out.prepare()
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda _number, _frame: stopped.set())
    threading.Thread(target=_wait, args=(stopped,), name="who asks", daemon=True).start()

    def between() -> None:
        if stopped.is_set():
            raise Interrupted("stopped; what was drawn is stored, the same command goes on")

    def say(found: object) -> None:
        line_out.write(out, json.dumps(found) + "\n")

    try:
        wanted = Wanted(**json.loads(arguments[1]))
        say(asdict(carry_out(Path(arguments[0]), wanted, lambda step: say(asdict(step)), between)))
    except QcrdError as error:
        say({"error": str(error), "code": error.exit_code})
    return 0


def _wait(stopped: threading.Event) -> None:
    """Until who asks is gone."""
    sys.stdin.read()
    stopped.set()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
