"""A copy of this process that works beside it, on a core that it leaves idle."""

import ctypes
import os
import pickle
import select
import signal
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Generic, NoReturn, TypeVar

import torch

from engine.cores import cores
from engine.errors import QcrdError
from engine.parallel.follower import PR_SET_PDEATHSIG

Question = TypeVar("Question")
Answer = TypeVar("Answer")

SMALL = 10_000_000
"""Parameters of a model that is there twice, at most."""


def core_to_spare(model: Any) -> bool:
    """Whether a helper is of use to a process that trains this model.

    On Linux, and where it computes on one thread of the CPU: a copy of a process has no other threads than the one that
    made it, so neither a pool of threads nor a GPU.
    """
    parameters = list(model.parameters())
    return (
        sys.platform == "linux"
        and cores() > 1
        and torch.get_num_threads() == 1
        and not torch.cuda.is_available()  # checkpoints ask for its generator, whatever the device
        and Path("/proc/self/fd").is_dir()
        and all(p.device.type == "cpu" for p in parameters)
        and sum(p.numel() for p in parameters) <= SMALL
    )


@dataclass(frozen=True)
class Helper(Generic[Question, Answer]):
    """A copy of this process that answers one question after the other, until it is closed."""

    pid: int
    questions: BinaryIO
    answers: BinaryIO

    def ask(self, question: Question) -> None:
        """Gives it work; call it again once that is answered. Raises QcrdError where it is gone."""
        try:
            pickle.dump(question, self.questions)
            self.questions.flush()
        except BrokenPipeError:
            raise self._gone() from None

    def ready(self) -> bool:
        """Whether it has begun to say what it found, or is gone."""
        asked = select.poll()
        asked.register(self.answers, select.POLLIN)
        return bool(asked.poll(0))

    def answer(self) -> Answer:
        """What it found, waited for. Raises QcrdError where it failed or is gone."""
        try:
            found, error = pickle.load(self.answers)
        except (EOFError, pickle.UnpicklingError):
            raise self._gone() from None
        if error is not None:
            reason = error.strip().splitlines()[-1]
            raise QcrdError(f"the training's helper (process {self.pid}) failed: {reason}") from RuntimeError(error)
        answer: Answer = found
        return answer

    def close(self) -> None:
        """Ends it, whatever it does."""
        with suppress(ProcessLookupError, ChildProcessError):  # where SIGCHLD is ignored none is left to wait for
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        self.answers.close()
        with suppress(BrokenPipeError):  # a question that it did not take
            self.questions.close()

    def _gone(self) -> QcrdError:
        return QcrdError(
            f"the training's helper (process {self.pid}) was ended from outside: make room if the machine had no "
            "memory left, and resume the run, or resume it on one core (taskset -c 0 qcrd resume RUN), without a helper"
        )


def helper(work: Callable[[Question], Answer]) -> Helper[Question, Answer]:
    """A copy of this process as it is now. `work` must touch no database, no other process, no lock of another thread.

    Raises OSError where there is no room for another process.
    """
    from_us, to_it = os.pipe()
    from_it, to_us = os.pipe()
    parent = os.getpid()
    try:
        pid = os.fork()
    except OSError:
        for end in (from_us, to_it, from_it, to_us):
            os.close(end)
        raise
    if pid == 0:
        os.close(to_it)
        os.close(from_it)
        _work(work, from_us, to_us, parent)
    os.close(from_us)
    os.close(to_us)
    return Helper(pid, os.fdopen(to_it, "wb"), os.fdopen(from_it, "rb"))


def _work(work: Callable[[Any], Any], questions: int, answers: int, parent: int) -> NoReturn:
    """Ends without a word to what it was copied from: no handler at exit, no buffer that is there twice."""
    try:
        for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM, signal.SIGUSR1):
            signal.signal(number, signal.SIG_IGN)  # what they ask for is the worker's to do
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        os.environ["TOKENIZERS_PARALLELISM"] = "false"  # its threads are not here, and would be waited for
        _close_all_but(questions, answers)
        with os.fdopen(questions, "rb") as asked, os.fdopen(answers, "wb") as out:
            while os.getppid() == parent:
                try:
                    found = pickle.dumps((work(pickle.load(asked)), None))
                except EOFError:
                    break
                except Exception:  # noqa: BLE001  whatever it is, it is told where the answer is waited for
                    found = pickle.dumps((None, traceback.format_exc()))
                out.write(found)
                out.flush()
    finally:
        os._exit(1)


def _close_all_but(questions: int, answers: int) -> None:
    """The database's files, and pipes whose ends others wait for, are not for this process to hold open."""
    for name in os.listdir("/proc/self/fd"):
        if int(name) > 2 and int(name) not in (questions, answers):
            with suppress(OSError):  # the listing's own
                os.close(int(name))
