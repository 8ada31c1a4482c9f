"""A run that has a ranking model without having trained one."""

import sqlite3
from pathlib import Path

import torch

from engine.judge import ranking
from engine.spec.run import RunSpec
from engine.store.runs.run import create_run
from tests.engine import tiny_t5


def ranking_run(database: Path, spec: RunSpec, max_tokens: int = 64, seed: int = 0) -> int:
    """Done, on the data of run 1; the model has random weights large enough that scores differ."""
    data = spec.model_dump(include={"data", "seed"})
    run_id = create_run(database, RunSpec.model_validate(data | {"name": "ranking", "method": {"name": "ranking"}}))
    model = ranking.build("student-sized", tiny_t5.student(seed=seed), max_tokens, seed)
    with torch.no_grad():
        model.last.weight.mul_(8)
    model.save(database.parent / "runs" / str(run_id) / "ranking")
    con = sqlite3.connect(database)
    con.execute("UPDATE runs SET status = 'done', step = 12 WHERE id = ?", (run_id,))
    con.execute("INSERT INTO run_datasets SELECT ?, dataset_id FROM run_datasets WHERE run_id = 1", (run_id,))
    con.commit()
    con.close()
    return run_id
