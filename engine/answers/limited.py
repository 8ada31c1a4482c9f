"""math-verify behind a limit that really stops it: one long-lived worker process, restarted when its time ran out."""

import atexit
import json
import os
import selectors
import subprocess
import sys
import threading
from pathlib import Path

from engine.errors import QcrdError

LIMIT = 2.0
"""CPU seconds for one comparison: time of its own, so that a busy machine does not change a vote."""
PATIENCE = 30.0
"""Seconds of wall-clock time after which even a starved or stuck worker is ended."""
LONGEST = 500
"""Characters; longer answers are never equal to another text."""
MOST_CACHED = 100_000

_lock = threading.Lock()
_worker: subprocess.Popen[bytes] | None = None
_owner = 0
_cache: dict[tuple[str, str], bool] = {}
_timeouts = 0


def verify(gold: str, answer: str) -> bool:
    """Whether math-verify finds `answer` equal to `gold`; False where it ran out of its limit. From any thread."""
    if len(gold) > LONGEST or len(answer) > LONGEST:
        return False
    with _lock:
        key = (gold, answer)
        if key not in _cache:
            if len(_cache) >= MOST_CACHED:
                _cache.clear()
            _cache[key] = _ask(gold, answer)
        return _cache[key]


def timeouts() -> int:
    """Comparisons of this process that ran out of time or memory so far; each counted as unequal."""
    return _timeouts


def close() -> None:
    """End the worker process, if there is one; the next comparison starts another."""
    with _lock:
        _stop()


def _ask(gold: str, answer: str) -> bool:
    global _timeouts
    worker = _running()
    assert worker.stdin is not None
    try:
        worker.stdin.write(json.dumps([gold, answer]).encode() + b"\n")
        worker.stdin.flush()
        line = _line(worker, PATIENCE)
    except BrokenPipeError:
        line = b""
    if not line:
        _stop()
        _timeouts += 1
        return False
    reply = json.loads(line)
    _timeouts += bool(reply["ran_out"])
    return bool(reply["equal"])


def _running() -> subprocess.Popen[bytes]:
    global _worker, _owner
    if _worker is not None and _owner == os.getpid() and _worker.poll() is None:
        return _worker
    if _owner == os.getpid():  # after a fork the worker is the parent's: leave it alone
        _stop()
    program = Path(__file__).with_name("latex_worker.py")
    _worker = subprocess.Popen(
        [sys.executable, "-P", str(program), str(LIMIT)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONHASHSEED": "0"},  # sympy orders sets by hash: repeat runs alike
        start_new_session=True,  # Ctrl-C in the terminal is for the run alone
    )
    _owner = os.getpid()
    if _line(_worker, 120.0).strip() != b"ready":
        _stop()
        raise QcrdError(
            'answers of kind "latex" need math-verify, whose process did not start; '
            f'see why: {sys.executable} -c "import math_verify"'
        )
    return _worker


def _line(worker: subprocess.Popen[bytes], seconds: float) -> bytes:
    """One line from the worker; empty where it ended or took too long. It writes whole lines, flushed."""
    assert worker.stdout is not None
    with selectors.DefaultSelector() as selector:
        selector.register(worker.stdout, selectors.EVENT_READ)
        return worker.stdout.readline() if selector.select(seconds) else b""


def _stop() -> None:
    global _worker
    if _worker is None or _owner != os.getpid():
        _worker = None
        return
    _worker.kill()
    _worker.wait()
    for pipe in (_worker.stdin, _worker.stdout):
        if pipe is not None:
            try:
                pipe.close()
            except BrokenPipeError:  # unsent bytes of a worker that is gone
                continue
    _worker = None


atexit.register(close)
