"""The process that works off a group's queue: one run at a time, or one for each GPU, each in a worker of its own.

`python -m engine.runs.grid DATABASE GROUP JOBS` (JOBS 0: one, or one for each GPU). Exit codes: 0 all done, 1 some
failed, 130 stopped, by an order or at a run's budget, and resumable. It holds no state of its own: killed and started
again, it finds in the database what is done and what a worker of its predecessor's is still at.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path

from engine.errors import QcrdError
from engine.runs.launch import start_worker
from engine.store.connect import open_reader
from engine.store.runs.groups import Group, GroupRun, beat_group, claim_group, read_group
from engine.store.runs.run import order

HEARTBEAT_SECONDS = 2.0
LOOK_EVERY = 0.25
"""Seconds between two looks at the runs."""


def main(arguments: list[str]) -> int:
    """Work off the group that the arguments (database, id, jobs) name; the exit code."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal is not ours: see engine/runs/worker.py
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        database, group_id, jobs = Path(arguments[0]), int(arguments[1]), int(arguments[2])
    except (IndexError, ValueError):
        print("usage: python -m engine.runs.grid DATABASE GROUP JOBS", file=sys.stderr)
        return 1
    try:
        if not database.exists():  # writing would make an empty one in its place
            raise QcrdError(f"no database at {database}: group g{group_id} cannot be worked on")
        claim_group(database, group_id)
        return Queue(database, group_id, jobs).work()
    except QcrdError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        return 1


class Queue:
    """The workers of one group, and where they are."""

    def __init__(self, database: Path, group_id: int, jobs: int) -> None:
        self._database = database
        self._group_id = group_id
        self._jobs = jobs
        self._workers: dict[int, subprocess.Popen[bytes]] = {}
        self._places: dict[int, int] = {}
        self._tried: set[int] = set()
        self._stop = False
        self._ordered: set[int] = set()

    def work(self) -> int:
        """Until every run was tried once, or the group is stopped and no worker is left; the exit code."""
        for number in (signal.SIGTERM, signal.SIGUSR1):
            signal.signal(number, self._on_signal)
        with closing(open_reader(self._database)) as conn:
            group = read_group(conn, self._group_id)
            for run in group.runs:
                if run.status != "done" and not run.alive:  # takes back what was asked of it before
                    order(self._database, run.id, "resume")
            gpus = [] if all(run.device == "cpu" for run in group.runs) else visible_gpus()
            variables = places(gpus, self._jobs, max(run.processes for run in group.runs))
            beaten = time.monotonic()
            while self._tend(group, variables):
                if time.monotonic() - beaten > HEARTBEAT_SECONDS:
                    beat_group(self._database, self._group_id)
                    beaten = time.monotonic()
                time.sleep(LOOK_EVERY)
                ended = [run_id for run_id, worker in self._workers.items() if worker.poll() is not None]
                group = read_group(conn, self._group_id)  # after the poll: what they wrote last is then seen
                for run_id in ended:
                    del self._workers[run_id], self._places[run_id]
                self._stop = self._stop or group.stop
        beat_group(self._database, self._group_id, ended=True)
        if group.done == len(group.runs):
            return 0
        failed = any(run.status not in ("done", "interrupted", "queued") for run in group.runs)
        return 1 if failed and not self._stop else 130

    def _tend(self, group: Group, variables: Sequence[dict[str, str]]) -> bool:
        """Start what is next, or stop what runs; whether there is more to wait for."""
        active = [run for run in group.runs if run.alive or run.id in self._workers]
        if self._stop:
            for run in active:
                self._order_stop(run)
            return bool(active)
        busy = {run.id for run in active}
        waiting = [r for r in group.runs if r.id not in busy | self._tried and r.status != "done"]
        # at a run's budget nobody goes on buying: the next one would buy on, under a budget of its own
        ended = self._tried - busy
        at_limit = any(run.id in ended and run.status == "interrupted" and run.error for run in group.runs)
        buying = at_limit or any(run.buying for run in active)
        for run in waiting:
            if len(busy) >= len(variables):
                break
            if run.buying and buying:  # two that ask the same at once would pay twice; the second finds it stored
                continue
            self._start(run, variables)
            busy.add(run.id)
            buying = buying or run.buying
        return bool(busy)

    def _start(self, run: GroupRun, variables: Sequence[dict[str, str]]) -> None:
        taken = set(self._places.values())
        place = next((at for at in range(len(variables)) if at not in taken), 0)
        self._tried.add(run.id)
        try:
            self._workers[run.id] = start_worker(self._database, run.id, variables[place])
            self._places[run.id] = place
        except OSError as error:
            print(f"error: run {run.id} cannot be started: {error}", file=sys.stderr, flush=True)

    def _order_stop(self, run: GroupRun) -> None:
        if run.id in self._ordered:
            return
        self._ordered.add(run.id)
        try:
            order(self._database, run.id, "stop")
        except QcrdError:  # it has not claimed its run yet, or the disk has no room for an order
            worker = self._workers.get(run.id)
            with suppress(ProcessLookupError):
                if worker is not None:
                    worker.terminate()
                elif run.pid is not None:
                    os.kill(run.pid, signal.SIGTERM)

    def _on_signal(self, _number: int, _frame: object) -> None:
        self._stop = True


def places(gpus: Sequence[str], jobs: int, each: int = 1) -> list[dict[str, str]]:
    """What each of the workers that may run at once has in its environment: its GPUs (`each`), where there are more."""
    sets = [",".join(gpus[at : at + each]) for at in range(0, len(gpus) - each + 1, each)]
    count = jobs or max(1, len(sets))
    return [{"CUDA_VISIBLE_DEVICES": sets[at % len(sets)]} if len(gpus) > each else {} for at in range(count)]


def visible_gpus() -> list[str]:
    """The GPUs that a worker may use, by what CUDA_VISIBLE_DEVICES calls them; torch is not loaded for their sake."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return [name.strip() for name in named.split(",") if name.strip() not in ("", "-1")]
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    try:
        listed = subprocess.run(
            [program, "--query-gpu=index", "--format=csv,noheader"],
            capture_output=True, text=True, timeout=20, check=True, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return []
    return [line.strip() for line in listed.stdout.splitlines() if line.strip().isdigit()]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
