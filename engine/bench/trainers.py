"""The training loops of others: transformers' Trainer with DSS's loss, and TRL's SFT for causal students."""

import sys
import tempfile
from collections.abc import Sequence
from contextlib import redirect_stdout
from typing import Any

import torch
from transformers import Seq2SeqTrainer, Seq2SeqTrainingArguments, Trainer, TrainerCallback, TrainingArguments

from engine.bench.naive import batch
from engine.bench.shapes import BenchStudent
from engine.bench.timing import Ends, Taken
from engine.errors import UsageError
from engine.students import gemm
from engine.training.step import Row

CPU = torch.device("cpu")
WARM_UP = 2
"""Steps that are not counted."""


def dss(student: BenchStudent, rows: Sequence[Row], batch_size: int, steps: int) -> list[Taken]:
    """Seconds a step of Seq2SeqTrainer (Trainer for a causal student) with the loss of Distilling Step-by-Step.

    Both tasks of one batch, as its own trainer has them.
    """
    _needs_accelerate()
    causal = not student.model.config.is_encoder_decoder
    kind, settings = (Trainer, TrainingArguments) if causal else (Seq2SeqTrainer, Seq2SeqTrainingArguments)

    class Dss(kind):  # type: ignore[valid-type,misc]
        def compute_loss(self, model: Any, inputs: Any, *_: Any, **__: Any) -> Any:
            return 0.5 * model(**inputs["predict"]).loss + 0.5 * model(**inputs["explain"]).loss

    def collate(found: list[dict[str, Any]]) -> dict[str, Any]:
        both = {}
        for task in ("predict", "explain"):
            made = batch(student, [x[task][0] for x in found], [x[task][1] for x in found], CPU)
            both[task] = {"input_ids": made.input_ids, "attention_mask": made.attention_mask, "labels": made.labels}
        return both

    data = [
        {
            "predict": (row.item.predict, row.item.label),
            "explain": (row.item.explain, row.item.positives[0].tokens),
            "input_ids": row.item.explain,
        }
        for row in rows
    ]
    clock = _Clock()
    with tempfile.TemporaryDirectory() as folder:
        arguments = settings(**_settings(folder, student, batch_size, steps), remove_unused_columns=False)
        with gemm.as_it_came(student.model), redirect_stdout(sys.stderr):  # it prints its summary
            Dss(
                model=student.model, args=arguments, train_dataset=data, data_collator=collate, callbacks=[clock]
            ).train()
    return clock.ends.taken(WARM_UP)


def sft(student: BenchStudent, rows: Sequence[Row], batch_size: int, steps: int) -> list[Taken]:
    """Seconds a step of TRL's SFTTrainer on both tasks of as many questions: ImportError where TRL is not installed."""
    _needs_accelerate()
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    tasks = [(row.item.predict, row.item.label or ()) for row in rows]
    tasks += [(row.item.explain, row.item.positives[0].tokens) for row in rows]
    data = Dataset.from_list(
        [{"input_ids": [*p, *t], "completion_mask": [*[0] * len(p), *[1] * len(t)]} for p, t in tasks]
    )
    clock = _Clock()
    with tempfile.TemporaryDirectory() as folder, redirect_stdout(sys.stderr):
        arguments = SFTConfig(
            **_settings(folder, student, 2 * batch_size, steps),
            completion_only_loss=True,
            max_length=None,
            activation_checkpointing=False,  # its default is on, by the older name
        )
        trainer = SFTTrainer(
            model=student.model,
            args=arguments,
            train_dataset=data,
            processing_class=student.tokenizer,
            callbacks=[clock],
        )
        with gemm.as_it_came(student.model):
            trainer.train()
    return clock.ends.taken(WARM_UP)


def _needs_accelerate() -> None:
    try:
        import accelerate  # noqa: F401
    except ImportError:
        raise UsageError("Seq2SeqTrainer needs accelerate: `pip install accelerate`, then measure again") from None


def _settings(folder: str, student: BenchStudent, batch_size: int, steps: int) -> dict[str, Any]:
    """Fused AdamW, batches of similar length, bf16 on a GPU, nothing saved or logged."""
    return {
        "output_dir": folder,
        "per_device_train_batch_size": batch_size,
        "max_steps": steps + WARM_UP + 1,
        "train_sampling_strategy": "group_by_length",
        "optim": "adamw_torch_fused",
        "bf16": student.bf16,
        "use_cpu": student.device.type == "cpu",
        "save_strategy": "no",
        "report_to": [],
        "logging_strategy": "no",
        "disable_tqdm": True,
        "dataloader_pin_memory": student.device.type == "cuda",
    }


class _Clock(TrainerCallback):
    """When each step ended."""

    def __init__(self) -> None:
        self.ends = Ends()

    def on_step_end(self, *_: Any, **__: Any) -> None:
        self.ends.note()
