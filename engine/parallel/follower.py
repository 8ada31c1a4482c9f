"""A process of a run that is not its worker: it computes its share, writes nothing, and ends with the worker.

`python -m engine.parallel.follower DATABASE RUN_ID RANK COUNT PORT`, started by `launch.start_follower`. Its standard
input is a socket to the worker: closed when the worker is gone, and the way to tell it why this process fails.
"""

import ctypes
import os
import signal
import sys
import threading
import traceback
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

PR_SET_PDEATHSIG = 1
"""Of Linux's prctl: a signal when the parent dies."""


def main(arguments: list[str]) -> int:
    """Work as the rank that the arguments name; the exit code."""
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)  # what they ask for is the worker's to do
    _end_with_the_worker()
    try:
        database, (run_id, rank, count, port) = Path(arguments[0]), map(int, arguments[1:])
    except (IndexError, ValueError):
        print("usage: python -m engine.parallel.follower DATABASE RUN_ID RANK COUNT PORT", file=sys.stderr)
        return 1
    try:
        _work(database, run_id, rank, count, port)
    except Exception as error:  # noqa: BLE001  the boundary: the worker tells what it was
        traceback.print_exc()
        words = str(error).strip().splitlines()
        with suppress(OSError):
            os.write(0, (words[0] if words else type(error).__name__).encode("utf-8", "replace"))
        return 1
    return 0


def _work(database: Path, run_id: int, rank: int, count: int, port: int) -> None:
    from engine.parallel.ranks import join, leave, meeting_point
    from engine.runs.pipeline import learn
    from engine.store.connect import open_reader
    from engine.store.runs.run import stored_spec
    from engine.students.load import pick_device

    with closing(open_reader(database)) as connection:
        spec = stored_spec(connection, run_id)
    ranks = join(meeting_point(count, port), rank, count, pick_device(spec.student.device).type)
    lesson: Any = ranks.agree(None)
    silent: Any = Silent(rank, count)
    learn(spec, lesson, silent, silent, ranks)
    leave()


class Silent:
    """In the place of the recorder and of the orders: the worker speaks and listens for all."""

    def __init__(self, rank: int, count: int) -> None:
        self.name = f"process {rank + 1} of {count}"

    def log(self, level: str, message: str, stage: str = "", detail: str | None = None) -> None:
        """A warning may be of this process alone: worker.log has it."""
        if level != "info":
            print(f"{self.name}: {message}", file=sys.stderr, flush=True)

    def __getattr__(self, verb: str) -> Any:
        return lambda *_, **__: None


def _end_with_the_worker() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)

    def wait() -> None:  # elsewhere, and where the worker died before that call
        with suppress(OSError):
            while os.read(0, 1):
                continue
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


if __name__ == "__main__":
    failed = main(sys.argv[1:])
    if failed:
        os._exit(failed)  # at once: the worker, whose connection is broken, waits to hear that this one is gone
