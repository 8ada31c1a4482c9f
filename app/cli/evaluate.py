"""evaluate: answers drawn of a run's student, and what votes among them are worth."""

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from app.cli.options import Csv, Db, Json, Jsonl, Run, database, output_format

if TYPE_CHECKING:
    from engine.evaluation.accuracy_curve import Point
    from engine.evaluation.weighted_vote import Weight
    from engine.runs.evaluation_client import Step

Vote = Literal["count", "asc", "discriminator"]
SAMPLES, TEMPERATURE = 16, 0.7


def add_to(app: typer.Typer) -> None:
    """Give the app this file's command."""
    app.command()(evaluate)


def evaluate(
    run: Run = "last",
    samples: Annotated[
        int, typer.Option("--samples", "-n", metavar="N", min=1, max=1024, help="Answers drawn of each question.")
    ] = SAMPLES,
    vote: Annotated[
        Vote,
        typer.Option(
            "--vote", help="count: each answer counts 1; asc: by a ranking model's score; discriminator: by QCRD's."
        ),
    ] = "count",
    ranking: Annotated[
        str | None,
        typer.Option(
            "--ranking",
            metavar="RUN2",
            help="Whose score: a run of the method ranking (asc; else the newest on the same data), or of qcrd "
            "(discriminator; else RUN itself).",
        ),
    ] = None,
    weight: Annotated[
        str, typer.Option("--weight", metavar="1|s|1+s|1+2s", help="What an answer of score s counts.")
    ] = "s",
    head: Annotated[Literal["explain", "predict"], typer.Option("--head", help="Which head answers.")] = "explain",
    split: Annotated[str, typer.Option("--split", metavar="SPLIT", help="Of the run's data.")] = "test",
    limit: Annotated[
        int | None, typer.Option("--limit", metavar="N", min=1, help="The split's first N questions.")
    ] = None,
    temperature: Annotated[
        float, typer.Option("--temperature", min=0.01, help="At which answers are drawn.")
    ] = TEMPERATURE,
    json: Json = False,
    jsonl: Jsonl = False,
    csv: Csv = False,
    db: Db = None,
) -> None:
    """Draw answers of a run's student, and tell the accuracy of votes among 1, 2, 4 … N of them.

    Every batch is stored as it is drawn: the same command goes on where it was stopped, more --samples draw those that
    are missing, another --vote or --weight draws nothing. Ctrl-C stops after the batch under way.
    """
    from app.cli.output import write_rows
    from engine.evaluation.accuracy_curve import curve
    from engine.evaluation.weighted_vote import weight_of
    from engine.runs.evaluation_client import Wanted
    from engine.runs.evaluation_client import evaluate as carry_out
    from engine.store.connect import open_reader
    from engine.store.queries import find_run
    from engine.store.runs.evaluations import JudgeKey, judge_of, read_ballots

    form = output_format(json, jsonl, csv)
    by = "1" if vote == "count" else weight_of(weight)
    path = database(db)
    with closing(open_reader(path)) as connection:
        run_id = int(find_run(connection, run)["id"])
        named = None if ranking is None else int(find_run(connection, ranking)["id"])
        judge = judge_of(connection, run_id, vote, head, named)
    if judge is not None and judge != named:
        print(f"judged by run {judge}", file=sys.stderr)
    wanted = Wanted(run_id, samples, head, split, limit, temperature, judge)
    with _interrupts() as pressed, _progress() as say:
        made = carry_out(path, wanted, say, pressed)
    with closing(open_reader(path)) as connection:
        key = None if judge is None or made.judge_step is None else JudgeKey(judge, made.judge_step)
        found = read_ballots(connection, made.evaluation, made.questions, samples, key)
    points = curve(found.ballots, samples, by)
    for line in _notes(len(found.ballots), found.asked, found.goldless):
        print(line, file=sys.stderr)
    rows = [_row(point, run_id, vote, by, judge) for point in points]
    write_rows(rows, form, _columns(vote, by), "no question has a gold answer to compare with")
    if form == "table":
        print(f"the same with --samples {2 * samples} draws {samples} more of each", file=sys.stderr)


def _row(point: "Point", run_id: int, vote: Vote, weight: "Weight", judge: int | None) -> dict[str, Any]:
    found = {"run": run_id, "samples": point.samples, "questions": point.questions}
    for name, one in (("count", point.count), ("weighted", point.weighted), ("difference", point.difference)):
        if name == "count" or vote != "count":
            found |= {name: one.value, f"{name}_low": one.low, f"{name}_high": one.high}  # type: ignore[dict-item]
    return found if vote == "count" else found | {"vote": vote, "weight": weight, "judge": judge}


def _columns(vote: Vote, weight: "Weight") -> list[Any]:
    from app.cli.output import Column, share

    def told(name: str) -> Callable[[Any], str]:
        return lambda row: share(row[name], row[f"{name}_low"], row[f"{name}_high"])

    columns = [
        Column("samples", lambda row: str(row["samples"]), right=True, keep=True),
        Column("count", told("count"), right=True, keep=True),
    ]
    if vote != "count":
        columns += [
            Column(f"{vote}, weight {weight}", told("weighted"), right=True, keep=True),
            Column("difference", _difference, right=True, keep=True),
        ]
    return [*columns, Column("questions", lambda row: str(row["questions"]), right=True)]


def _difference(row: Any) -> str:
    value, low, high = (row[f"difference{end}"] for end in ("", "_low", "_high"))
    return f"{value:+.3f} [{low:+.3f}, {high:+.3f}]".replace("-", "−")


def _notes(told: int, asked: int, goldless: int) -> list[str]:
    lines = [f"accuracy of votes over {told} of {asked} questions, with 95 % intervals"]
    if goldless:
        lines.append(f"{goldless} questions have no gold answer")
    return lines


@contextmanager
def _interrupts() -> Iterator[Callable[[], int]]:
    """How often Ctrl-C was pressed, or the process asked to end: once ends it after a batch, twice at once."""
    pressed = 0

    def on(_number: int, _frame: FrameType | None) -> None:
        nonlocal pressed
        pressed += 1
        if pressed == 1:
            print("\nstopping after this batch; Ctrl-C again ends it at once", file=sys.stderr)

    before = {number: signal.signal(number, on) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: pressed
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _progress() -> "Iterator[Callable[[Step], None]]":
    """On stderr: one line that is written over on a terminal, a line a tenth elsewhere."""
    last = ""
    written = False

    def say(step: "Step") -> None:
        nonlocal last, written
        share = 100 * step.done // step.total if step.total else 0
        if sys.stderr.isatty():
            text = f"{step.what}  {step.done}/{step.total}  {share} %" if step.total else step.what
            print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)
            written = True
            return
        text = f"{step.what}: {share // 10 * 10} % of {step.total}" if step.total else step.what
        if text != last:
            print(text, file=sys.stderr, flush=True)
        last = text

    try:
        yield say
    finally:
        if written:
            print(file=sys.stderr)
