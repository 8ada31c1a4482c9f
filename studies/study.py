"""A study: one run for each arm and seed, in the background, a line a finished run; then a table.

python studies/study.py STUDY [--minutes M] [--jobs N] [--foreground] [--table]

STUDY is a TOML file here, such as `first_figures.toml`: what is asked, the seeds, what all arms set, what each arm
sets; and, where there are such: `base`, a run whose student all others begin from; `dropped`, arms of the first seed
alone; `tests`, how many tests were declared together with this one's; `votes`, an arm whose runs score answers, and
what `qcrd evaluate` is told to draw of every other arm's student, whose votes are then counted plainly and by the score
of its seed's run.
Detached by default: it goes on when the terminal closes, N runs at a time (1), one thread each, and starts no run after
M minutes (55). Every finished run is a line of results/STUDY.jsonl; what is there is not run again, and what was cut
off is resumed. --table prints the figures as Markdown.
"""

import argparse
import fcntl
import hashlib
import json
import math
import os
import shutil
import subprocess
import sys
import time
import tomllib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

from engine.evaluation.intervals import t_interval

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
    base: list[str]
    """`--set` of the run whose student all others begin from; none: they begin from scratch."""
    dropped: list[str]
    """Arms that are run with the first seed alone: what they did with it is no reason to spend more on them."""
    tests: int
    """Differences that are told together, where other studies were declared with this one; 0: those compared here."""
    judge: str | None
    """The arm whose runs score answers; None: no votes are asked for."""
    evaluate: list[str]
    """Arguments of `qcrd evaluate`."""

    @property
    def results(self) -> Path:
        return HERE / "results" / f"{self.name}.jsonl"

    @property
    def database(self) -> Path:
        return HERE / f"{self.name}.db"

    @property
    def log(self) -> Path:
        return HERE / f"{self.name}.log"

    @property
    def base_folder(self) -> Path:
        """Where the base's student is kept; another base has another folder."""
        return HERE / f"{self.name}-base-{_digest(self.base)}"

    def sets(self, arm: str, seed: int) -> list[str]:
        """All that a run of the arm sets."""
        student = [f"student.model=./studies/{self.base_folder.name}"] if self.base else []
        return [f"seed={seed}", "training.threads=1", *student, *self.common, *self.arms[arm]]

    def finished(self) -> dict[tuple[str, int], dict[str, Any]]:
        """The results so far of what the study asks now, by arm and seed; lines of other settings are left out."""
        return {(line["arm"], line["seed"]): line for line in self._lines() if "votes" not in line}

    def voted(self) -> dict[tuple[str, int], list[dict[str, Any]]]:
        """The votes so far, by arm and seed: a row of `qcrd evaluate` for each number of samples."""
        asked = [self.judge and self.sets(self.judge, 0)[1:], self.evaluate]
        found = [line for line in self._lines() if "votes" in line and line["asked"] == asked]
        return {(line["arm"], line["seed"]): line["votes"] for line in found}

    def _lines(self) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in self.results.read_text().splitlines()] if self.results.exists() else []
        wanted = {(arm, seed): self.sets(arm, seed) for arm in self.arms for seed in self.seeds}
        return [
            line
            for line in lines
            if (key := (line["arm"], line["seed"])) in wanted and line.get("set", wanted[key]) == wanted[key]
        ]

    def missing(self) -> list[tuple[str, int]]:
        """(arm, seed) of the runs that are left: seed by seed, so that what is there can be compared."""
        there = self.finished()
        wanted = [
            (arm, seed) for seed in self.seeds for arm in self.arms if arm not in self.dropped or seed == self.seeds[0]
        ]
        return [one for one in wanted if one not in there]

    def unvoted(self) -> list[tuple[str, int]]:
        """(arm, seed) of the runs that are there, with their seed's judge, and whose votes are not counted yet."""
        there, counted = self.finished(), self.voted()
        return [
            (arm, seed)
            for arm, seed in there
            if self.judge not in (None, arm) and (self.judge, seed) in there and (arm, seed) not in counted
        ]


