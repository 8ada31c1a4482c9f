"""A database as it is after a year of work: many runs, one of very many points, one of very many rationales."""

import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from engine.store.connect import open_writer
from engine.store.schema.tables import SCHEMA_VERSION
from engine.store.texts import text_hash

BEGAN = 1_800_000_000.0
"""When its first run was made, in seconds since 1970."""
SERIES = (
    "accuracy/explain accuracy/predict active_share cross_entropy/negative cross_entropy/positive grad_norm"
    " loss/contrast loss/judge loss/predict loss/total lr memory/host quality/negative quality/positive"
    " quality_high/negative quality_high/positive quality_low/negative quality_low/positive tokens_per_second"
    " auc/minority"
).split()
CANDIDATES = 10
"""Rationales of a question."""
FOLLOWED, VISITS = 200, 40
"""Questions of which every visit is kept, and how many that are."""
WHO = "ben ann tom eve max zoe ida leo mia sam".split()
THINGS = "apples books coins shells stones cards pens cups".split()


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much there is."""

    runs: int
    points: int
    """In all runs together."""
    long_points: int
    """Of them in one run."""
    rationales: int
    """All in one run."""

    @property
    def long_run(self) -> int:
        """The run of very many points: the newest, done."""
        return self.runs

    @property
    def read_run(self) -> int:
        """The run of very many rationales, done."""
        return self.runs - 1

    @property
    def live_run(self) -> int:
        """The run that goes on: what is written while somebody looks is written of it."""
        return self.runs - 2


def ensure(folder: Path, sizes: Sizes) -> Path:
    """The database of these sizes in a folder, made unless it is there."""
    name = f"console-{SCHEMA_VERSION}-{sizes.runs}-{sizes.points}-{sizes.long_points}-{sizes.rationales}.db"
    path = folder / name
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        beside = path.with_suffix(".partial")
        beside.unlink(missing_ok=True)
        with closing(open_writer(beside)) as con:
            con.execute("PRAGMA synchronous = OFF")
            con.execute("BEGIN")
            _runs(con, sizes)
            _points(con, sizes)
            _rationales(con, sizes)
            con.execute("COMMIT")
            con.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        beside.rename(path)
    reset(path, sizes)
    return path


def reset(path: Path, sizes: Sizes, status: str = "running") -> None:
    """Take away what was written while it was measured; the run that goes on has this status then."""
    key = {"run": sizes.live_run}
    with closing(open_writer(path, checkpoints=True)) as con:
        con.execute("BEGIN IMMEDIATE")
        con.execute("DELETE FROM points WHERE series_id IN (SELECT id FROM series WHERE run_id = :run)", key)
        con.execute("DELETE FROM logs WHERE run_id = :run", key)
        con.execute(
            "UPDATE runs SET status = :status, step = 0, heartbeat_at = julianday('now') * 86400 - 210866760000"
            " WHERE id = :run",
            {**key, "status": status},
        )
        con.execute("COMMIT")
        con.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _runs(con: sqlite3.Connection, sizes: Sizes) -> None:
    con.execute("INSERT INTO datasets VALUES (1, 'bench', 'arithmetic')")
    con.execute(
        "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < :runs)"
        " INSERT INTO runs (id, name, status, method, dataset, teacher, student, seed, spec, folder, created_at,"
        "  started_at, ended_at, heartbeat_at, step, steps, iteration, iterations)"
        " SELECT i, 'bench-' || i, CASE WHEN i = :live THEN 'running' ELSE 'done' END,"
        "  CASE i % 3 WHEN 0 THEN 'dss' WHEN 1 THEN 'positives' ELSE 'qcrd' END, 'arithmetic', 'builtin/arithmetic',"
        "  'builtin/t5-tiny', i % 10, json_object('name', 'bench-' || i, 'seed', i % 10, 'training',"
        "  json_object('batch_size', 32, 'lr', 0.002), 'method', json_object('loss', json_object('delta', 3.0))),"
        "  'runs/' || i, :began + 900 * i, :began + 900 * i, CASE WHEN i <> :live THEN :began + 900 * i + 800 END,"
        "  :began + 900 * i + 800, 2000, 2000, 50, 50 FROM n",
        {"runs": sizes.runs, "live": sizes.live_run, "began": BEGAN},
    )
    con.execute("INSERT INTO run_datasets SELECT id, 1 FROM runs")
    con.execute(
        "INSERT INTO sessions (run_id, pid, host, started_at, last_at, outcome)"
        " SELECT id, 1000 + id, 'node', started_at, heartbeat_at, CASE WHEN ended_at IS NULL THEN NULL ELSE 'done' END"
        " FROM runs"
    )
    con.execute(
        "INSERT INTO stages (run_id, position, name, state, done, total, unit, started_at, ended_at, seconds)"
        " SELECT r.id, s.key, s.value, 'done', 2000, 2000, 'steps', r.started_at, r.heartbeat_at, 100 FROM runs r,"
        ' json_each(\'["data", "sample", "vote", "judge", "train", "evaluate", "export"]\') s'
    )
    con.execute(
        "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 20)"
        " INSERT INTO logs (run_id, at, level, stage, message)"
        " SELECT r.id, r.started_at + 40 * i, 'info', 'train', 'step ' || 100 * i || ' · checkpoint saved'"
        " FROM runs r, n"
    )
    con.execute(
        "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 5)"
        " INSERT INTO scores SELECT r.id, CASE i WHEN 5 THEN 'test' ELSE 'validation' END, 'student', h.value, 400 * i,"
        "  80 * i + r.id % 90, 1000, (80 * i + r.id % 90) / 1000.0, (80 * i + r.id % 90) / 1000.0 - 0.03,"
        '  (80 * i + r.id % 90) / 1000.0 + 0.03 FROM runs r, n, json_each(\'["predict", "explain"]\') h'
    )


def _points(con: sqlite3.Connection, sizes: Sizes) -> None:
    con.executemany(
        "INSERT INTO series (run_id, name) VALUES (?, ?)",
        ((run, name) for run in range(1, sizes.runs + 1) for name in SERIES),
    )
    others = (sizes.points - sizes.long_points) // max(1, sizes.runs - 2) // len(SERIES)
    for which, each in (
        (f"run_id NOT IN ({sizes.long_run}, {sizes.live_run})", others),
        (f"run_id = {sizes.long_run}", sizes.long_points // len(SERIES)),
    ):
        con.execute(
            "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < ?)"
            " INSERT INTO points SELECT s.id, i,"
            "  0.2 + 200.0 / (100 + i) + ((i * 7919 + s.id * 104729) % 1000) / 5000.0, NULL,"
            f" {BEGAN} + 900 * s.run_id + i * 0.1"
            f" FROM (SELECT id, run_id FROM series WHERE {which} ORDER BY id) s CROSS JOIN n",
            (each,),
        )


def _rationales(con: sqlite3.Connection, sizes: Sizes) -> None:
    run, draw = sizes.read_run, random.Random(0)
    for i in range(sizes.rationales // CANDIDATES):
        key = f"train-{i:06d}"
        a, b, c = draw.randint(4, 900), draw.randint(1, 99), draw.randint(1, 99)
        who, thing = draw.choice(WHO), draw.choice(THINGS)
        gold = str(a + b - c)
        asked = f"{who} has {a} {thing}. first he finds {b} more. then he sells {c}. how many {thing} has he?"
        con.execute("INSERT INTO examples VALUES (1, ?, 'train', ?, ?)", (key, asked, gold))
        wrong = draw.random() < 0.12
        con.execute(
            "INSERT INTO votes VALUES (?, ?, ?, ?, 4, 5, 5, 0, ?, ?)",
            (run, key, i, str(a + b + c) if wrong else gold, int(not wrong), int(i < FOLLOWED)),
        )
        numbers = range(i * CANDIDATES, (i + 1) * CANDIDATES)
        texts = [_text(draw, who, thing, a, b, c, n % CANDIDATES) for n in numbers]
        con.executemany("INSERT INTO texts (hash, text) VALUES (?, ?)", [(text_hash(t), t) for t, _ in texts])
        last = con.execute("SELECT max(id) FROM texts").fetchone()[0]
        con.executemany(
            "INSERT INTO rationales (run_id, number, example, polarity, source, iteration, slot, text_id, answer, rule)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 'strict')",
            [
                (run, n, key, *_role(n % CANDIDATES), last - CANDIDATES + 1 + n % CANDIDATES, texts[n % CANDIDATES][1])
                for n in numbers
            ],
        )
        con.executemany("INSERT INTO last_visits VALUES (?, ?, ?, 2000, 50, ?, ?, ?, ?, ?)",
                        [(run, n, key, *visit) for n, visit in _visits(draw, numbers)])  # fmt: skip
        if i < FOLLOWED:
            for step in range(2000 // VISITS, 2001, 2000 // VISITS):
                con.executemany("INSERT INTO visits VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                                [(run, key, step, n, step // 40, *v) for n, v in _visits(draw, numbers)])  # fmt: skip
            for step in range(400, 2001, 400):
                right = draw.random() < step / 2500
                for head in ("predict", "explain"):
                    con.execute(
                        "INSERT INTO predictions VALUES (?, 'followed', ?, ?, ?, ?, ?, ?)",
                        (run, key, head, step, last, gold if right else "1", int(right)),
                    )


def _role(at: int) -> tuple[str, str, int, int]:
    """Polarity, source, iteration and slot of a question's candidate."""
    if at < 4:
        return "positive", "teacher", 0, at
    if at == 4:
        return "negative", "minority", 0, 4
    return "negative" if at < 9 else "dropped", "self", 40 + at, at


