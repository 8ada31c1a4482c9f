"""Every method with every seed: a group's queue is started, followed and stopped as a run is, and ends in one table."""

import os
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path
from subprocess import Popen
from typing import TYPE_CHECKING

import typer

from app.cli.attach import Asked, leave_quietly, signals
from app.cli.compare import print_comparison
from app.cli.options import command
from app.settings import CLAIM_SECONDS, LINE_SECONDS, POLL_SECONDS
from engine.errors import QcrdError, UsageError
from engine.runs.launch import is_alive, last_lines, queue_log, start_queue
from engine.store.connect import open_reader
from engine.store.runs.groups import Group, GroupRun, create_group, read_group, stop_group
from engine.text import clean, one_line

if TYPE_CHECKING:
    from engine.spec.run import RunSpec


def begin_group(database: Path, specs: "Sequence[RunSpec]", jobs: int | None, detach: bool) -> None:
    """Queue the runs, or go on with them where the same command queued them before, and follow them to the table."""
    group_id, made = create_group(database, specs)
    group = look(database, group_id)
    methods = " ".join(dict.fromkeys(run.method for run in group.runs))
    seeds = " ".join(dict.fromkeys(str(run.seed) for run in group.runs))
    what = (
        f"{len(group.runs)} runs ({methods}; seeds {seeds})" if made else f"{group.done} of {len(group.runs)} runs done"
    )
    print(f"group g{group_id}: {one_line(group.name)}: {what}, in {database}", file=sys.stderr)
    go_on(database, group_id, jobs, detach)


def go_on(database: Path, group_id: int, jobs: int | None, detach: bool) -> None:
    """Work on what is not done of a group, then show its table; where all is done, the table alone."""
    group = look(database, group_id)
    if group.alive:
        raise UsageError(
            f"group g{group_id} is being worked on by process {group.pid}: "
            f"`{command(database, f'attach g{group_id}')}` follows it"
        )
    if group.done == len(group.runs):
        print(f"all runs of group g{group_id} are done; another --name makes another group", file=sys.stderr)
        print_comparison(database, group_id)
        return
    queue = start_queue(database, group_id, jobs)
    _wait_until_claimed(database, group_id, queue)
    if detach:
        print(f"g{group_id}")
        print(f"`{command(database, f'attach g{group_id}')}` follows it", file=sys.stderr)
        return
    follow_group(database, group_id, queue)


def follow_group(database: Path, group_id: int, queue: "Popen[bytes] | None") -> None:
    """Show a group until its queue ends, then its table; returns where all is done, else raises as `qcrd run` does.

    `queue`: the process, where this command started it: Ctrl-C then stops the runs; else it only stops watching.
    """
    with signals(owner=queue is not None) as asked:
        _watch(database, group_id, queue, asked)
    _finish(database, group_id)


def look(database: Path, group_id: int) -> Group:
    """The group now."""
    with closing(open_reader(database)) as connection:
        return read_group(connection, group_id)


def _watch(database: Path, group_id: int, queue: "Popen[bytes] | None", asked: Asked) -> None:
    lines = _Lines()
    ordered = killed = False
    while True:
        exited = queue is not None and queue.poll() is not None  # before the look: what it wrote last is then seen
        group = look(database, group_id)
        if asked.hangup:
            leave_quietly()
        lines.update(group)
        if killed and (exited or not group.alive):
            print(f"killed; what was stored is kept: `{_resume(database, group_id)}` goes on", file=sys.stderr)
            raise typer.Exit(130)
        if exited or (queue is None and not group.alive):
            return
        if asked.interrupts and queue is None:
            print(f"detached; the runs go on: `{command(database, f'attach g{group_id}')}`", file=sys.stderr)
            raise typer.Exit(0)
        if (asked.interrupts or asked.stop) and not ordered:
            ordered = True
            print("stopping after a checkpoint; Ctrl-C again kills the workers", file=sys.stderr)
            try:
                stop_group(database, group_id)
            except QcrdError:  # a full disk has no room for an order; the queue listens to signals as well
                _kill(group, signal.SIGTERM)
        if asked.interrupts > 1 and not killed:
            killed = True
            _kill(group, signal.SIGKILL)
            for run in group.runs:
                if run.alive and run.pid is not None:
                    with suppress(ProcessLookupError):
                        os.kill(run.pid, signal.SIGKILL)
        time.sleep(POLL_SECONDS if not killed else 0.05)