def load(path: str) -> Study:
    """The study in a TOML file."""
    file = Path(path)
    content = tomllib.loads(file.read_text(encoding="utf-8"))
    arms, base, dropped = content["arms"], content.get("base", []), content.get("dropped", [])
    tests, votes = content.get("tests", 0), content.get("votes", {})
    return Study(
        file.stem,
        content["seeds"],
        content["reference"],
        content["set"],
        arms,
        base,
        dropped,
        tests,
        votes.get("judge"),
        votes.get("evaluate", []),
    )


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
    """Runs what is missing; starts none after `until`. The exit code: 1 where one failed or another process works."""
    lock = Lock()

    def in_time(job: tuple[str, int]) -> bool:
        return time.monotonic() >= until or (one(study, *job, lock) and (job not in study.unvoted() or voted(job)))

    def voted(job: tuple[str, int]) -> bool:
        return time.monotonic() >= until or count_votes(study, *job, lock)

    with study.database.with_suffix(".lock").open("w") as alone:
        try:
            fcntl.flock(alone, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            print(f"another process works on {study.name} already", flush=True)
            return 1
        if study.base and not study.base_folder.is_dir() and not make_base(study):
            return 1
        with ThreadPoolExecutor(jobs) as pool:
            done = all(list(pool.map(in_time, study.missing())))
            return 0 if all(list(pool.map(voted, study.unvoted()))) and done else 1


def make_base(study: Study) -> bool:
    """Trains the base and keeps its student; whether it is there."""
    run = trained(study, f"base ({_digest(study.base)})", study.base)
    if run is None:
        return False
    partial = study.base_folder.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    shutil.copytree(study.database.parent / run["folder"] / "student", partial)
    partial.rename(study.base_folder)  # whole or not at all
    return True


def trained(study: Study, name: str, sets: list[str]) -> dict[str, Any] | None:
    """The run of that name, done: made, resumed where an earlier session left it, or as it is; None where it failed."""
    quoted = name.replace("'", "''")
    latest = f"SELECT id, status, seconds, folder FROM run_summary WHERE name = '{quoted}' ORDER BY id DESC LIMIT 1"
    known = ask(study, latest)
    if not known:
        flags = [part for one in sets for part in ("--set", one)]
        command = ["run", str(HERE / "built_in.toml"), "--name", name, *flags]
    else:
        command = [] if known[0]["status"] == "done" else ["resume", str(known[0]["id"])]
    if command:
        code = qcrd(study, *command).returncode
        if code:
            print(f"{name}: exit code {code}", flush=True)
            return None
    return ask(study, latest)[0]


def one(study: Study, arm: str, seed: int, lock: Lock) -> bool:
    """One run, in a process of its own. Whether its line was written."""
    sets = study.sets(arm, seed)
    name = name_of(study, arm, seed)
    run = trained(study, name, sets)
    if run is None:
        return False
    result = {
        "arm": arm,
        "seed": seed,
        "set": sets,
        "commit": provenance(study, run["id"], "commit"),
        "machine": provenance(study, run["id"], "cpu"),
        "seconds": round(run["seconds"]),
        "scores": ask(study, SCORES.format(id=run["id"])),
    }
    study.results.parent.mkdir(exist_ok=True)
    with lock, study.results.open("a") as file:
        file.write(json.dumps(result) + "\n")
    print(f"{name}: done", flush=True)
    return True


def count_votes(study: Study, arm: str, seed: int, lock: Lock) -> bool:
    """Answers of the run's student drawn, and their votes counted. Whether its line was written."""
    assert study.judge is not None
    ids = []
    for one in (arm, study.judge):
        quoted = name_of(study, one, seed).replace("'", "''")
        ids.append(str(ask(study, f"SELECT max(id) AS id FROM run_summary WHERE name = '{quoted}'")[0]["id"]))
    done = qcrd(study, "evaluate", ids[0], "--vote", "asc", "--ranking", ids[1], *study.evaluate, "--json")
    if done.returncode:
        print(f"votes of {arm} seed {seed}: exit code {done.returncode}", flush=True)
        return False
    asked = [study.sets(study.judge, 0)[1:], study.evaluate]
    result = {"arm": arm, "seed": seed, "set": study.sets(arm, seed), "asked": asked, "votes": json.loads(done.stdout)}
    with lock, study.results.open("a") as file:
        file.write(json.dumps(result) + "\n")
    print(f"votes of {arm} seed {seed}: done", flush=True)
    return True


def name_of(study: Study, arm: str, seed: int) -> str:
    """Of a run; other settings are another run."""
    return f"{arm} seed {seed} ({_digest(study.sets(arm, seed))})"


def _digest(sets: list[str]) -> str:
    return hashlib.sha256("\n".join(sets).encode()).hexdigest()[:8]


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
    """Rows of the study's database; none where there is no database yet. Raises where it cannot be read."""
    if not study.database.exists():
        return []
    found = qcrd(study, "query", sql, "--json")
    found.check_returncode()
    rows: list[dict[str, Any]] = json.loads(found.stdout)
    return rows


def provenance(study: Study, run_id: int, key: str) -> str | None:
    """What the run's row of that name says."""
    found = ask(study, f"SELECT value FROM provenance WHERE run_id = {run_id} AND key = '{key}'")
    return found[0]["value"] if found else None


def table(study: Study) -> str:
    """A row an arm: mean accuracy in % with its t interval over seeds, and the paired difference to the reference.

    The differences' intervals are at 95 % together: each at 1 - 0.05 / (number of tests), after Bonferroni.
    """
    finished = study.finished()
    values: dict[tuple[str, str, str], dict[int, float]] = {}
    seconds: dict[str, list[float]] = {}
    for (arm, seed), line in finished.items():
        seconds.setdefault(arm, []).append(line["seconds"])
        for score in line["scores"]:
            by_seed = values.setdefault((arm, score["split"], score["head"]), {})
            by_seed[seed] = 100 * score["correct"] / score["total"]
    base = values.get((study.reference, *MEASURED), {})
    without = {arm for arm in seconds if (arm, *MEASURED) not in values}  # a method that has no such head
    compared = [arm for arm in study.arms if arm != study.reference and arm not in without]
    tests = study.tests or max(1, len(compared))
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
        cells += [cell(differences, 1 - 0.05 / tests, sign="+"), spread(differences)]
        cells.append(f"{sum(seconds[arm]) / len(seconds[arm]):.0f}")
        out.append(f"| {arm} | {len(seconds[arm])} | " + " | ".join(cells) + " |")
    if study.judge:
        out += ["", *vote_table(study)]
    commits = sorted({str(line["commit"])[:7] for line in finished.values()})
    return "\n".join([*out, "", f"Commits: {', '.join(commits)}. Intervals of differences: {tests} told together."])


def vote_table(study: Study) -> list[str]:
    """A row an arm: accuracy in % of votes among all samples, counted plainly and by score, and the difference of the
    two within a run: mean and 95 % t interval over seeds."""
    voted = study.voted()
    most = max((row["samples"] for rows in voted.values() for row in rows), default=0)
    out = [f"| arm | seeds | count of {most} | ASC of {most} | ASC - count |", "|" + " --- |" * 5]
    for arm in study.arms:
        rows = [row for (of, _), some in voted.items() if of == arm for row in some if row["samples"] == most]
        if rows:
            told = [[100 * row[name] for row in rows] for name in ("count", "weighted", "difference")]
            cells = [cell(told[0]), cell(told[1]), cell(told[2], sign="+")]
            out.append(f"| {arm} | {len(rows)} | " + " | ".join(cells) + " |")
    return out


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
