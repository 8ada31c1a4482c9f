"""First figures: the methods on the built-in task, three seeds, both heads; `make study` starts or continues it.

python studies/first_figures.py [--foreground] [--table]

Detached by default: it goes on when the terminal closes, two runs at a time, one thread each. Every finished run is a
line of results/first_figures.jsonl, and what is there is not run again; a run that was cut off is resumed. --table
prints the figures as Markdown.
"""

import json
import os
import subprocess
import sys
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from threading import Lock
from typing import Any

from engine.intervals import t_interval

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results" / "first_figures.jsonl"
DATABASE = HERE / "first_figures.db"
LOG = HERE / "first_figures.log"
SEEDS = (0, 1, 2)
MORE_SEEDS = (3, 4)
"""Of qcrd alone, for the median of the built-in experiment."""
ARMS: dict[str, dict[str, Any]] = {
    "finetune": {"name": "finetune"},
    "single-task": {"name": "single-task"},
    "dss, first sample": {"name": "dss", "samples": "first"},
    "dss, vote": {"name": "dss", "samples": "majority"},
    "positives": {"name": "positives"},
    "qcrd": {"name": "qcrd"},
}
SCORES = """
SELECT split, head, correct, total FROM scores
WHERE run_id = {id} AND who = 'student' AND split IN ('test', 'unseen') ORDER BY split, head
"""


JOBS = [(arm, seed) for seed in SEEDS for arm in ARMS] + [("qcrd", seed) for seed in MORE_SEEDS]


def main(arguments: list[str]) -> int:
    if "--table" in arguments:
        print(table(finished()))
        return 0
    if "--foreground" in arguments:
        return work()
    with LOG.open("ab") as log:
        started = subprocess.Popen(
            [sys.executable, __file__, "--foreground"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd=HERE.parent,
        )
    done = len(finished())
    print(f"{done} of {len(JOBS)} runs are done; process {started.pid} does the rest and writes {LOG}")
    return 0


def finished() -> list[dict[str, Any]]:
    """The results so far."""
    if not RESULTS.exists():
        return []
    return [json.loads(line) for line in RESULTS.read_text().splitlines()]


def work() -> int:
    """Runs what is missing, cheap arms first within a seed."""
    there = {(line["arm"], line["seed"]) for line in finished()}
    missing = [job for job in JOBS if job not in there]
    lock = Lock()
    with ThreadPoolExecutor(2) as pool:
        codes = list(pool.map(lambda job: one(*job, lock), missing))
    return max(codes, default=0)


def one(arm: str, seed: int, lock: Lock) -> int:
    """One run, in a process of its own; resumed where an earlier study left it."""
    name = f"{arm} seed {seed}"
    known = ask(f"SELECT id, status FROM run_summary WHERE name = '{name}' ORDER BY id DESC LIMIT 1")
    if known and known[0]["status"] != "done":
        command = ["resume", str(known[0]["id"])]
    elif known:
        command = []
    else:
        method = ", ".join(f'{key} = "{value}"' for key, value in ARMS[arm].items())
        spec = str(HERE / "first_figures.toml")
        command = ["run", spec, "--name", name, "--set", f"seed={seed}", "--set", f"method={{{method}}}"]
    if command:
        code = qcrd(*command).returncode
        if code:
            print(f"{name}: exit code {code}", flush=True)
            return code
    run = ask(f"SELECT id, seconds FROM run_summary WHERE name = '{name}' ORDER BY id DESC LIMIT 1")[0]
    result = {
        "arm": arm,
        "seed": seed,
        "commit": provenance(run["id"], "commit"),
        "machine": provenance(run["id"], "cpu"),
        "seconds": round(run["seconds"]),
        "scores": ask(SCORES.format(id=run["id"])),
    }
    RESULTS.parent.mkdir(exist_ok=True)
    with lock, RESULTS.open("a") as file:
        file.write(json.dumps(result) + "\n")
    print(f"{name}: done", flush=True)
    return 0


def qcrd(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "app.cli.main", "--db", str(DATABASE), *arguments],
        cwd=HERE.parent,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )


def ask(sql: str) -> list[dict[str, Any]]:
    """Rows of the study's database; none where there is no database yet."""
    if not DATABASE.exists():
        return []
    found = qcrd("query", sql, "--json")
    return json.loads(found.stdout) if found.returncode == 0 else []


def provenance(run_id: int, key: str) -> str | None:
    found = ask(f"SELECT value FROM provenance WHERE run_id = {run_id} AND key = '{key}'")
    return found[0]["value"] if found else None


def table(lines: list[dict[str, Any]]) -> str:
    """A row an arm: mean accuracy in % over the common seeds, 95 % t interval; then qcrd over all its seeds."""
    columns = [("test", "predict"), ("test", "explain"), ("unseen", "predict"), ("unseen", "explain")]
    values: dict[tuple[str, str, str], list[float]] = defaultdict(list)
    seconds: dict[str, list[float]] = defaultdict(list)
    for line in (x for x in lines if x["seed"] in SEEDS):
        seconds[line["arm"]].append(line["seconds"])
        for score in line["scores"]:
            values[line["arm"], score["split"], score["head"]].append(100 * score["correct"] / score["total"])
    out = [
        "| method | seeds | " + " | ".join(f"{split}, {head}" for split, head in columns) + " | seconds a run |",
        "|" + " --- |" * (len(columns) + 3),
    ]
    for arm in ARMS:
        if arm in seconds:
            cells = [cell(values[arm, split, head]) for split, head in columns]
            time = f"{sum(seconds[arm]) / len(seconds[arm]):.0f}"
            out.append(f"| {arm} | {len(seconds[arm])} | " + " | ".join(cells) + f" | {time} |")
    explain = sorted(
        (score["correct"] / score["total"], line["seed"])
        for line in lines
        if line["arm"] == "qcrd"
        for score in line["scores"]
        if (score["split"], score["head"]) == ("test", "explain")
    )
    if explain:
        values_by_seed = ", ".join(f"{100 * value:.1f} (seed {seed})" for value, seed in explain)
        middle = median(value for value, _ in explain)
        out += ["", f"qcrd, explain head on test, all its seeds: {values_by_seed}; median {100 * middle:.1f}."]
    return "\n".join(out)


def cell(values: list[float]) -> str:
    """`mean (low to high)`, or a dash where the method has no such head."""
    if not values:
        return "–"
    mean = sum(values) / len(values)
    interval = t_interval(values)
    return f"{mean:.1f}" if interval is None else f"{mean:.1f} ({interval[0]:.1f} to {interval[1]:.1f})"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
