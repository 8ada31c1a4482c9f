"""A study: one run for each arm and seed, in the background, a line a finished run; then a table.

python studies/study.py STUDY [--minutes M] [--jobs N] [--foreground] [--table]

STUDY is a TOML file here, such as `first_figures.toml`: what is asked, the seeds, what all arms set, and what each arm
sets. Detached by default: it goes on when the terminal closes, N runs at a time (1), one thread each, and starts no
run after M minutes (55). Every finished run is a line of results/STUDY.jsonl; what is there is not run again, and what
was cut off is resumed. --table prints the figures as Markdown.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import time
import tomllib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Any

from engine.intervals import t_interval

HERE = Path(__file__).resolve().parent
COLUMNS = [("test", "predict"), ("test", "explain"), ("unseen", "predict"), ("unseen", "explain")]
MEASURED = ("test", "explain")
"""The score that arms are compared by."""
SCORES = """
SELECT split, head, correct, total FROM scores
WHERE run_id = {id} AND who = 'student' AND split IN ('test', 'unseen') ORDER BY split, head
"""


@dataclass(frozen=True)
class Study:
    """What a study's TOML file says, and where its results are."""

    name: str
    seeds: list[int]
    reference: str
    """The arm that the others are compared with, seed by seed."""
    common: list[str]
    """`--set` of every run."""
    arms: dict[str, list[str]]
    """`--set` of each arm's runs; cheap arms first."""

    @property
    def results(self) -> Path:
        return HERE / "results" / f"{self.name}.jsonl"

    @property
    def database(self) -> Path:
        return HERE / f"{self.name}.db"

    @property
    def log(self) -> Path:
        return HERE / f"{self.name}.log"

    @cached_property
    def finished(self) -> list[dict[str, Any]]:
        """The results so far."""
        if not self.results.exists():
            return []
        return [json.loads(line) for line in self.results.read_text().splitlines()]

    def missing(self) -> list[tuple[str, int]]:
        """(arm, seed) of the runs that are left: seed by seed, so that what is there can be compared."""
        there = {(line["arm"], line["seed"]) for line in self.finished}
        return [(arm, seed) for seed in self.seeds for arm in self.arms if (arm, seed) not in there]


