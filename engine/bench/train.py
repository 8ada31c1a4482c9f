"""`qcrd bench train`: steps of whole trainings by the clock, beside the training loops of others."""

import statistics
import tempfile
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from engine.bench import shapes, trainers
from engine.bench.shares import Stopwatch
from engine.bench.timing import Ends, Taken, spread
from engine.bench.trainers import WARM_UP
from engine.judge import training as judge_training
from engine.judge.discriminator import build
from engine.methods.table import METHODS
from engine.negatives.during import During
from engine.negatives.sampled import How
from engine.spec.methods import Qcrd
from engine.spec.run import RunSpec
from engine.store.recorder import Recorder
from engine.store.runs.run import create_run
from engine.store.writer import Writer
from engine.students.load import pick_device
from engine.training.setup import Setup
from engine.training.step import Row
from engine.training.train import train
from engine.training.validation import Validation

QUESTIONS = 8
"""Batches' worth of different questions."""
ITERATION = 18
"""Steps of an iteration of the built-in run (900 in 50), and between two visits of a question here."""
JUDGED = 0.18
"""Share of its visits all of whose candidates are judged: followed questions, and each one's last visit."""
TEMPERATURE = 1.5
LONGEST = 64
SAMPLING, JUDGING = "sampling", "discriminator"


def measure(
    shape: str, batch_size: int, positives: int, negatives: int, device_name: str, steps: int
) -> dict[str, Any]:
    """Seconds a step of our loop (database and optimiser included) with three methods, and of others' loops with DSS.

    shares: of qcrd's second iteration, which judges, updates the discriminator and writes an iteration's negatives, as
    every iteration of the built-in run does past the first `lag`; its pre-training, once a run, is not in it. All of it
    in this process: where a core is idle a run's negatives are written beside it.
    """
    device = pick_device(device_name)
    arms: dict[str, list[Taken]] = {}
    missing: dict[str, str] = {}

    def fresh(questions: int) -> tuple[shapes.BenchStudent, list[Row]]:
        student = shapes.student(shape, device, 0)
        return student, shapes.rows(student, shape, questions, positives, negatives, 0)

    for method in ("dss", "positives"):
        arms[method] = _ours(*fresh(batch_size * QUESTIONS), method, batch_size, steps)
    arms["qcrd"], shares = _qcrd(*fresh(batch_size * ITERATION), shape, batch_size)
    student, rows = fresh(batch_size * QUESTIONS)
    causal = not student.model.config.is_encoder_decoder
    peer = "Trainer" if causal else "Seq2SeqTrainer"
    arms[peer] = trainers.dss(student, rows, batch_size, steps)
    if causal:
        try:
            arms["SFTTrainer"] = trainers.sft(*fresh(batch_size * QUESTIONS), batch_size, steps)
        except ImportError:
            missing["SFTTrainer"] = "not installed; `pip install trl` adds this arm"
    return {
        "bench": "train",
        "shape": shape,
        "batch": batch_size,
        "positives": positives,
        "negatives": negatives,
        "device": str(device),
        "threads": torch.get_num_threads(),
        "steps": steps,
        "peer": peer,
        "shares": shares,
        "missing": missing,
        "arms": {
            name: {"seconds": spread([t.wall for t in taken]), "to_trainer": _against(taken, arms[peer])}
            for name, taken in arms.items()
        },
    }


def _against(taken: list[Taken], peer: list[Taken]) -> dict[str, float]:
    """Ratios of medians: loops of one after the other have no turns."""
    wall = statistics.median(t.wall for t in taken) / statistics.median(t.wall for t in peer)
    cpu = statistics.median(t.cpu for t in taken) / max(statistics.median(t.cpu for t in peer), 1e-9)
    return {"wall": wall, "cpu": cpu}


class _Clock:
    """In the orders' place: the loop asks it between steps."""

    stop = checkpoint = taken_over = False

    def __init__(self) -> None:
        self.ends = Ends()

    def poll(self) -> None:
        self.ends.note()


