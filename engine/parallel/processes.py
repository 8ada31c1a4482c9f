"""The other processes of a run: started by the worker on this machine, watched, and ended with it."""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import torch

from engine.errors import QcrdError, UsageError
from engine.parallel.ranks import ALONE, Ranks, join, leave, meeting_point
from engine.runs.launch import start_follower
from engine.spec.run import RunSpec
from engine.store.recorder import Recorder
from engine.students.load import pick_device

LOOK_EVERY = 0.2
"""Seconds between two looks at whether all live."""
GRACE = 5.0
"""Seconds in which the worker can notice by itself that another is gone, before it is ended where it waits."""
ENDING = 60.0
"""Seconds in which the others end by themselves when all is done."""


def check(spec: RunSpec) -> None:
    """UsageError where there are fewer GPUs than processes."""
    count = spec.compute.processes
    if count > 1 and pick_device(spec.student.device).type == "cuda" and torch.cuda.device_count() < count:
        raise UsageError(
            f"compute.processes = {count}, but there are {torch.cuda.device_count()} GPUs here, and each process needs "
            'one: lower it (`qcrd resume RUN --processes N` where it has begun), or set student.device = "cpu"'
        )


@contextmanager
def together(spec: RunSpec, database: Path, run_id: int, recorder: Recorder) -> Iterator[Ranks]:
    """This process as rank 0 of `compute.processes`; the others live within the block, and no longer.

    Raises QcrdError, naming it, where one of them ends before its time.
    """
    count = spec.compute.processes
    if count == 1:
        yield ALONE
        return
    # what a collective of NCCL does about a lost peer is not ours to say: we watch the processes
    os.environ.setdefault("TORCH_NCCL_ASYNC_ERROR_HANDLING", "0")
    store = meeting_point(count)
    others = [
        _Other(rank, count, *start_follower(database, run_id, rank, count, store.port)) for rank in range(1, count)
    ]
    over, lost = threading.Event(), threading.Event()
    threading.Thread(target=_watch, args=(others, run_id, over, lost, recorder), daemon=True).start()
    try:
        yield join(store, 0, count, pick_device(spec.student.device).type)
        with suppress(subprocess.TimeoutExpired):
            for other in others:
                other.process.wait(ENDING)
    except QcrdError:
        raise
    except Exception as error:
        if lost.wait(GRACE / 2):  # the connection to it breaks before it is seen to be gone
            raise QcrdError(_line(others, run_id)) from error
        raise
    finally:
        over.set()
        for other in others:
            other.end()
        leave()


@dataclass(frozen=True)
class _Other:
    """A rank that is not the first, and the line that it speaks on when it fails."""

    rank: int
    count: int
    process: subprocess.Popen[bytes]
    line: socket.socket

    def failed(self) -> bool:
        return self.process.poll() not in (None, 0)

    def last_words(self) -> str:
        code = self.process.returncode
        how = f"was killed by signal {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        self.line.setblocking(False)
        try:
            said = self.line.recv(4096).decode("utf-8", "replace")
        except OSError:
            said = ""
        return f"process {self.rank + 1} of {self.count} {how}" + (f" ({said})" if said else "")

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        self.line.close()


def _line(others: list[_Other], run_id: int) -> str:
    gone = next(other for other in others if other.failed())
    return f"{gone.last_words()}: `qcrd resume {run_id}` goes on from the last checkpoint; worker.log says more"


def _watch(others: list[_Other], run_id: int, over: threading.Event, lost: threading.Event, recorder: Recorder) -> None:
    """Waits for one that fails. A worker that does not notice, in a GPU's collective, is ended from here."""
    while not over.wait(LOOK_EVERY):
        if any(other.failed() for other in others):
            lost.set()
            if not over.wait(GRACE):
                line = _line(others, run_id)
                print(f"error: {line}", file=sys.stderr, flush=True)
                try:
                    recorder.log("error", line)
                    recorder.status("failed", line)
                    recorder.flush()
                finally:  # a full disk may be what ended the other
                    for other in others:
                        other.process.kill()
                    os._exit(1)
            return
