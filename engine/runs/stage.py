"""A stage of a run as its rows tell it."""

from collections.abc import Iterator
from contextlib import contextmanager

from engine.errors import AtLimit, Interrupted, QcrdError
from engine.store.recorder import Recorder


@contextmanager
def during(recorder: Recorder, name: str, total: int | None = None) -> Iterator[None]:
    """running, then done or failed; what interrupts it leaves it waiting."""
    recorder.stage(name, state="running", total=total)
    try:
        yield
    except QcrdError as error:
        recorder.stage(name, state="waiting" if isinstance(error, Interrupted | AtLimit) else "failed")
        raise
    except Exception:
        recorder.stage(name, state="failed")
        raise
    recorder.stage(name, state="done", done=total)
    recorder.log_time(name)