def _kill(group: Group, number: int) -> None:
    if group.pid is not None and group.host is not None and is_alive(group.pid, group.host):
        os.kill(group.pid, number)


def _finish(database: Path, group_id: int) -> None:
    """The table of what is done, and why the rest is not."""
    group = look(database, group_id)
    if group.done:
        print_comparison(database, group_id)
    left = [run for run in group.runs if run.status != "done"]
    if not left:
        return
    hint = _resume(database, group_id)
    failed = [run for run in left if run.status not in ("queued", "interrupted")]
    for run in left:
        if run in failed or run.error:
            why = run.error or "its worker died" if not run.alive else "its worker goes on"
            print(f"{_named(run)}: {one_line(why)}", file=sys.stderr)
    if not group.ended:
        for line in last_lines(queue_log(database, group_id)):
            print("  " + clean(line), file=sys.stderr)
        raise QcrdError(f"the queue of group g{group_id} (pid {group.pid}) died; `{hint}` picks it up")
    if group.stop or not failed:  # what failed before is told above
        print(f"group g{group_id} stopped with {group.done} of {len(group.runs)} runs done: `{hint}`", file=sys.stderr)
        raise typer.Exit(130)
    raise QcrdError(f"{len(failed)} of {len(group.runs)} runs of group g{group_id} failed; `{hint}` tries them again")


def _resume(database: Path, group_id: int) -> str:
    return command(database, f"resume g{group_id}")


def _wait_until_claimed(database: Path, group_id: int, queue: "Popen[bytes]") -> None:
    give_up = time.monotonic() + CLAIM_SECONDS
    while time.monotonic() < give_up:
        ended = queue.poll() is not None
        if look(database, group_id).pid == queue.pid:
            return
        if ended:
            said = " ".join(last_lines(queue_log(database, group_id), 1)) or "it said nothing"
            raise QcrdError(f"the queue of group g{group_id} ended at once: {clean(said).removeprefix('error: ')}")
        time.sleep(0.05)
    raise QcrdError(f"the queue of group g{group_id} (pid {queue.pid}) has not begun after {CLAIM_SECONDS:.0f} s")


class _Lines:
    """On stderr: a line when a run begins or ends, and every few seconds where those at work are."""

    def __init__(self) -> None:
        self._states: dict[int, str] = {}
        self._progress = ""
        self._at = 0.0

    def update(self, group: Group) -> None:
        """Say what is new."""
        for run in group.runs:
            before, self._states[run.id] = self._states.get(run.id, "queued"), run.status
            if run.status != before:
                error = f": {one_line(run.error)}" if run.error else ""
                self._note(f"{group.done}/{len(group.runs)} done · {_named(run)} {run.status}{error}")
        now = time.monotonic()
        progress = ", ".join(f"{_named(run)} {_at(run)}" for run in group.runs if run.alive and run.stage)
        if progress and progress != self._progress and now - self._at >= LINE_SECONDS:
            self._note(progress)
            self._progress = progress

    def _note(self, text: str) -> None:
        self._at = time.monotonic()
        print(f"{time.strftime('%H:%M:%S')}  {text}", file=sys.stderr, flush=True)


def _named(run: GroupRun) -> str:
    return f"run {run.id} ({run.method}, seed {run.seed})"


def _at(run: GroupRun) -> str:
    return f"train {run.step}/{run.steps}" if run.stage == "train" else one_line(run.stage)