def _text(draw: random.Random, who: str, thing: str, a: int, b: int, c: int, at: int) -> tuple[str, str]:
    """A rationale of about sixty words, none like another, and its answer."""
    slip = 0 if at < 4 else draw.randint(1, 9)
    middle, end = a + b + slip, a + b - c + slip
    other = " ".join(f"{draw.choice(WHO)} has {draw.randint(1, 9999)} {draw.choice(THINGS)}." for _ in range(6))
    return (
        f"{who} begins with {a} {thing}. first he finds {b} more, so {a} plus {b} makes {middle}. "
        f"then he sells {c}, and {middle} minus {c} makes {end}. {other} the answer is {end}.",
        str(end),
    )


def _visits(draw: random.Random, numbers: range) -> Iterator[tuple[int, tuple[float, float, float, int, int]]]:
    """Quality, cross-entropy, weight, chosen and active of each candidate."""
    plus, minus = draw.randrange(4), 4 + draw.randrange(5)
    for n in numbers:
        at = n % CANDIDATES
        chosen, active = at in (plus, minus), at < 4 or draw.random() < 0.6
        quality = draw.betavariate(8, 2) if at < 4 else draw.betavariate(2, 8)
        yield n, (quality, draw.uniform(0.1, 5.0), quality if chosen and active else 0.0, int(chosen), int(active))
