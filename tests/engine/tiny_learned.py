"""A run that has a student without having trained: what is asked and exported in tests."""

from pathlib import Path
from typing import Any

import torch

from engine.judge.discriminator import build
from engine.records import Dataset, Example, Rationale, Voted
from engine.spec.run import RunSpec
from engine.store.recorder import Recorder
from engine.store.runs.run import create_run
from engine.store.writer import Writer
from engine.students.load import student as load_student
from engine.training import checkpoint
from tests.engine.tiny_t5 import WORDS

QUESTION = "ben has two apples then he finds three more"
TEXTS = [f"predict: explain: {' '.join(WORDS)}"]
LORA = {"model": "builtin/llama-tiny", "lora": {"r": 2}}


def spec_of(student: dict[str, Any], method: str = "qcrd") -> RunSpec:
    return RunSpec.model_validate({"student": {"max_rationale_tokens": 24} | student, "method": {"name": method}})


def make(folder: Path, spec: RunSpec, step: int = 7, best: int = 7) -> tuple[Path, int, Any]:
    """A run with its data, a rationale and a checkpoint of a student with large random weights; that student."""
    database = folder / "experiments.db"
    run_id = create_run(database, spec)
    asked = Example("test-0", QUESTION, "5")
    taught = Rationale(0, "train-0", "first then makes", "5", "strict", "positive", "teacher")
    with Writer(database) as writer:
        recorder = Recorder(writer, run_id)
        splits = {"train": (Example("train-0", "ben has 1", "5"),), "validation": (), "test": (asked,)}
        recorder.dataset(Dataset("made", splits, "0" * 64))
        recorder.votes([Voted(splits["train"][0], "5", 1, 1, False, (taught,), ())], set(), {"train-0": True})
        recorder.rationales([taught])
    student = load_student(spec, TEXTS, folder / "runs" / str(run_id) / "tokenizer")
    torch.manual_seed(0)
    with torch.no_grad():
        for p in student.model.parameters():
            if p.requires_grad:
                p.add_(torch.randn_like(p) * 0.3)
    judge = build("student-sized", student, 512, 24, 1) if spec.method.name == "qcrd" else None
    adam = torch.optim.AdamW(student.model.parameters())
    state = checkpoint.Trained(student.model, adam, judge, judge and torch.optim.AdamW(judge.parameters()))
    checkpoint.save(folder / "runs" / str(run_id), state, checkpoint.Progress(step=step, best_step=best))
    return database, run_id, student
