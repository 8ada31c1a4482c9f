"""kill -9 at ten random moments of one run, resumed each time: nothing lost, the weights bit for bit."""

import os
import random
import signal
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest
from safetensors.torch import load_file
from transformers import T5ForConditionalGeneration

from engine.data.arithmetic import generate
from engine.launch import start_worker
from engine.spec.run import RunSpec
from engine.store.runs import create_run
from engine.students import tiny

STEPS = 36


@pytest.fixture(scope="module")
def student_with_dropout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A T5 folder, so that torch's own generator matters too."""
    folder = tmp_path_factory.mktemp("t5")
    texts = [
        f"predict: explain: {x.question} Answer: {n}" for n, x in enumerate(generate(0, 60, 5, 5, 5).splits["train"])
    ]
    words = tiny.build_tokenizer(texts)
    words.save_pretrained(folder)
    T5ForConditionalGeneration(tiny.config(words, dropout=0.1)).save_pretrained(folder)
    return folder


def spec(student: Path | str, **training: int) -> RunSpec:
    return RunSpec.model_validate(
        {
            "data": {"limit": 40},
            "student": {"model": str(student), "max_rationale_tokens": 40},
            "teacher": {"samples": 3},
            "method": {
                "name": "qcrd",
                "negatives": {"lag": 2},
                "discriminator": {"pretrain_steps": 12, "every": 3},
            },
            "training": {
                "steps": STEPS,
                "iterations": 12,
                "batch_size": 7,
                "warmup": 5,
                "checkpoint_every": 4,
                "threads": 1,
                **training,
            },
            "evaluation": {"every": 12, "followed": 8},
        }
    )


def state(database: Path) -> tuple[int, int, int, str]:
    """(samples stored, steps of the discriminator, steps of training, status)"""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=10)) as db:
        samples = db.execute("SELECT count(*) FROM run_samples").fetchone()[0]
        judge = db.execute("SELECT done FROM stages WHERE name = 'judge'").fetchone()
        step, status = db.execute("SELECT step, status FROM runs").fetchone()
    return samples, judge[0] if judge else 0, step, status


def rows(database: Path, sql: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(database)) as db:
        return db.execute(sql).fetchall()


def work_until(database: Path, reached, kill: bool, delay: float = 0.0) -> None:
    """A worker, killed as soon as `reached(state)`, or waited for."""
    worker = start_worker(database, 1)
    give_up = time.monotonic() + 200
    try:
        while worker.poll() is None and not (kill and reached(state(database))):
            assert time.monotonic() < give_up, (database.parent / "runs" / "1" / "worker.log").read_text()[-2000:]
            time.sleep(0.005)
        if kill:
            time.sleep(delay)
            assert worker.poll() is None, "the run ended before its kill"
    finally:
        if worker.poll() is None:
            os.kill(worker.pid, signal.SIGKILL)
        worker.wait()


def test_ten_kills_leave_the_weights_bit_for_bit(tmp_path: Path, student_with_dropout: Path) -> None:
    chance = random.Random(20261121)
    samples = sorted(chance.sample(range(1, 200), 2))
    steps = sorted(chance.sample(range(1, STEPS - 1), 7))
    moments = [(n, 0, 0) for n in samples] + [(0, chance.randint(1, 11), 0)] + [(0, 0, step) for step in steps]
    assert len(moments) == 10

    disturbed = tmp_path / "disturbed" / "experiments.db"
    disturbed.parent.mkdir()
    create_run(disturbed, spec(student_with_dropout))
    bought: set[tuple[object, ...]] = set()
    for n, judge, step in moments:
        work_until(
            disturbed,
            lambda s, n=n, judge=judge, step=step: s[0] >= n and s[1] >= judge and s[2] >= step and s[0] > 0,
            kill=True,
            delay=chance.uniform(0, 0.03),
        )
        assert rows(disturbed, "PRAGMA integrity_check") == [("ok",)]
        now = set(rows(disturbed, "SELECT key, text_id FROM samples"))
        assert bought <= now, "a stored sample was lost"
        bought = now
    work_until(disturbed, None, kill=False)

    calm = tmp_path / "calm" / "experiments.db"
    calm.parent.mkdir()
    create_run(calm, spec(student_with_dropout))
    work_until(calm, None, kill=False)

    for database in (calm, disturbed):
        assert state(database)[3] == "done", rows(database, "SELECT error FROM runs")
        assert rows(database, "PRAGMA integrity_check") == [("ok",)]
    assert len(rows(disturbed, "SELECT 1 FROM sessions")) == 11
    same(calm, disturbed, STEPS)


def test_a_causal_student_goes_on_from_a_kill_bit_for_bit(tmp_path: Path) -> None:
    steps = 12
    databases = []
    for name, moment in (("calm", None), ("disturbed", 6)):
        database = tmp_path / name / "experiments.db"
        database.parent.mkdir()
        create_run(database, spec("builtin/llama-tiny", steps=steps))
        if moment is not None:
            work_until(database, lambda s, moment=moment: s[2] >= moment, kill=True)
        work_until(database, None, kill=False)
        assert state(database)[3] == "done", rows(database, "SELECT error FROM runs")
        databases.append(database)
    same(*databases, steps)


def same(calm: Path, disturbed: Path, steps: int) -> None:
    """Weights, optimisers and all that was measured are equal, bit for bit."""
    last = f"runs/1/checkpoints/step-{steps:08d}"
    for file in ("student", "judge", "optimizer", "judge_optimizer", "random"):
        one = load_file(calm.parent / last / f"{file}.safetensors")
        other = load_file(disturbed.parent / last / f"{file}.safetensors")
        assert one.keys() == other.keys()
        assert all((one[name] == other[name]).all() for name in one), file
    exported = "runs/1/student/model.safetensors"
    assert (calm.parent / exported).read_bytes() == (disturbed.parent / exported).read_bytes()
    for sql in (
        "SELECT name, step, value FROM metric_points WHERE name <> 'tokens_per_second' ORDER BY 1, 2",
        "SELECT number, example, polarity, source, iteration, answer, text"
        " FROM rationales JOIN texts ON texts.id = text_id ORDER BY number",
        "SELECT example, step, number, quality, cross_entropy, weight, chosen, active FROM visits ORDER BY 1, 2, 3",
        "SELECT split, who, head, step, correct, total FROM scores ORDER BY 1, 2, 3, 4",
        "SELECT example, slot, text FROM teacher_samples ORDER BY 1, 2",
    ):
        assert rows(calm, sql) == rows(disturbed, sql), sql
