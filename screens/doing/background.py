"""A job on a thread of its own that can be told to stop: neither the console nor its reader waits for it."""

import sqlite3
import threading
from collections.abc import Callable
from typing import Any

from textual.message import Message
from textual.message_pump import MessagePump

from engine.errors import QcrdError


class Finished(Message):
    """The job is over."""

    def __init__(self, job: "Background", result: Any, error: str | None) -> None:
        super().__init__()
        self.job = job
        self.result = result
        self.error = error
        """One line; None: all went well."""


class Background:
    """Begins at once; `owner` gets a Finished."""

    def __init__(self, owner: MessagePump, work: Callable[[threading.Event], Any]) -> None:
        self._stop = threading.Event()
        self._owner, self._work = owner, work
        self._thread = threading.Thread(target=self._run, name="console query", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End within a moment; a Finished comes all the same."""
        self._stop.set()

    def join(self, seconds: float) -> None:
        """Wait for its end."""
        self._thread.join(seconds)

    def _run(self) -> None:
        result, error = None, None
        try:
            result = self._work(self._stop)
        except (QcrdError, OSError, sqlite3.Error) as problem:
            error = str(problem)
        self._owner.post_message(Finished(self, result, error))
