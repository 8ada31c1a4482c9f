"""A run's sign of life while a process works on it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from engine.errors import QcrdError
from engine.store.recorder import Recorder

HEARTBEAT_SECONDS = 2.0


@contextmanager
def heartbeat(recorder: Recorder, session: int) -> Iterator[None]:
    """A thread of its own: it beats during long computations and while the run is paused."""
    over = threading.Event()

    def beat() -> None:
        while not over.wait(HEARTBEAT_SECONDS):
            try:
                recorder.heartbeat(session)
            except QcrdError:  # the writer's error, which the run itself raises at its next row
                return

    thread = threading.Thread(target=beat, name="qcrd-heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
