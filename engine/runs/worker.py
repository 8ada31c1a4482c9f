"""The process around a run: claims it, keeps its heartbeat, listens to orders and signals, and says how it ended.

`python -m engine.runs.worker DATABASE RUN_ID`. Exit codes: 0 done, 1 failed, 130 stopped and resumable.
"""

import os
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from engine.cores import cores
from engine.errors import ANOTHER_RUN, AtLimit, Interrupted, QcrdError, SpecError
from engine.runs.heartbeat import heartbeat
from engine.runs.orders import Orders
from engine.spec.run import RunSpec
from engine.store.connect import open_reader
from engine.store.recorder import Recorder
from engine.store.runs.run import claim, set_status, stored_spec
from engine.store.writer import Writer

MOST_THREADS = 4
"""Where the spec leaves it open."""
RunStages = Callable[[RunSpec, Path, int, Recorder, Orders], None]
"""`engine.runs.pipeline.run_stages`, or what a test puts in its place."""


def main(arguments: list[str]) -> int:
    """Work on the run that the arguments (database, id) name; the exit code."""
    # the terminal is not ours: who wants the run to stop says so in the database, or with SIGTERM
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        database, run_id = Path(arguments[0]), int(arguments[1])
    except (IndexError, ValueError):
        print("usage: python -m engine.runs.worker DATABASE RUN_ID", file=sys.stderr)
        return 1
    return work(database, run_id)


def work(database: Path, run_id: int, run_stages: RunStages | None = None) -> int:
    """Work on the run until it is done, stopped or failed; the exit code. All it says is committed when it returns."""
    try:
        if not database.exists():  # claiming would make an empty one in its place
            raise QcrdError(f"no database at {database}: run {run_id} cannot be worked on")
        session = claim(database, run_id)
    except QcrdError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        return 1
    try:
        with closing(open_reader(database)) as connection:
            step = int(connection.execute("SELECT step FROM runs WHERE id = ?", (run_id,)).fetchone()["step"])
            spec = stored_spec(connection, run_id)
        with Writer(database) as writer:
            recorder = Recorder(writer, run_id)
            recorder.start_session(os.getpid(), socket.gethostname(), step)
            return _outcome(database, run_id, spec, recorder, session, run_stages)
    except QcrdError as error:  # the writer's own failure, which cannot be written through it
        print(f"error: {error}", file=sys.stderr, flush=True)
        with suppress(QcrdError):  # a full disk or a lost database has no place for the status either: it goes stale
            if database.exists():
                set_status(database, run_id, "failed", str(error))
        return 1


def _outcome(
    database: Path, run_id: int, spec: RunSpec, recorder: Recorder, session: int, run_stages: RunStages | None
) -> int:
    with (
        closing(Orders(database, run_id, recorder, session)) as orders,
        _signals(orders),
        heartbeat(recorder, session),
    ):
        try:
            recorder.status("running")
            _set_threads(spec, database, run_id, recorder)
            if run_stages is None:
                from engine.runs.pipeline import (
                    run_stages as stages,  # loads torch: after the run is claimed and beating
                )

                run_stages = stages
            run_stages(spec, database, run_id, recorder, orders)
            recorder.flush()
        except Interrupted as error:
            recorder.log("info", str(error))
            return _end(recorder, session, "interrupted", None, Interrupted.exit_code)
        except AtLimit as error:
            recorder.log("info", str(error), "sample")
            return _end(recorder, session, "interrupted", str(error), AtLimit.exit_code)
        except QcrdError as error:
            line = f"{error}; {ANOTHER_RUN}" if isinstance(error, SpecError) else str(error)
            recorder.log("error", line, detail=_traceback(error) if error.__cause__ else None)
            return _end(recorder, session, "failed", line, 1)
        except (Exception, SystemExit) as error:  # noqa: BLE001  the boundary: every end of a run is a row
            line = _line(error)
            recorder.log("error", line, detail=_traceback(error))
            return _end(recorder, session, "failed", line, 1)
        return _end(recorder, session, "done", None, 0)


def _end(recorder: Recorder, session: int, outcome: str, error: str | None, code: int) -> int:
    if outcome == "failed":
        print(f"error: {error}", file=sys.stderr, flush=True)
    recorder.status(outcome, error)
    recorder.end_session(session, outcome)
    recorder.flush()
    return code


def _line(error: BaseException) -> str:
    """What an unexpected exception says, on one line, and where it came from."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if f"{os.sep}engine{os.sep}" in frame.filename] or list(frames)
    where = f" ({Path(ours[-1].filename).name}:{ours[-1].lineno})" if ours else ""
    words = str(error).strip().splitlines()
    line = f"{type(error).__name__}: {words[0] if words else 'no message'}{where}"
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        line += "; lower training.batch_size or evaluation.batch_size"
    return line


def _traceback(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))


@contextmanager
def _signals(orders: Orders) -> Iterator[None]:
    """SIGTERM and SIGUSR1 (Slurm's preemption) ask for a checkpoint and the end; the handler only notes it."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only a main thread may set handlers
        return
    wanted = (signal.SIGTERM, signal.SIGUSR1)
    before = {number: signal.signal(number, lambda _number, _frame: orders.request_stop()) for number in wanted}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _set_threads(spec: RunSpec, database: Path, run_id: int, recorder: Recorder) -> None:
    """Fix the number of CPU threads before torch is loaded: sums are split by it, so a resumed run keeps its first.

    With another number of processes than it began with, it keeps the threads of all together.
    """
    first = _first(database, run_id)
    if "threads" in first:
        threads = max(1, int(first["threads"]) * int(first.get("processes", 1)) // spec.compute.processes)
    else:
        threads = max(1, (spec.training.threads or _fitting_threads(spec)) // spec.compute.processes)
        recorder.provenance({"threads": str(threads), "processes": str(spec.compute.processes)})
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = str(threads)
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # spinning threads steal the cores of whoever works beside us
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # it warns at every fork otherwise


def _first(database: Path, run_id: int) -> dict[str, str]:
    """ "threads" (of each process) and "processes" of the run's first session, where there was one."""
    with closing(open_reader(database)) as connection:
        rows = connection.execute(
            "SELECT key, value FROM provenance WHERE run_id = ? AND key IN ('threads', 'processes') AND value <> ''",
            (run_id,),
        ).fetchall()
    return {row["key"]: row["value"] for row in rows}


def _fitting_threads(spec: RunSpec) -> int:
    """The built-in student's matrices are so small that waking a second thread costs more than it computes."""
    return 1 if spec.student.model.startswith("builtin/") else min(cores(), MOST_THREADS)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
