"""Follow a run from the terminal it was started in, or from another: what the signals mean, and how it ends."""

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen
from types import FrameType

import typer

from app.cli.options import command, with_database
from app.cli.progress import Display, display
from app.settings import CLAIM_SECONDS, POLL_SECONDS
from engine.errors import ANOTHER_RUN, Interrupted, QcrdError
from engine.runs.launch import is_alive, log_tail
from engine.store.connect import open_reader
from engine.store.filesystem import is_full
from engine.store.runs.browse import with_clock
from engine.store.runs.live import Live, LiveReader, Session
from engine.text import one_line

ENDED = ("done", "failed", "interrupted")


@dataclass(slots=True)
class Asked:
    """What signals have asked for so far; the loop looks at it, handlers only write it down."""

    interrupts: int = 0
    stop: bool = False
    hangup: bool = False

    def poll(self) -> None:
        """For who buys in this very process: raises Interrupted once a signal has come."""
        if self.interrupts or self.stop or self.hangup:
            raise Interrupted("stopped; what was bought is stored")


def follow(database: Path, run_id: int, worker: Popen[bytes] | None, owner: bool, after: int = 0) -> None:
    """Show the run until it ends; returns where it is done, raises where it failed, died or was stopped.

    `owner`: Ctrl-C stops the run, as for the command that started it; else it only stops watching. `after`: the last id
    of the run's log that is old news.
    """
    reader = LiveReader(run_id)
    with signals(owner) as asked:
        screen = display()
        try:
            _watch(database, reader, worker, owner, after, asked, screen)
        finally:
            screen.close()
    finish(database, run_id)


def finish(database: Path, run_id: int) -> None:
    """Say how an ended run ended: its summary on stdout, or its error. Raises QcrdError or typer.Exit(130)."""
    live = look(database, LiveReader(run_id))
    if live.run.status == "failed":
        hint = command(database, f"resume {run_id}")
        reason = with_database((live.run.error or "no reason was stored").rstrip("."), database)
        tries_again = "" if reason.endswith(ANOTHER_RUN) else f"; `{hint}` tries again"
        raise QcrdError(f"run {run_id} failed: {reason}{tries_again}")
    if live.run.status == "interrupted":
        hint = command(database, f"resume {run_id}")
        at = f" at step {live.run.step}" if live.run.step else ""
        can_go_on = f"run {run_id} stopped{at} and can go on: `{hint}`"
        # at a limit of its own, which a resume alone does not move
        limit = f"run {run_id} stopped: {with_database(one_line(live.run.error), database)}" if live.run.error else None
        print(limit or can_go_on, file=sys.stderr)
        raise typer.Exit(130)
    from app.cli.summary import print_summary

    print_summary(database, run_id)


def look(database: Path, reader: LiveReader) -> Live:
    """The run now. The connection is closed at once: an open one would let the write-ahead log grow."""
    with closing(open_reader(database)) as connection:
        live = reader.read(connection)
    if live is None:
        raise QcrdError(f"run {reader.run_id} is no longer in {database}")
    return live


def last_log_id(database: Path, run_id: int) -> int:
    """The id of the run's newest log line, 0 where there is none."""
    live = look(database, LiveReader(run_id))
    return live.logs[-1].id if live.logs else 0


def wait_until_claimed(database: Path, run_id: int, worker: Popen[bytes]) -> None:
    """Return as soon as the worker has taken the run. Raises QcrdError where it ended or does not come up."""
    reader, give_up = LiveReader(run_id), time.monotonic() + CLAIM_SECONDS
    while time.monotonic() < give_up:
        ended = worker.poll() is not None
        live = look(database, reader)
        if live.session is not None and live.session.pid == worker.pid:
            return
        if ended:
            raise _died(database, live, worker.pid)
        time.sleep(0.05)
    raise QcrdError(f"the worker of run {run_id} (pid {worker.pid}) has not begun after {CLAIM_SECONDS:.0f} s")


def worker_is_gone(live: Live) -> bool:
    """Whether the run says that it is worked on while nobody does: its process is gone, or without a heartbeat."""
    if live.run.status not in ("running", "paused"):
        return False
    if live.session is not None and is_alive(live.session.pid, live.session.host) is False:
        return True
    return with_clock(live.run, time.time()).status == "stale"


