"""The inference worker from the console's side: started at the first question, ended when it is not used any more.

Two threads: one starts the process and writes questions to it, one reads what it says. Nobody waits for either.
"""

import contextlib
import queue
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

from engine.errors import QcrdError
from engine.evaluation.reply import Asked, Doing, Failed, Over, Reply, line, read
from engine.runs.launch import start_inference

KEEP = 120.0
"""Seconds that a process nobody looks at is kept."""
PATIENCE = 3.0
"""Seconds that it has to end by itself once its input is closed."""


class InferenceClient:
    """Asks; `post` gets every reply, from threads of this object's. `close` it."""

    def __init__(self, database: Path, post: Callable[[Reply], object], keep: float = KEEP) -> None:
        self._database, self._post, self._keep = database, post, keep
        self._orders: queue.SimpleQueue[Asked | str] = queue.SimpleQueue()
        """Questions; "stop" answering, "rest" (nobody looks), "wake", "close"."""
        self._thread: threading.Thread | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._waiting: Asked | None = None
        """The last question, until all is said to it."""

    @property
    def pid(self) -> int | None:
        """Of the process, where one is there."""
        process = self._process
        return None if process is None else process.pid

    def ask(self, asked: Asked) -> None:
        """Ask; a question that is being answered is answered no more."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="inference", daemon=True)
            self._thread.start()
        self._orders.put(asked)

    def stop(self) -> None:
        """Answer no more of the last question."""
        self._orders.put("stop")

    def rest(self) -> None:
        """Nobody looks: the process ends in a while."""
        self._orders.put("rest")

    def wake(self) -> None:
        """Somebody looks again."""
        self._orders.put("wake")

    def close(self) -> None:
        """End the process, by force where it does not end by itself."""
        if self._thread is not None:
            self._orders.put("close")
            self._thread.join(PATIENCE + 2)
            self._thread = None

    def _run(self) -> None:
        until: float | None = None
        while True:
            try:
                order = self._orders.get(timeout=None if until is None else max(0.0, until - time.monotonic()))
            except queue.Empty:
                self._end()
                until = None
                continue
            if isinstance(order, Asked):
                until = None
                self._waiting = order
                self._tell(order)
            elif order == "stop":
                self._waiting = None
                if self._process is not None:
                    self._write(self._process, "\n")
            elif order == "close":
                self._end()
                return
            else:
                until = time.monotonic() + self._keep if order == "rest" and self._process is not None else None

    def _tell(self, asked: Asked) -> None:
        if self._process is None or self._process.poll() is not None:
            self._end()
            self._post(Doing(asked.id, "starting the inference worker"))
            errors = tempfile.TemporaryFile()  # noqa: SIM115  the thread that reads closes it
            try:
                self._process = start_inference(self._database, errors)
            except OSError as error:
                errors.close()
                self._fail(f"the inference worker could not be started: {error.strerror}")
                return
            threading.Thread(
                target=self._read, args=(self._process, errors), name="inference replies", daemon=True
            ).start()
        self._write(self._process, line(asked))

    def _write(self, process: subprocess.Popen[bytes], text: str) -> None:
        assert process.stdin is not None
        try:
            process.stdin.write(text.encode())
            process.stdin.flush()
        except OSError:  # it is gone: the thread that reads says so
            return

    def _read(self, process: subprocess.Popen[bytes], errors: IO[bytes]) -> None:
        assert process.stdout is not None
        with process.stdout, errors:
            for text in process.stdout:
                try:
                    reply = read(text.decode("utf-8", "replace"))
                except QcrdError as error:
                    self._fail(str(error))
                    continue
                waiting = self._waiting
                if isinstance(reply, Over) and waiting is not None and waiting.id == reply.id:
                    self._waiting = None
                self._post(reply)
            code = process.wait()
            if process is self._process:  # nobody has ended it
                errors.seek(max(0, errors.seek(0, 2) - 4096))
                last = [one for one in errors.read().decode("utf-8", "replace").splitlines() if one.strip()][-1:]
                how = f"by signal {-code}" if code < 0 else f"with code {code}"
                said = f" ({last[0].strip()})" if last else ""
                self._fail(f"the inference worker ended {how}{said}: the next question starts another")

    def _fail(self, error: str) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            self._post(Failed(waiting.id, error))
            self._post(Over(waiting.id))

    def _end(self) -> None:
        """Close its input, on which it ends; kill it where it does not."""
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None
        with contextlib.suppress(OSError):  # of bytes that it never read
            process.stdin.close()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
