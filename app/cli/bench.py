"""`qcrd bench`: what a step, a generation and a training cost here, beside what they would cost elsewhere."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

if TYPE_CHECKING:
    from app.cli.output import Column, Row

bench = typer.Typer(
    help="Measure speed and memory beside their peers; random weights, no network. The last line is JSON.",
    no_args_is_help=True,
)

Shape = Annotated[
    Literal["tiny", "t5-small", "t5-base", "llama-tiny", "llama-small", "causal-0.5b"],
    typer.Option(help="The student's sizes."),
]
Batch = Annotated[int, typer.Option(min=1, help="Questions at once.")]
Positives = Annotated[int, typer.Option(min=1, help="Positive rationales a question.")]
Negatives = Annotated[int, typer.Option(min=0, help="Negative rationales a question.")]
Device = Annotated[Literal["auto", "cpu", "cuda"], typer.Option(help="Where.")]
Repeats = Annotated[int, typer.Option(min=1, help="Turns that count.")]
Threads = Annotated[int, typer.Option(min=0, help="CPU threads; 0: torch's own choice.")]


def add_to(app: typer.Typer) -> None:
    """Give the app this file's commands."""
    app.add_typer(bench, name="bench")


@bench.command()
def step(
    shape: Shape = "t5-small",
    batch: Batch = 8,
    positives: Positives = 4,
    negatives: Negatives = 2,
    device: Device = "auto",
    repeats: Repeats = 5,
    threads: Threads = 0,
    micro_batch: Annotated[int, typer.Option(min=0, help="Questions computed at once; 0: all.")] = 0,
    method: Annotated[
        Literal["qcrd", "nat"], typer.Option(help="nat: nat's and nce's steps beside plain LoRA's instead.")
    ] = "qcrd",
) -> None:
    """One training step, AdamW's update included, every negative active: fast, amortised, naive, and DSS's."""
    _prepare(threads)
    if method == "nat":
        from engine.bench import adapters

        _show(adapters.measure(shape, batch, positives, device, repeats, micro_batch))
        return
    from engine.bench.step import measure

    _show(measure(shape, batch, positives, negatives, device, repeats, micro_batch))


@bench.command()
def generate(
    shape: Shape = "t5-small",
    batch: Batch = 128,
    device: Device = "auto",
    repeats: Repeats = 3,
    threads: Threads = 0,
) -> None:
    """Sampling rationales in bulk, beside transformers' `generate`."""
    _prepare(threads)
    from engine.bench.generate import measure

    _show(measure(shape, batch, device, repeats))


@bench.command()
def train(
    shape: Shape = "tiny",
    batch: Batch = 32,
    positives: Positives = 4,
    negatives: Negatives = 1,
    device: Device = "auto",
    steps: Annotated[int, typer.Option(min=1, help="Steps that count.")] = 20,
    threads: Threads = 0,
) -> None:
    """Whole training loops, optimiser and database included, beside Seq2SeqTrainer with DSS's loss, and TRL's SFT."""
    _prepare(threads)
    from engine.bench.train import measure

    _show(measure(shape, batch, positives, negatives, device, steps))


@bench.command()
def teacher(
    calls: Annotated[int, typer.Option(min=1, help="Calls over which memory is watched.")] = 2000,
    together: Annotated[int, typer.Option(min=1, help="Calls under way at once.")] = 64,
    delay_ms: Annotated[float, typer.Option(min=0, help="Milliseconds that the server takes to answer.")] = 50.0,
) -> None:
    """Calls to a teacher of our own on this machine, with the ledger and without, beside bare LiteLLM and httpx."""
    from engine.bench.teacher import measure

    _show(measure(calls, together, delay_ms / 1000))


