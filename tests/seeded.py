"""A realistic experiments.db made in a second, always the same: what the console's tests and drawings read.

`build(path)` writes eight runs as they stood at `NOW`: done, running, stale, interrupted, failed, queued.
"""

import hashlib
import json
import math
import random
import sqlite3
from pathlib import Path

from engine.store.schema.tables import APPLICATION_ID, SCHEMA_VERSION, TABLES
from engine.store.schema.views import VIEWS

NOW = 1_800_000_000.0
"""The clock of everything seeded: 2027-01-15 08:00 UTC."""

STAGES = ("data", "sample", "vote", "judge", "train", "evaluate", "export")
WHO = ("ben", "ann", "tom", "eve", "max", "zoe")
THINGS = ("apples", "books", "coins", "shells")


def build(path: Path) -> Path:
    """Write the seeded database; `path` must not exist."""
    con = sqlite3.connect(path)
    con.executescript(
        "PRAGMA journal_mode=WAL;"
        + TABLES
        + VIEWS
        + f"PRAGMA user_version={SCHEMA_VERSION}; PRAGMA application_id={APPLICATION_ID};"
    )
    con.execute("INSERT INTO datasets VALUES (1, 'a1', 'arithmetic')")
    con.executemany("INSERT INTO examples VALUES (1, ?, 'train', ?, ?)", [question(i) for i in range(40)])
    run(con, 1, "arithmetic-finetune", "finetune", "done", 0.54, None, age=9000)
    run(con, 2, "arithmetic-dss", "dss", "done", 0.352, 0.484, age=7000)
    run(con, 3, "arithmetic-positives", "positives", "done", 0.353, 0.589, age=5000)
    run(con, 4, "arithmetic-qcrd", "qcrd", "done", 0.362, 0.641, age=3000)
    run(con, 5, "svamp-gpt", "qcrd", "failed", None, None, age=2000, step=0, error=FAILURE)
    run(con, 6, "svamp-qcrd-3", "qcrd", "running", 0.62, 0.66, age=11000, step=1600, heartbeat=NOW - 3 * 3600)
    run(con, 7, "math-qcrd", "qcrd", "interrupted", 0.21, 0.18, age=1500, step=600)
    run(con, 8, "arithmetic-qcrd-b", "qcrd", "running", 0.31, 0.587, age=130, step=1312, heartbeat=NOW - 1)
    run(con, 9, "arithmetic-mean", "qcrd", "queued", None, None, age=60, step=0)
    answers(con, (2, 3, 4))
    rationales(con, 4, steps=2000)
    rationales(con, 8, steps=1312)
    con.commit()
    con.close()
    return path


FAILURE = "The teacher refused the key (HTTP 401): set OPENAI_API_KEY to a valid key, then `qcrd resume 5`"


def question(i: int) -> tuple[str, str, str]:
    """Key, text and gold answer of seeded question i."""
    r = random.Random(i)
    a, b, c, d = r.randint(4, 9), r.randint(1, 4), r.randint(1, 4), r.randint(1, 4)
    who, other = r.sample(WHO, 2)
    thing, distractor = r.sample(THINGS, 2)
    text = (
        f"{who} has {a} {thing}. first he finds {b} more. {other} has {d} {distractor}. "
        f"then he sells {c}. finally he buys 1. how many {thing}?"
    )
    return f"train-{i:04d}", text, str(a + b - c + 1)