def _watch(
    database: Path,
    reader: LiveReader,
    worker: Popen[bytes] | None,
    owner: bool,
    after: int,
    asked: Asked,
    screen: Display,
) -> None:
    ordered, killed, since = False, False, time.monotonic()
    while True:
        exited = worker is not None and worker.poll() is not None  # before the look: what it wrote last is then seen
        live = look(database, reader)
        for line in live.logs:
            if line.id > after and line.level == "warning":  # an error ends the run, and is said then
                screen.note(f"{line.level}: {with_database(line.message, database)}")
        after = max(after, live.logs[-1].id if live.logs else 0)
        screen.update(live)
        if asked.hangup:
            leave_quietly()
        if live.run.status in ENDED and (worker is None or exited or _is_of(live, worker.pid)):
            return
        if killed and (exited or worker_is_gone(live)):
            screen.note(f"killed; what was stored is kept: `{command(database, f'resume {live.run.id}')}` goes on")
            raise typer.Exit(130)
        if exited or (worker is None and worker_is_gone(live)):
            pid = worker.pid if worker else live.session.pid if live.session else 0
            raise _died(database, live, pid)
        if live.run.status == "queued" and worker is None and time.monotonic() - since > CLAIM_SECONDS:
            raise QcrdError(
                f"run {live.run.id} has no worker; `{command(database, f'resume {live.run.id}')}` starts one"
            )
        if asked.interrupts and not owner:
            screen.note(f"detached; the run goes on: `{command(database, f'attach {live.run.id}')}`")
            raise typer.Exit(0)
        if (asked.interrupts or asked.stop) and not ordered:
            ordered = True
            screen.note("stopping after a checkpoint; Ctrl-C again kills the worker")
            _order_stop(database, live, worker)
        if asked.interrupts > 1 and not killed:
            killed = True
            _kill(live.session, worker, signal.SIGKILL)
        time.sleep(POLL_SECONDS if not killed else 0.05)


def _is_of(live: Live, pid: int) -> bool:
    """Whether the run's last session is that process's: a resumed run shows its old end until the worker takes it."""
    return live.session is not None and live.session.pid == pid and live.session.outcome is not None


def _order_stop(database: Path, live: Live, worker: Popen[bytes] | None) -> None:
    from engine.store.runs.run import order

    try:
        order(database, live.run.id, "stop")
    except QcrdError:  # a full disk has no room for an order; the worker listens to signals as well
        _kill(live.session, worker, signal.SIGTERM)


def _kill(session: Session | None, worker: Popen[bytes] | None, number: int) -> None:
    if worker is not None:
        worker.send_signal(number)
    elif session is not None and is_alive(session.pid, session.host):
        os.kill(session.pid, number)


def _died(database: Path, live: Live, pid: int) -> QcrdError:
    from engine.text import clean

    tail = log_tail(database, live.run.id)
    if tail:
        print(*("  " + clean(line) for line in ["the worker's last words:", *tail]), sep="\n", file=sys.stderr)
    hint = command(database, f"resume {live.run.id}")
    if is_full(database):  # the worker had no room left to say so itself
        return QcrdError(
            f"run {live.run.id} ended at step {live.run.step}: the disk that holds {database} is full; what was stored "
            f"is kept: free some space, then `{hint}`"
        )
    return QcrdError(f"run {live.run.id}: its worker (pid {pid}) died at step {live.run.step}; `{hint}` picks it up")


def leave_quietly() -> None:
    """The terminal is gone: writing to it would be an error, and the run does not mind."""
    os._exit(0)


@contextmanager
def signals(owner: bool) -> Iterator[Asked]:
    """Note what signals ask for; SIGTERM and SIGUSR1 only where this command owns what it follows."""
    asked = Asked()

    def note(number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGINT:
            asked.interrupts += 1
        elif number == signal.SIGHUP:
            asked.hangup = True
        else:
            asked.stop = True

    wanted = [signal.SIGINT, signal.SIGHUP, *([signal.SIGTERM, signal.SIGUSR1] if owner else [])]
    before = {}
    for number in wanted:
        if number == signal.SIGHUP and signal.getsignal(number) == signal.SIG_IGN:
            continue  # nohup
        before[number] = signal.signal(number, note)
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