def load(path: str) -> Study:
    """The study in a TOML file."""
    file = Path(path)
    content = tomllib.loads(file.read_text(encoding="utf-8"))
    return Study(file.stem, content["seeds"], content["reference"], content["set"], content["arms"])


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("study")
    parser.add_argument("--minutes", type=float, default=55)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--foreground", action="store_true")
    parser.add_argument("--table", action="store_true")
    options = parser.parse_args()
    study = load(options.study)
    if options.table:
        print(table(study))
        return 0
    if options.foreground:
        return work(study, options.jobs, time.monotonic() + 60 * options.minutes)
    with study.log.open("ab") as log:
        started = subprocess.Popen(
            [sys.executable, *sys.argv, "--foreground"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    print(f"{len(study.missing())} runs are left; process {started.pid} goes on with them and writes {study.log}")
    return 0


def work(study: Study, jobs: int, until: float) -> int:
    """Runs what is missing; starts none after `until`."""
    lock = Lock()

    def in_time(job: tuple[str, int]) -> int:
        return one(study, *job, lock) if time.monotonic() < until else 0

    with ThreadPoolExecutor(jobs) as pool:
        return max(pool.map(in_time, study.missing()), default=0)


def one(study: Study, arm: str, seed: int, lock: Lock) -> int:
    """One run, in a process of its own; resumed where an earlier session left it."""
    name = f"{arm} seed {seed}"
    latest = f"SELECT id, status, seconds FROM run_summary WHERE name = '{name}' ORDER BY id DESC LIMIT 1"
    known = ask(study, latest)
    if not known:
        sets = [f"seed={seed}", "training.threads=1", *study.common, *study.arms[arm]]
        flags = [part for one in sets for part in ("--set", one)]
        command = ["run", str(HERE / "built_in.toml"), "--name", name, *flags]
    else:
        command = [] if known[0]["status"] == "done" else ["resume", str(known[0]["id"])]
    if command:
        code = qcrd(study, *command).returncode
        if code:
            print(f"{name}: exit code {code}", flush=True)
            return code
    run = ask(study, latest)[0]
    result = {
        "arm": arm,
        "seed": seed,
        "commit": provenance(study, run["id"], "commit"),
        "machine": provenance(study, run["id"], "cpu"),
        "seconds": round(run["seconds"]),
        "scores": ask(study, SCORES.format(id=run["id"])),
    }
    study.results.parent.mkdir(exist_ok=True)
    with lock, study.results.open("a") as file:
        file.write(json.dumps(result) + "\n")
    print(f"{name}: done", flush=True)
    return 0


def qcrd(study: Study, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A command on the study's database."""
    return subprocess.run(
        [sys.executable, "-m", "app.cli.main", "--db", str(study.database), *arguments],
        cwd=HERE.parent,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )


def ask(study: Study, sql: str) -> list[dict[str, Any]]:
    """Rows of the study's database; none where there is no database yet."""
    if not study.database.exists():
        return []
    found = qcrd(study, "query", sql, "--json")
    return json.loads(found.stdout) if found.returncode == 0 else []


def provenance(study: Study, run_id: int, key: str) -> str | None:
    """What the run's row of that name says."""
    found = ask(study, f"SELECT value FROM provenance WHERE run_id = {run_id} AND key = '{key}'")
    return found[0]["value"] if found else None


def table(study: Study) -> str:
    """A row an arm: mean accuracy in % with its t interval over seeds, and the paired difference to the reference.

    The differences' intervals are at 95 % together: each at 1 - 0.05 / (number of comparisons), after Bonferroni.
    """
    values: dict[tuple[str, str, str], dict[int, float]] = {}
    seconds: dict[str, list[float]] = {}
    for line in study.finished:
        if line["seed"] in study.seeds:
            seconds.setdefault(line["arm"], []).append(line["seconds"])
            for score in line["scores"]:
                by_seed = values.setdefault((line["arm"], score["split"], score["head"]), {})
                by_seed[line["seed"]] = 100 * score["correct"] / score["total"]
    base = values.get((study.reference, *MEASURED), {})
    compared = [arm for arm in study.arms if arm != study.reference and (arm, *MEASURED) in values]
    out = [
        "| arm | seeds | "
        + " | ".join(f"{split}, {head}" for split, head in COLUMNS)
        + f" | {' '.join(MEASURED)} - {study.reference} | sd of that | seconds a run |",
        "|" + " --- |" * (len(COLUMNS) + 5),
    ]
    for arm in (a for a in study.arms if a in seconds):
        cells = [cell(list(values.get((arm, *column), {}).values())) for column in COLUMNS]
        own = values.get((arm, *MEASURED), {})
        differences = [own[seed] - base[seed] for seed in own if seed in base] if arm in compared else []
        cells += [cell(differences, 1 - 0.05 / max(1, len(compared)), sign="+"), spread(differences)]
        cells.append(f"{sum(seconds[arm]) / len(seconds[arm]):.0f}")
        out.append(f"| {arm} | {len(seconds[arm])} | " + " | ".join(cells) + " |")
    return "\n".join(out)


def cell(values: list[float], confidence: float = 0.95, sign: str = "") -> str:
    """`mean (low to high)`, or a dash where there is nothing."""
    if not values:
        return "–"
    mean = sum(values) / len(values)
    interval = t_interval(values, confidence)
    if interval is None:
        return f"{mean:{sign}.1f}"
    return f"{mean:{sign}.1f} ({interval[0]:{sign}.1f} to {interval[1]:{sign}.1f})"


def spread(values: list[float]) -> str:
    """The standard deviation, or a dash for fewer than two values."""
    if len(values) < 2:
        return "–"
    mean = sum(values) / len(values)
    return f"{math.sqrt(sum((v - mean) ** 2 for v in values) / (len(values) - 1)):.1f}"


if __name__ == "__main__":
    sys.exit(main())
