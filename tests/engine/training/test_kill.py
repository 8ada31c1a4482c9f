"""kill -9 at random moments of a run, resumed each time: nothing lost, the weights bit for bit.

Ten kills of QCRD, and under `make slow` of every other method and source of negatives; in between, those break down
once, in this process, which saves the time to start workers, and go on in a fresh one.
"""

import os
import random
import signal
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file
from transformers import T5ForConditionalGeneration

from engine.data.arithmetic import generate
from engine.runs import worker
from engine.runs.launch import start_worker
from engine.spec.run import RunSpec
from engine.spec.sections import ArithmeticConfig
from engine.store.runs import create_run
from engine.students import tiny
from engine.training import train
from engine.training.step import step as real_step

STEPS = 36
USED = ArithmeticConfig(train=60, validation=5, test=5, unseen=5)


@pytest.fixture(scope="module")
def student_with_dropout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A T5 folder, so that torch's own generator matters too."""
    folder = tmp_path_factory.mktemp("t5")
    texts = [f"predict: explain: {x.question} Answer: {n}" for n, x in enumerate(generate(0, USED).splits["train"])]
    words = tiny.build_tokenizer(texts)
    words.save_pretrained(folder)
    T5ForConditionalGeneration(tiny.config(words, dropout=0.1)).save_pretrained(folder)
    return folder


QCRD: dict[str, Any] = {
    "name": "qcrd",
    "negatives": {"lag": 2},
    "discriminator": {"pretrain_steps": 12, "every": 3},
}
ALL_SOURCES = ["minority", "self", "fixed", "perturbed", "peer"]
OTHERS: dict[str, dict[str, Any]] = {
    "dss": {"name": "dss"},
    "mi": {"name": "mi"},
    "positives": {"name": "positives"},
    "orpo": {"name": "orpo", "negatives": {"sources": ["minority", "self"], "lag": 2}},
    "redi": {"name": "redi", "supervised": 0.5},
    "unlikelihood": {"name": "unlikelihood"},
    "paper": {**QCRD, "profile": "paper"},
    "sources": {
        **QCRD,
        "negatives": {"lag": 2, "sources": ALL_SOURCES, "shares": dict.fromkeys(ALL_SOURCES, 0.2), "band": [0.0, 0.9]},
    },
}


def spec(student: Path | str, method: dict[str, Any] = QCRD, steps: int = STEPS, limit: int = 40) -> RunSpec:
    if "peer" in method.get("negatives", {}).get("sources", ()):
        method = {**method, "negatives": {**method["negatives"], "peers": [str(student)]}}
    return RunSpec.model_validate(
        {
            "data": {"limit": limit},
            "student": {"model": str(student), "max_rationale_tokens": 40},
            "teacher": {"samples": 3},
            "method": method,
            "training": {
                "steps": steps,
                "iterations": "epoch" if method.get("profile") == "paper" else 12,
                "batch_size": 7,
                "warmup": 5,
                "checkpoint_every": 4,
                "threads": 1,
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


@pytest.mark.timeout(900)
@pytest.mark.parametrize("kills", [4, pytest.param(10, marks=pytest.mark.slow)])
def test_kills_leave_the_weights_bit_for_bit(tmp_path: Path, student_with_dropout: Path, kills: int) -> None:
    """In sampling, in the discriminator's pre-training and in training."""
    chance = random.Random(20261121)
    samples = sorted(chance.sample(range(1, 200), kills // 4))
    steps = sorted(chance.sample(range(1, STEPS - 1), kills - 1 - len(samples)))
    moments = [(n, 0, 0) for n in samples] + [(0, chance.randint(1, 11), 0)] + [(0, 0, step) for step in steps]
    assert len(moments) == kills

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
    assert len(rows(disturbed, "SELECT 1 FROM sessions")) == kills + 1
    the_same(calm, disturbed)


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
    the_same(*databases, steps)


def the_same(calm: Path, disturbed: Path, steps: int = STEPS) -> None:
    """Two databases with a run each that went to its end: weights, export and rows."""
    last = f"runs/1/checkpoints/step-{steps:08d}"
    files = sorted(f.stem for f in (calm.parent / last).glob("*.safetensors"))
    assert {"student", "optimizer", "random"} <= set(files)
    for file in files:
        one = load_file(calm.parent / last / f"{file}.safetensors")
        other = load_file(disturbed.parent / last / f"{file}.safetensors")
        assert one.keys() == other.keys()
        assert all((one[name] == other[name]).all() for name in one), file
    exported = "runs/1/student/model.safetensors"
    assert (calm.parent / exported).read_bytes() == (disturbed.parent / exported).read_bytes()
    for sql in (
        "SELECT name, step, value FROM metric_points"
        " WHERE name NOT IN ('tokens_per_second', 'memory/host') ORDER BY 1, 2",
        "SELECT number, example, polarity, source, iteration, answer, text"
        " FROM rationales JOIN texts ON texts.id = text_id ORDER BY number",
        "SELECT example, step, number, quality, cross_entropy, weight, chosen, active FROM visits ORDER BY 1, 2, 3",
        "SELECT split, who, head, step, correct, total FROM scores ORDER BY 1, 2, 3, 4",
        "SELECT example, slot, text FROM teacher_samples ORDER BY 1, 2",
    ):
        assert rows(calm, sql) == rows(disturbed, sql), sql


@pytest.mark.parametrize("name", OTHERS)
def test_a_breakdown_in_any_method_leaves_the_weights_bit_for_bit(
    tmp_path: Path, student_with_dropout: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    steps, calls = 16, 0
    last = random.Random(name).randint(9, 15)
    databases = [tmp_path / name / "experiments.db" for name in ("calm", "disturbed")]
    for database in databases:
        database.parent.mkdir()
        create_run(database, spec(student_with_dropout, OTHERS[name], steps, limit=12))
    assert worker.work(databases[0], 1) == 0

    def breaks_down(*given: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls > last:
            raise RuntimeError("the power is gone")
        return real_step(*given)

    monkeypatch.setattr(train, "step", breaks_down)
    assert worker.work(databases[1], 1) != 0
    work_until(databases[1], None, kill=False)
    assert state(databases[1])[3] == "done", rows(databases[1], "SELECT error FROM runs")
    the_same(*databases, steps)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", OTHERS)
def test_ten_kills_in_any_method_leave_the_weights_bit_for_bit(tmp_path, student_with_dropout, name: str) -> None:
    databases = []
    for folder, moments in (("calm", []), ("disturbed", sorted(random.Random(name).sample(range(1, STEPS - 1), 10)))):
        database = tmp_path / folder / "experiments.db"
        database.parent.mkdir()
        create_run(database, spec(student_with_dropout, OTHERS[name]))
        for moment in moments:
            work_until(database, lambda s, moment=moment: s[2] >= moment, kill=True)
        work_until(database, None, kill=False)
        assert state(database)[3] == "done", rows(database, "SELECT error FROM runs")
        databases.append(database)
    the_same(*databases)