def run(
    con: sqlite3.Connection,
    id: int,
    name: str,
    method: str,
    status: str,
    predict: float | None,
    explain: float | None,
    *,
    age: float,
    step: int = 2000,
    heartbeat: float | None = None,
    error: str | None = None,
) -> None:
    """One run with its stages, series, scores and log."""
    started = NOW - age
    over = status in ("done", "failed", "interrupted")
    ended = started + min(age, 320) if over else None
    svamp = name.startswith("svamp")
    con.execute(
        "INSERT INTO runs VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
        (
            id,
            name,
            status,
            method,
            "svamp" if svamp else "arithmetic",
            "gpt-4o-mini" if svamp else "builtin/arithmetic",
            "google-t5/t5-base" if svamp else "builtin/t5-tiny",
            id % 3,
            json.dumps({"name": name, "method": {"name": method, "loss": {"delta": 3.0}}}),
            f"runs/{id}",
            started,
            None if status == "queued" else started,
            ended,
            heartbeat or ended,
            step,
            2000,
            step // 40,
            50,
            error,
        ),
    )
    con.execute("INSERT INTO run_datasets VALUES (?, 1)", (id,))
    if status == "queued":
        con.executemany(
            "INSERT INTO stages VALUES (?,?,?,'waiting',0,NULL,'',NULL,NULL,0)",
            [(id, i, s) for i, s in enumerate(STAGES)],
        )
        return
    last = heartbeat or ended or NOW
    con.execute(
        "INSERT INTO sessions VALUES (NULL,?,?,?,?,?,0,?)",
        (id, 4000 + id, "node1", started, last, status if over else None),
    )
    failed_at = 1 if status == "failed" else None
    at = started
    for i, stage in enumerate(STAGES):
        total, unit = {
            "data": (2000, "questions"),
            "sample": (10000, "samples"),
            "vote": (2000, "questions"),
            "judge": (500, "steps"),
            "train": (2000, "steps"),
            "evaluate": (1000, "questions"),
            "export": (1, "folder"),
        }[stage]
        seconds = {"train": 240, "sample": 6, "judge": 30}.get(stage, 2)
        state, done = "done", total
        if failed_at is not None:
            state, done = ("done", total) if i < failed_at else ("failed", 37) if i == failed_at else ("waiting", 0)
        elif status != "done" and i >= 4:
            state, done = ("running", step) if i == 4 else ("waiting", 0)
        begun = at if state != "waiting" else None
        finish = at + seconds if state in ("done", "failed") else None
        at += seconds
        con.execute(
            "INSERT INTO stages VALUES (?,?,?,?,?,?,?,?,?,0)", (id, i, stage, state, done, total, unit, begun, finish)
        )
    log(con, id, started, "info", "data", "2 000 training, 500 validation and 1 000 test questions")
    log(con, id, started + 1, "info", "sample", "10 000 samples wanted: 5 for each of 2 000 questions")
    if status == "failed":
        log(con, id, started + 2, "warning", "sample", "attempt 1 of 5 failed: HTTP 401 Unauthorized")
        log(con, id, started + 3, "error", "sample", FAILURE, "Traceback (most recent call last):\n  …")
        return
    log(con, id, started + 8, "info", "vote", "vote right 89 % · positives 3.86 per question · no negative 31 %")
    series(con, id, method, step, started + 40, predict, explain)
    for s in range(200, step + 1, 200):
        log(con, id, started + 40 + s / 8, "info", "train", f"step {s} · checkpoint saved")
    if status == "interrupted":
        log(con, id, last, "warning", "train", "stopped as asked at step 600, resumable: `qcrd resume 7`")
    total = 1000
    split, steps = ("test", [step]) if status == "done" else ("validation", list(range(200, step + 1, 200)))
    for s in steps:
        share = s / steps[-1]
        for head, accuracy in (("predict", predict), ("explain", explain)):
            if accuracy is not None:
                score(con, id, split, "student", head, s, round(accuracy * share * total), total)
    if status == "done":
        for head in ("predict", "explain"):
            score(con, id, "test", "untrained", head, 0, 31, total)
        score(con, id, "test", "majority class", "", 0, 118, total)
        score(con, id, "train", "teacher sample", "", 0, 7412, 10000)
        score(con, id, "train", "teacher vote", "", 0, 1778, 2000)


def log(
    con: sqlite3.Connection, run_id: int, at: float, level: str, stage: str, message: str, detail: str | None = None
) -> None:
    con.execute("INSERT INTO logs VALUES (NULL,?,?,?,?,?,?)", (run_id, at, level, stage, message, detail))


def score(
    con: sqlite3.Connection, run_id: int, split: str, who: str, head: str, step: int, right: int, total: int
) -> None:
    p = right / total
    half = 1.96 * math.sqrt(p * (1 - p) / total)
    con.execute(
        "INSERT INTO scores VALUES (?,?,?,?,?,?,?,?,?,?)",
        (run_id, split, who, head, step, right, total, p, max(0, p - half), min(1, p + half)),
    )


