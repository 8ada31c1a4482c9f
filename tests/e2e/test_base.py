"""A run whose pre-trained base is deleted: it never goes on, answers or is exported from random weights instead."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from engine.errors import QcrdError
from engine.runs import learned, worker
from engine.store.runs.run import create_run
from engine.training import train
from tests.e2e.real_runs import FEW, SMALL, ended, rows, spec_of

COT_KD: dict[str, Any] = {
    "data": {"limit": 6, **FEW},
    "teacher": {"samples": 3},
    "student": {"model": "builtin/llama-tiny", "max_rationale_tokens": 32, "pretrain_steps": 2, "lora": {"r": 2}},
    "method": {"name": "cot-kd"},
    "training": {"steps": 3, "checkpoint_every": 1},
}
STAGES = "SELECT name, state FROM stages ORDER BY position"


def test_a_base_that_is_gone_is_put_back_or_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    database, old = (tmp_path / name / "experiments.db" for name in ("new", "old"))
    database.parent.mkdir()
    create_run(database, spec_of(SMALL, COT_KD))
    calls, real_step = 0, train.step

    def breaks_down(*given: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls in (3, 4):
            raise RuntimeError("the power is gone")
        return real_step(*given)

    monkeypatch.setattr(train, "step", breaks_down)
    assert worker.work(database, 1) == 1
    base = database.parent / "runs" / "1" / "base"
    whole = {file.name: file.read_bytes() for file in base.iterdir()}
    shutil.rmtree(base)
    shutil.copytree(database.parent, old.parent)

    with monkeypatch.context() as patch:
        patch.setenv("QCRD_CACHE", str(tmp_path / "empty"))
        assert worker.work(database, 1) == 1
        assert f"{base} is gone" in str(ended(database, 1, 1).error)
        with pytest.raises(QcrdError, match="base is gone"):
            learned.load(learned.place(database, 1))
        with pytest.raises(QcrdError, match="base is gone"):
            learned.export_student(database, 1, tmp_path / "out")

    said: list[str] = []
    learned.load(learned.place(database, 1), said.append)
    assert "put back from the cache" in said[0]
    assert {file.name: file.read_bytes() for file in base.iterdir()} == whole
    shutil.rmtree(base)

    with closing(sqlite3.connect(old)) as db, db:  # as one begun before there were bases has left it
        db.execute("DELETE FROM provenance WHERE key = 'base'")
    assert worker.work(old, 1) == 1
    assert "the power is gone" in str(ended(old, 1, 1).error)
    waiting = [("evaluate", "waiting"), ("export", "waiting")]
    before = [("data", "done"), ("sample", "done"), ("vote", "done")]
    assert rows(old, STAGES) == [*before, ("train", "failed"), *waiting]
    assert not (old.parent / "runs" / "1" / "base").exists()

    assert worker.work(database, 1) == 0
    assert [line for line in ended(database, 1, 0).logs if "put back from the cache" in line]
    after = [("base", "done"), ("train", "done"), ("evaluate", "done"), ("export", "done")]
    assert rows(database, STAGES) == [*before, *after]
    assert {file.name: file.read_bytes() for file in base.iterdir()} == whole