@bench.command()
def console(
    folder: Annotated[
        Path | None, typer.Option(help="Keep the database there, and take the one that is; else it is made anew.")
    ] = None,
    runs: Annotated[int, typer.Option(min=4, help="Runs in it.")] = 1000,
    points: Annotated[int, typer.Option(min=1000, help="Rows of metrics in all of them.")] = 10_000_000,
    long_points: Annotated[int, typer.Option(min=1000, help="Of those in the run that is opened.")] = 1_000_000,
    rationales: Annotated[int, typer.Option(min=100, help="Rationales, all of one run.")] = 100_000,
    quick: Annotated[bool, typer.Option("--quick", help="Once each, for seconds: that it runs, not how fast.")] = False,
) -> None:
    """The console on a large database: start, keys while a run writes, opening, searching, idling, memory; goals."""
    from app.bench.console import QUICK, Effort, measure, table
    from app.bench.database import Sizes
    from app.cli.output import Column, write_table
    from engine.exchange.results import plain

    found = measure(folder, Sizes(runs, points, long_points, rationales), QUICK if quick else Effort())
    write_table(
        table(found),
        [
            Column("what", lambda row: row["what"], keep=True),
            Column("goal", lambda row: row["goal"], right=True, keep=True),
            Column("measured", lambda row: row["measured"], right=True, keep=True),
            Column("", lambda row: row["met"], keep=True),
            Column("besides", lambda row: row["besides"]),
        ],
    )
    print(json.dumps(plain(found)))


def _prepare(threads: int) -> None:
    import torch

    if threads:
        torch.set_num_threads(threads)


def _show(found: Mapping[str, Any]) -> None:
    """A table for a person, then all of it as one line of JSON."""
    from app.cli.output import Column, write_table
    from engine.exchange.results import plain

    arms = [{"arm": name, **values} for name, values in found["arms"].items()]
    wanted: list[tuple[str, str, Callable[[Any], str]]] = [
        ("to_dss", "× dss", lambda v: _two(v["wall"])),
        ("to_dss", "× dss, CPU", lambda v: _two(v["cpu"])),
        ("to_dss", "× dss, least CPU", lambda v: _two(v["least"])),
        ("passes_to_dss", "× dss, no update", lambda v: _two(v["cpu"])),
        ("to_lora", "× lora", lambda v: _two(v["wall"])),
        ("to_lora", "× lora, CPU", lambda v: _two(v["cpu"])),
        ("to_trainer", f"× {found.get('peer')}", lambda v: _two(v["wall"])),
        ("to_trainer", f"× {found.get('peer')}, CPU", lambda v: _two(v["cpu"])),
        ("tokens_per_second", "tokens/s", lambda v: f"{v:,.0f}"),
        ("to_bare", "× bare, per pass", _two),
        ("calls_per_second", "calls/s", lambda v: f"{v:,.0f}"),
        ("to_no_ledger", "× no ledger's rate", lambda v: _two(v["wall"])),
        ("cpu_seconds", "CPU ms a call", lambda v: _two(1000 * v["median"])),
        ("milliseconds_per_sample", "ms a sample", _two),
        ("words_per_sample", "words a sample", _two),
        ("padding", "padding", _two),
        ("peak_bytes", "peak MB", lambda v: "–" if v is None else f"{v / 2**20:,.0f}"),
    ]
    columns = [
        Column("arm", lambda row: row["arm"], keep=True),
        Column("ms", lambda row: f"{1000 * row['seconds']['median']:,.1f}", right=True, keep=True),
        Column("quartiles", _quartiles, right=True),
    ]
    columns += [_column(*entry) for entry in wanted if entry[0] in arms[0]]
    write_table(arms, columns)
    for name in ("naive_to_fast", "generate_to_ours", "active_share"):
        if name in found:
            value = found[name]["wall"] if isinstance(found[name], Mapping) else found[name]
            print(f"{name.replace('_', ' ')}: {value:.2f}")
    for part, share in found.get("shares", {}).get("cpu", {}).items():
        print(f"{part}, share of qcrd's training time (CPU): {100 * share:.0f} %")
    if memory := found.get("memory"):
        print(
            f"resident memory: {memory['at_a_tenth'] / 2**20:,.0f} MB after a tenth of {found['calls']:,} calls, "
            f"{memory['at_the_end'] / 2**20:,.0f} MB after all"
        )
    for arm, reason in found.get("missing", {}).items():
        print(f"{arm}: {reason}")
    print(json.dumps(plain(found)))


def _column(key: str, title: str, text: Callable[[Any], str]) -> "Column":
    from app.cli.output import Column

    return Column(title, lambda row: text(row[key]), right=True, keep=title.startswith("×"))


def _two(value: float) -> str:
    return f"{value:.2f}"


def _quartiles(row: "Row") -> str:
    return f"{1000 * row['seconds']['q1']:,.1f} to {1000 * row['seconds']['q3']:,.1f}"