def _ours(student: shapes.BenchStudent, rows: list[Row], method: str, batch_size: int, steps: int) -> list[Taken]:
    total = steps + WARM_UP + 1
    spec = _spec({"name": method}, total, 1, batch_size)
    items = [replace(row.item, negatives=()) for row in rows]
    if method == "dss":
        items = [replace(x, positives=x.positives[:1]) for x in items]
    clock = _Clock()
    with tempfile.TemporaryDirectory() as folder:
        database = Path(folder) / "bench.db"
        run_id = create_run(database, spec)
        with Writer(database) as writer:
            train(replace(_setup(spec, student, rows, clock, Path(folder), writer, run_id), items=items), None)
    return clock.ends.taken(WARM_UP)


class _SecondIteration(_Clock):
    """Measures from the end of the first iteration to that of the second."""

    def __init__(self, stopwatch: Stopwatch) -> None:
        super().__init__()
        self.stopwatch = stopwatch
        self.since = stopwatch.start()
        self.shares: dict[str, dict[str, float]] = {}

    def poll(self) -> None:
        super().poll()
        if len(self.ends.at) == ITERATION:
            self.since = self.stopwatch.start()
        if len(self.ends.at) == 2 * ITERATION:
            self.shares = self.stopwatch.shares(self.since, (JUDGING, SAMPLING))


def _qcrd(
    student: shapes.BenchStudent, rows: list[Row], shape: str, batch_size: int
) -> tuple[list[Taken], dict[str, dict[str, float]]]:
    """Three iterations of qcrd at its defaults but for the lag; weights hardly move, so that texts keep a length."""
    shapes.ending_after(student, [row.item.explain for row in rows], shapes.SHAPES[shape].rationale, TEMPERATURE)
    spec = _spec({"name": "qcrd", "negatives": {"lag": 1}}, 3 * ITERATION, 3, batch_size)
    assert isinstance(spec.method, Qcrd)
    judge = build("student-sized", student, 1024, 1024, 0)
    stopwatch = Stopwatch(student.device)
    clock = _SecondIteration(stopwatch)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        database = Path(folder) / "bench.db"
        run_id = create_run(database, spec)
        writer = stack.enter_context(Writer(database))
        stack.enter_context(stopwatch.watches(judge, "judge", JUDGING))
        stack.enter_context(stopwatch.watches(judge_training, "update", JUDGING))
        stack.enter_context(stopwatch.watches(During, "write_due", SAMPLING))
        setup = _setup(spec, student, rows, clock, Path(folder), writer, run_id)
        followed = {row.item.example.id for row in rows[: int(JUDGED * len(rows))]}
        optimizer = judge_training.optimizer(judge, spec.method.discriminator)
        train(replace(setup, judge=judge, judge_optimizer=optimizer, followed=followed), None)
    return clock.ends.taken(ITERATION - 1, 2 * ITERATION), clock.shares


def _spec(method: dict[str, Any], steps: int, iterations: int, batch_size: int) -> RunSpec:
    return RunSpec.model_validate(
        {
            "method": method,
            "training": {
                "steps": steps,
                "iterations": iterations,
                "batch_size": batch_size,
                "checkpoint_every": steps,
                "lr": 1e-6,
            },
            "evaluation": {"every": steps},
        }
    )


def _setup(
    spec: RunSpec, student: shapes.BenchStudent, rows: list[Row], clock: Any, folder: Path, writer: Writer, run_id: int
) -> Setup:
    return Setup(
        spec=spec,
        method=METHODS[spec.method.name],
        student=student,
        judge=None,
        judge_optimizer=None,
        items=[row.item for row in rows],
        followed=set(),
        validation=Validation(spec, ("predict",), (), {}, (), {}, {"predict": 8, "explain": LONGEST}),
        held_out=[],
        first_number=10**9,
        band=None,
        sampling=How(kind=spec.data.answer, max_new=LONGEST, drop_right=True),
        folder=folder,
        recorder=Recorder(writer, run_id),
        orders=clock,
    )
