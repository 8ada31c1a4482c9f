"""kill -9 at random moments of a run, resumed each time: nothing lost, the weights bit for bit.

Three kills of QCRD, and under `make slow` ten, and ten of every other method and source of negatives; in between, those
break down once, in this process, and go on in a fresh one.
"""

import random
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file
from transformers import T5ForConditionalGeneration

from engine.data.arithmetic import generate
from engine.negatives import band
from engine.runs import launch, worker
from engine.spec.methods import QcrdDiscriminator
from engine.spec.run import RunSpec
from engine.spec.sections import ArithmeticConfig
from engine.store.runs.run import create_run
from engine.students import tiny
from engine.training import train
from engine.training.step import step as real_step
from tests import warm

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


FEW = {"train": 60, "validation": 40, "test": 40, "unseen": 40}
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
            "data": {"limit": limit, "arithmetic": FEW},
            "student": {"model": str(student), "max_rationale_tokens": 40},
            "teacher": {"samples": 3},
            "method": method,
            "training": {
                "steps": steps,
                "iterations": "epoch" if method.get("profile") == "paper" else min(12, steps),
                "batch_size": 7,
                "warmup": 5,
                "checkpoint_every": 4,
                "threads": 1,
            },
            "evaluation": {"every": min(12, steps - 2), "followed": 8},
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


def work_until(database: Path, reached, kill: bool, delay: float = 0.0, cold: bool = False) -> None:
    """A worker, killed as soon as `reached(state)`, or waited for; `cold`: started as users start it."""
    worker = (launch if cold else warm).start_worker(database, 1)
    ended = worker.poll if cold else lambda: worker.exitcode
    give_up = time.monotonic() + 200
    try:
        while ended() is None and not (kill and reached(state(database))):
            assert time.monotonic() < give_up, (database.parent / "runs" / "1" / "worker.log").read_text()[-2000:]
            time.sleep(0.02)
        if kill:
            time.sleep(delay)
            assert ended() is None, "the run ended before its kill"
    finally:
        if ended() is None:
            worker.kill()
        (worker.wait if cold else worker.join)()


def calm_run(folder: Path, spec: RunSpec) -> Path:
    """The database of a run that nothing disturbs: in this process, whose hashes of strings differ from a worker's."""
    database = prepared(folder, spec)
    assert worker.work(database, 1) == 0, rows(database, "SELECT error FROM runs")
    return database


def prepared(folder: Path, spec: RunSpec) -> Path:
    folder.mkdir()
    create_run(folder / "experiments.db", spec)
    return folder / "experiments.db"


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("kills", "steps", "limit"), [(3, 12, 20), pytest.param(10, STEPS, 40, marks=pytest.mark.slow)]
)
def test_kills_leave_the_weights_bit_for_bit(
    tmp_path: Path, student_with_dropout: Path, kills: int, steps: int, limit: int
) -> None:
    """In sampling, in the discriminator's pre-training and in training; ten of workers started as users start them."""
    chance = random.Random(20261121)
    cold = kills == 10
    samples = sorted(chance.sample(range(1, 2 * limit), max(1, kills // 4)))
    in_training = sorted(chance.sample(range(1, steps - 1), kills - 1 - len(samples)))
    moments = [(n, 0, 0) for n in samples] + [(0, chance.randint(1, 11), 0)] + [(0, 0, step) for step in in_training]
    assert len(moments) == kills

    disturbed = prepared(tmp_path / "disturbed", spec(student_with_dropout, steps=steps, limit=limit))
    bought: set[tuple[object, ...]] = set()
    for n, judge, step in moments:
        work_until(
            disturbed,
            lambda s, n=n, judge=judge, step=step: s[0] >= n and s[1] >= judge and s[2] >= step and s[0] > 0,
            kill=True,
            delay=chance.uniform(0, 0.03),
            cold=cold,
        )
        assert rows(disturbed, "PRAGMA integrity_check") == [("ok",)]
        now = set(rows(disturbed, "SELECT key, text_id FROM samples"))
        assert bought <= now, "a stored sample was lost"
        bought = now
    work_until(disturbed, None, kill=False, cold=cold)
    calm = calm_run(tmp_path / "calm", spec(student_with_dropout, steps=steps, limit=limit))

    for database in (calm, disturbed):
        assert state(database)[3] == "done", rows(database, "SELECT error FROM runs")
        assert rows(database, "PRAGMA integrity_check") == [("ok",)]
    assert len(rows(disturbed, "SELECT 1 FROM sessions")) == kills + 1
    the_same(calm, disturbed, steps)


def test_a_causal_student_goes_on_from_a_kill_bit_for_bit(tmp_path: Path) -> None:
    run, steps = spec("builtin/llama-tiny", steps=8, limit=20), 8
    run = run.model_copy(update={"student": run.student.model_copy(update={"pretrain_steps": 3})})
    disturbed = prepared(tmp_path / "disturbed", run)
    work_until(disturbed, lambda s: s[2] >= 6, kill=True)
    work_until(disturbed, None, kill=False)
    assert state(disturbed)[3] == "done", rows(disturbed, "SELECT error FROM runs")
    the_same(calm_run(tmp_path / "calm", run), disturbed, steps)


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
    # the band keeps its judge in the run's folder: with as many steps as it is used to, the worker would make another
    monkeypatch.setattr(band, "QcrdDiscriminator", lambda: QcrdDiscriminator(pretrain_steps=10))
    steps, calls = 10, 0
    last = random.Random(name).randint(5, 9)
    run = spec(student_with_dropout, OTHERS[name], steps, limit=12)
    calm, disturbed = calm_run(tmp_path / "calm", run), prepared(tmp_path / "disturbed", run)

    def breaks_down(*given: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls > last:
            raise RuntimeError("the power is gone")
        return real_step(*given)

    monkeypatch.setattr(train, "step", breaks_down)
    assert worker.work(disturbed, 1) != 0
    work_until(disturbed, None, kill=False)
    assert state(disturbed)[3] == "done", rows(disturbed, "SELECT error FROM runs")
    the_same(calm, disturbed, steps)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", OTHERS)
def test_ten_kills_in_any_method_leave_the_weights_bit_for_bit(tmp_path, student_with_dropout, name: str) -> None:
    moments = sorted(random.Random(name).sample(range(1, STEPS - 1), 10))
    run = spec(student_with_dropout, OTHERS[name])
    disturbed = prepared(tmp_path / "disturbed", run)
    for moment in moments:
        work_until(disturbed, lambda s, moment=moment: s[2] >= moment, kill=True)
    work_until(disturbed, None, kill=False)
    assert state(disturbed)[3] == "done", rows(disturbed, "SELECT error FROM runs")
    the_same(calm_run(tmp_path / "calm", run), disturbed)
