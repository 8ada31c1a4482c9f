"""An evaluation from outside: what is asked of the process that does it, which is followed to its end. Light."""

import contextlib
import json
import queue
import subprocess
import tempfile
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Literal

from engine.errors import Interrupted, QcrdError, UsageError
from engine.runs.launch import start_evaluation

Head = Literal["predict", "explain"]
LOOK = 0.2
"""Seconds between two questions whether to stop."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Answers to be drawn of a run's student, and who is to judge them."""

    run_id: int
    samples: int = 16
    head: Head = "explain"
    split: str = "test"
    limit: int | None = None
    """Questions, the split's first ones; None: all."""
    temperature: float = 0.7
    judge: int | None = None
    """The run whose ranking model or discriminator scores them; None: nobody."""


@dataclass(frozen=True, slots=True)
class Step:
    """How far it is."""

    what: str
    done: int = 0
    total: int = 0
    """0: it is not counted."""


@dataclass(frozen=True, slots=True)
class Made:
    """What was asked for is there."""

    evaluation: int
    questions: int
    judge_step: int | None


def evaluate(database: Path, wanted: Wanted, say: Callable[[Step], None], stop: Callable[[], int] = lambda: 0) -> Made:
    """Have it done by a process of its own. `stop`: 1 ends it after the batch under way, 2 at once.

    Raises Interrupted where it was stopped, else QcrdError where it failed: what was drawn is kept in all cases.
    """
    with tempfile.TemporaryFile() as errors:
        process = start_evaluation(database, json.dumps(asdict(wanted)), errors)
        try:
            return _follow(process, errors, say, stop)
        finally:
            assert process.stdin is not None
            with contextlib.suppress(OSError):
                process.stdin.close()
            if process.poll() is None:  # who asked goes on an error of its own
                process.terminate()
            process.wait()


def _follow(
    process: subprocess.Popen[bytes], errors: IO[bytes], say: Callable[[Step], None], stop: Callable[[], int]
) -> Made:
    lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(process, lines), name="evaluation", daemon=True).start()
    asked = 0
    while True:
        if (now := stop()) > asked:
            asked = now
            process.kill() if asked > 1 else process.terminate()
        try:
            text = lines.get(timeout=LOOK)
        except queue.Empty:
            continue
        if text is None:
            process.wait()
            if asked:
                raise Interrupted("stopped; what was drawn is stored, the same command goes on")
            errors.seek(max(0, errors.seek(0, 2) - 4096))
            last = [one for one in errors.read().decode("utf-8", "replace").splitlines() if one.strip()][-1:]
            raise QcrdError(f"the evaluation came to no end{f' ({last[0].strip()})' if last else ''}: try again")
        found = json.loads(text)
        if "error" in found:
            kinds: dict[int, type[QcrdError]] = {2: UsageError, 130: Interrupted}
            raise kinds.get(found["code"], QcrdError)(found["error"])
        if "evaluation" in found:
            return Made(**found)
        say(Step(**found))


def _read(process: subprocess.Popen[bytes], lines: "queue.SimpleQueue[bytes | None]") -> None:
    assert process.stdout is not None
    with process.stdout:
        for text in process.stdout:
            lines.put(text)
    lines.put(None)
