"""Runs from a spec to their rows, in this process: what every end-to-end test here stands on."""

import gzip
import json
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.runs import worker
from engine.spec.run import RunSpec
from engine.store.connect import open_reader
from engine.store.runs.run import create_run

SMALL: dict[str, Any] = {
    "student": {"max_question_tokens": 96, "max_rationale_tokens": 128},
    "training": {"steps": 6, "iterations": 3, "batch_size": 4, "warmup": 1, "threads": 1},
    "evaluation": {"followed": 4},
}
"""Limits that let a run end in seconds; each test lays what it is about over them."""
FEW: dict[str, Any] = {"arithmetic": {"train": 60, "validation": 40, "test": 40, "unseen": 40}}
"""The built-in task, no larger than a test wants it: writing all 7,500 questions takes longer than a short training."""
SMALL_QCRD: dict[str, Any] = {
    "name": "qcrd",
    "negatives": {"lag": 1},
    "discriminator": {"pretrain_steps": 2, "every": 2},
}


@dataclass(frozen=True)
class Ended:
    """What a run left behind."""

    id: int
    code: int
    status: str
    error: str | None
    folder: Path
    scores: dict[tuple[str, str, str], tuple[int, int]]
    """(split, who, head) -> (right, compared) at the last step."""
    facts: dict[str, float]
    """ "stage/name" -> value"""
    logs: list[str]


def spec_of(*layers: dict[str, Any]) -> RunSpec:
    """A spec of tables laid over one another, section by section."""
    table: dict[str, Any] = {}
    for layer in layers:
        for section, values in layer.items():
            table[section] = {**table.get(section, {}), **values} if isinstance(values, dict) else values
    return RunSpec.model_validate(table)


def run(database: Path, *layers: dict[str, Any]) -> Ended:
    """Works on a run of `SMALL` and these layers until it ends."""
    run_id = create_run(database, spec_of(SMALL, *layers))
    return ended(database, run_id, worker.work(database, run_id))


def done(database: Path, *layers: dict[str, Any]) -> Ended:
    """As `run`, and the run is done."""
    found = run(database, *layers)
    assert (found.code, found.status, found.error) == (0, "done", None)
    return found


def ended(database: Path, run_id: int, code: int) -> Ended:
    """What the database holds of a run."""
    with closing(open_reader(database)) as db:
        row = db.execute("SELECT status, error, folder FROM runs WHERE id = ?", (run_id,)).fetchone()
        scores = db.execute("SELECT * FROM scores WHERE run_id = ? ORDER BY step", (run_id,)).fetchall()
        facts = db.execute("SELECT stage, name, value FROM facts WHERE run_id = ?", (run_id,)).fetchall()
        logs = db.execute("SELECT message FROM logs WHERE run_id = ? ORDER BY id", (run_id,)).fetchall()
    return Ended(
        id=run_id,
        code=code,
        status=row["status"],
        error=row["error"],
        folder=database.parent / row["folder"],
        scores={(s["split"], s["who"], s["head"]): (s["correct"], s["total"]) for s in scores},
        facts={f"{f['stage']}/{f['name']}": f["value"] for f in facts},
        logs=[log["message"] for log in logs],
    )


def rows(database: Path, sql: str, *params: object) -> list[tuple[Any, ...]]:
    """What a query finds."""
    with closing(open_reader(database)) as db:
        return [tuple(row) for row in db.execute(sql, params)]


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    """The rows of a recorded file."""
    data = path.read_bytes()
    text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode()
    return [json.loads(line) for line in text.splitlines()]


def write_splits(folder: Path, splits: dict[str, Iterable[dict[str, Any]]]) -> Path:
    """A dataset in a folder, a JSONL file a split."""
    folder.mkdir()
    for split, found in splits.items():
        lines = (json.dumps(row) + "\n" for row in found)
        (folder / f"{split}.jsonl").write_text("".join(lines))
    return folder