def series(
    con: sqlite3.Connection,
    run_id: int,
    method: str,
    step: int,
    started: float,
    predict: float | None,
    explain: float | None,
) -> None:
    """The metrics of a run up to `step`, every tenth step; accuracies every 200."""
    noise = random.Random(run_id)
    curves: dict[str, list[tuple[int, float]]] = {}

    def put(name: str, s: int, value: float) -> None:
        curves.setdefault(name, []).append((s, value))

    for s in range(10, step + 1, 10):
        x = s / 2000
        put("loss/predict", s, 0.4 + 2.2 * math.exp(-4 * x) + noise.gauss(0, 0.05))
        if method != "finetune":
            put("loss/contrast", s, 0.35 + 3.1 * math.exp(-7 * x) + noise.gauss(0, 0.06))
        put("tokens_per_second", s, 4100 + noise.gauss(0, 150))
        if method == "qcrd":
            put("loss/judge", s, -0.2 - 0.6 * x + noise.gauss(0, 0.08))
            put("quality/positive", s, 0.55 + 0.4 * (1 - math.exp(-5 * x)) + noise.gauss(0, 0.02))
            put("quality/negative", s, 0.5 - 0.3 * (1 - math.exp(-5 * x)) + noise.gauss(0, 0.03))
            put("active_share", s, min(1, 0.9 - 0.5 * x + noise.gauss(0, 0.03)))
            for side in ("positive", "negative"):
                mean = curves[f"quality/{side}"][-1][1]
                put(f"quality_low/{side}", s, max(0.0, mean - 0.12))
                put(f"quality_high/{side}", s, min(1.0, mean + 0.09))
        put("lr", s, 2e-3 * min(1, s / 100))
        put("grad_norm", s, 0.4 + 2 * math.exp(-5 * x) + 0.05 * math.sin(s))
        put("memory/host", s, 480 + 40 * (1 - math.exp(-9 * x)))
    for s in range(200, step + 1, 200):
        rise = (1 + math.exp(-(step // 200 * 200 - 800) / 200)) / (1 + math.exp(-(s - 800) / 200))
        if predict is not None:
            put("accuracy/predict", s, predict * rise)
        if explain is not None:
            put("accuracy/explain", s, explain * rise)
    for name, points in curves.items():
        key = con.execute("INSERT INTO series VALUES (NULL,?,?)", (run_id, name)).lastrowid
        con.executemany(
            "INSERT INTO points VALUES (?,?,?,NULL,?)", [(key, s, value, started + s / 8) for s, value in points]
        )


def answers(con: sqlite3.Connection, run_ids: tuple[int, ...]) -> None:
    """What three done runs' students wrote to 20 test questions: they are right on 8, 11 and 13 of them."""
    for i in range(20):
        key, text, gold = (f"test-{i:04d}", *question(500 + i)[1:])
        con.execute("INSERT INTO examples VALUES (1, ?, 'test', ?, ?)", (key, text, gold))
        for run_id, right in zip(run_ids, (i < 8, 2 <= i < 13, i >= 7), strict=True):
            said = gold if right else str(int(gold) + 1)
            for head, words in (
                ("explain", f"first add and then take, finally {said}. the answer is {said}."),
                ("predict", said),
            ):
                con.execute(
                    "INSERT INTO predictions VALUES (?,'test',?,?,2000,?,?,?)",
                    (run_id, key, head, text_id(con, words), said, int(right if head == "explain" else i % 2)),
                )


def text_id(con: sqlite3.Connection, text: str) -> int:
    """The id of a text, stored once."""
    digest = hashlib.sha256(text.encode()).digest()[:16]
    con.execute("INSERT OR IGNORE INTO texts (hash, text) VALUES (?, ?)", (digest, text))
    return int(con.execute("SELECT id FROM texts WHERE hash = ?", (digest,)).fetchone()[0])


def rationales(con: sqlite3.Connection, run_id: int, steps: int) -> None:
    """Votes, rationales, visits and predictions of 40 questions; the first 12 are followed."""
    number = 0
    for i in range(40):
        key, text, gold = question(i)
        r = random.Random(1000 + i)
        a, b, c = (int(w) for w in (text.split()[2], text.split()[7], text.split("sells ")[1][0]))
        right = [
            f"{a} first. first {a} plus {b} makes {a + b}. then {a + b} minus {c} makes {a + b - c}. "
            f"finally {a + b - c} plus 1 makes {gold}. the answer is {gold}.",
            f"begin {a}. first add {b} get {a + b}. then take {c} get {a + b - c}. "
            f"finally add 1 get {gold}. answer {gold}.",
        ]
        wrong_end = a + b + c + 1
        wrong = (
            f"{a} first. first {a} plus {b} makes {a + b}. then {a + b} plus {c} makes {a + b + c}. "
            f"finally {a + b + c} plus 1 makes {wrong_end}. the answer is {wrong_end}."
        )
        slip = (
            f"begin {a}. first add {b} get {a + b}. then take {c} get {a + b - c + 1}. "
            f"finally add 1 get {int(gold) + 1}. answer {int(gold) + 1}."
        )
        con.execute("INSERT INTO votes VALUES (?,?,?,?,4,5,5,0,1,?)", (run_id, key, i, gold, int(i < 12)))
        rows = [("positive", "teacher", 0, slot, t, gold) for slot, t in enumerate((right[0], right[0], right[1]))]
        if i % 3 != 2:
            rows.append(("negative", "minority", 0, 3, slip, str(int(gold) + 1)))
        if i % 5 == 0:
            rows.append(("unparsed", "teacher", 0, 4, "well, that depends on what ben wants.", None))
        iteration = 26
        if i % 3 != 2 and steps >= 40 * 31:
            rows.append(("negative", "self", iteration, 0, wrong, str(wrong_end)))
        numbers = []
        for polarity, source, it, slot, body, answer in rows:
            con.execute(
                "INSERT INTO rationales VALUES (?,?,?,?,?,?,?,?,?,?,NULL)",
                (
                    run_id,
                    number,
                    key,
                    polarity,
                    source,
                    it,
                    slot,
                    text_id(con, body),
                    answer,
                    "strict" if answer else "miss",
                ),
            )
            numbers.append((number, polarity, source))
            number += 1
        trained = [n for n in numbers if n[1] in ("positive", "negative")]
        visits = list(range(40 + i, steps + 1, 63))
        for step in visits if i < 12 else visits[-1:]:
            x = step / 2000
            for n, polarity, source in trained:
                if source == "self" and step < 40 * (iteration + 5):
                    continue
                positive = polarity == "positive"
                first = n == trained[0][0]
                ce = (
                    (0.25 if positive and first else 0.45) + 2.6 * math.exp(-5 * x)
                    if positive
                    else ((1.2 if source == "self" else 2.2) + 1.9 * x)
                )
                quality = 0.94 - 0.05 * (not first) if positive else 0.11 if source == "self" else 0.42
                active = positive or ce < 3
                self_there = any(t[2] == "self" for t in trained) and step >= 40 * (iteration + 5)
                chosen = first if positive else source == ("self" if self_there else "minority")
                weight = (1.02 if positive else -0.18) if chosen and active else 0.0
                row = (quality + r.gauss(0, 0.01), ce + r.gauss(0, 0.03), weight, int(chosen), int(active))
                if i < 12:
                    con.execute(
                        "INSERT INTO visits VALUES (?,?,?,?,?,?,?,?,?,?)", (run_id, key, step, n, step // 40, *row)
                    )
                con.execute(
                    "INSERT OR REPLACE INTO last_visits VALUES (?,?,?,?,?,?,?,?,?,?)",
                    (run_id, n, key, step, step // 40, *row),
                )
        for step in range(200, steps + 1, 200) if i < 12 else ():
            good = step + r.gauss(0, 250) > 900
            for head in ("predict", "explain"):
                con.execute(
                    "INSERT INTO predictions VALUES (?,'followed',?,?,?,?,?,?)",
                    (
                        run_id,
                        key,
                        head,
                        step,
                        text_id(con, right[1] if good else wrong),
                        gold if good else str(wrong_end),
                        int(good),
                    ),
                )
