"""`qcrd bench train`: steps of whole trainings by the clock, beside Seq2SeqTrainer with the same DSS loss."""

import sys
import tempfile
import time
from contextlib import redirect_stdout
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch

from engine.bench import shapes
from engine.bench.naive import batch
from engine.bench.timing import spread
from engine.errors import UsageError
from engine.methods.table import METHODS
from engine.setup import Setup
from engine.spec.run import RunSpec
from engine.step import Row
from engine.store.recorder import Recorder
from engine.store.runs import create_run
from engine.store.writer import Writer
from engine.students.load import pick_device
from engine.students.t5 import T5Student
from engine.train import train
from engine.validation import Validation

WARM_UP = 2
QUESTIONS = 8
"""Batches' worth of different questions."""


def measure(
    shape: str, batch_size: int, positives: int, negatives: int, device_name: str, steps: int
) -> dict[str, Any]:
    """Seconds a step of our loop (database and optimiser included) with two methods, and of Seq2SeqTrainer."""
    device = pick_device(device_name)
    arms: dict[str, list[float]] = {}
    for method in ("dss", "positives"):
        student = shapes.student(shape, device, 0)
        rows = shapes.rows(student, shape, batch_size * QUESTIONS, positives, negatives, 0)
        arms[method] = _ours(student, rows, method, batch_size, steps)
    student = shapes.student(shape, device, 0)
    rows = shapes.rows(student, shape, batch_size * QUESTIONS, positives, negatives, 0)
    arms["Seq2SeqTrainer"] = _trainer(student, rows, batch_size, steps)
    peer = spread(arms["Seq2SeqTrainer"])["median"]
    return {
        "bench": "train",
        "shape": shape,
        "batch": batch_size,
        "positives": positives,
        "device": str(device),
        "threads": torch.get_num_threads(),
        "steps": steps,
        "arms": {
            name: {"seconds": spread(taken), "to_trainer": spread(taken)["median"] / peer}
            for name, taken in arms.items()
        },
    }


class _Clock:
    """In the orders' place: the loop asks it between steps."""

    stop = checkpoint = taken_over = False

    def __init__(self) -> None:
        self.at: list[float] = []

    def poll(self) -> None:
        self.at.append(time.perf_counter())

    def seconds(self) -> list[float]:
        return [b - a for a, b in pairwise(self.at)][WARM_UP:]


def _ours(student: T5Student, rows: list[Row], method: str, batch_size: int, steps: int) -> list[float]:
    total = steps + WARM_UP + 1
    spec = RunSpec.model_validate(
        {
            "method": {"name": method},
            "training": {"steps": total, "iterations": 1, "batch_size": batch_size, "checkpoint_every": total},
            "evaluation": {"every": total},
        }
    )
    items = [row.item for row in rows]
    if method == "dss":
        items = [replace(x, positives=x.positives[:1]) for x in items]
    clock: Any = _Clock()
    with tempfile.TemporaryDirectory() as folder:
        database = Path(folder) / "bench.db"
        run_id = create_run(database, spec)
        with Writer(database) as writer:
            train(
                Setup(
                    spec=spec,
                    method=METHODS[method],
                    student=student,
                    judge=None,
                    judge_optimizer=None,
                    items=items,
                    followed=set(),
                    validation=Validation(spec, ("predict",), (), {}, (), {}, {"predict": 8}),
                    held_out=[],
                    first_number=10**9,
                    band=None,
                    folder=Path(folder),
                    recorder=Recorder(writer, run_id),
                    orders=clock,
                ),
                None,
            )
    return clock.seconds()


def _trainer(student: T5Student, rows: list[Row], batch_size: int, steps: int) -> list[float]:
    """transformers' Seq2SeqTrainer: fused AdamW, batches of similar length, bf16 on a GPU, nothing saved or logged."""
    try:
        import accelerate  # noqa: F401
    except ImportError:
        raise UsageError("Seq2SeqTrainer needs accelerate: `pip install accelerate`, then measure again") from None
    from transformers import Seq2SeqTrainer, Seq2SeqTrainingArguments, TrainerCallback

    pad = student.model.config.pad_token_id
    ended: list[float] = []

    class Clock(TrainerCallback):
        def on_step_end(self, *_: Any, **__: Any) -> None:
            ended.append(time.perf_counter())

    class Dss(Seq2SeqTrainer):
        """Both tasks of one batch, as Distilling Step-by-Step's own trainer has them."""

        def compute_loss(self, model: Any, inputs: Any, *_: Any, **__: Any) -> Any:
            return 0.5 * model(**inputs["predict"]).loss + 0.5 * model(**inputs["explain"]).loss

    def collate(found: list[dict[str, Any]]) -> dict[str, Any]:
        both = {}
        for task in ("predict", "explain"):
            made = batch([x[task][0] for x in found], [x[task][1] for x in found], pad, torch.device("cpu"))
            both[task] = {
                "input_ids": made.input_ids,
                "attention_mask": made.attention_mask,
                "labels": made.labels,
            }
        return both

    data = [
        {
            "predict": (row.item.predict, row.item.label),
            "explain": (row.item.explain, row.item.positives[0].tokens),
            "input_ids": row.item.explain,
        }
        for row in rows
    ]
    with tempfile.TemporaryDirectory() as folder:
        arguments = Seq2SeqTrainingArguments(
            output_dir=folder,
            per_device_train_batch_size=batch_size,
            max_steps=steps + WARM_UP + 1,
            train_sampling_strategy="group_by_length",
            optim="adamw_torch_fused",
            bf16=student.bf16,
            use_cpu=student.device.type == "cpu",
            remove_unused_columns=False,
            save_strategy="no",
            report_to=[],
            logging_strategy="no",
            disable_tqdm=True,
            dataloader_pin_memory=student.device.type == "cuda",
        )
        with redirect_stdout(sys.stderr):  # it prints its summary
            Dss(
                model=student.model, args=arguments, train_dataset=data, data_collator=collate, callbacks=[Clock()]
            ).train()
    return [b - a for a, b in pairwise(ended)][WARM_UP:]
