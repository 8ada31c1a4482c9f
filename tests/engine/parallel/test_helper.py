"""A copy of this process that works beside it: what comes back, and what it must not see, hold or disturb."""

import atexit
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing

import pytest
import torch

from engine.errors import QcrdError
from engine.parallel import helper as helping
from engine.parallel.helper import core_to_spare, helper

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="copies itself on Linux alone")


def test_it_answers_in_turn_from_what_was_when_it_was_made(capfd: pytest.CaptureFixture[str]) -> None:
    known = {"weight": 1}
    atexit.register(print, "an end")
    with closing(helper(lambda asked: (asked, known["weight"], os.getpid()))) as made:
        known["weight"] = 2
        for asked in ("a", torch.ones(3).tolist()):
            made.ask(asked)
            assert made.answer() == (asked, 1, made.pid)
    atexit.unregister(print)
    assert made.pid != os.getpid()
    assert capfd.readouterr().out == ""
    with pytest.raises(ChildProcessError):  # it was waited for: no zombie stays
        os.waitpid(made.pid, 0)


def test_more_than_a_pipe_holds_goes_both_ways() -> None:
    with closing(helper(lambda asked: asked * 3)) as made:
        made.ask("x" * 1_000_000)
        while not made.ready():
            time.sleep(0.01)
        assert len(made.answer()) == 3_000_000
        assert not made.ready()


def test_closing_does_not_wait_for_work_that_is_under_way() -> None:
    made = helper(lambda _: time.sleep(600))
    made.ask("sleep")
    made.close()
    with pytest.raises(ProcessLookupError):
        os.kill(made.pid, 0)


def test_what_it_fails_with_is_told_with_its_place_and_it_goes_on() -> None:
    with closing(helper(lambda asked: 1 // asked)) as made:
        made.ask(0)
        with pytest.raises(QcrdError, match="failed: ZeroDivisionError: integer division") as caught:
            made.answer()
        assert "test_helper.py" in str(caught.value.__cause__)
        made.ask(1)
        assert made.answer() == 1


def test_one_that_is_gone_is_told_of_when_it_is_asked_and_when_it_should_answer() -> None:
    with closing(helper(lambda _: os.kill(os.getpid(), signal.SIGKILL))) as made:
        made.ask(1)
        with pytest.raises(QcrdError, match="ended from outside"):
            made.answer()
        with pytest.raises(QcrdError, match="ended from outside"):
            made.ask("x" * 1_000_000)


def test_it_holds_no_file_open_that_others_wait_for() -> None:
    ours, theirs = os.pipe()
    with closing(helper(lambda asked: asked)) as made:
        made.ask(1)
        assert made.answer() == 1
        os.close(theirs)
        assert os.read(ours, 1) == b""  # an end: nobody else has the other end
    os.close(ours)


def test_it_ends_with_its_parent_and_leaves_signals_to_it() -> None:
    made = "import os, time; from engine.parallel.helper import helper; h = helper(lambda _: time.sleep(600)); h.ask(1)"
    code = f"{made}; print(h.pid, flush=True); time.sleep(600)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        time.sleep(0.2)
        os.kill(pid, signal.SIGTERM)
        time.sleep(0.2)
        os.kill(pid, 0)
        parent.kill()
    until = time.monotonic() + 20
    while time.monotonic() < until and _alive(pid):
        time.sleep(0.05)
    assert not _alive(pid)


def _alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_core_is_spare_for_small_models_on_one_thread_of_several_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    model = torch.nn.Linear(4, 4)
    monkeypatch.setattr(helping, "cores", lambda: 2)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    assert core_to_spare(model)
    assert not core_to_spare(torch.nn.Linear(4, 4, device="meta"))

    def without(where: object, name: str, value: Callable[[], object] | int) -> bool:
        with monkeypatch.context() as context:
            context.setattr(where, name, value)
            return not core_to_spare(model)

    assert without(helping, "cores", lambda: 1)
    assert without(torch, "get_num_threads", lambda: 2)
    assert without(torch.cuda, "is_available", lambda: True)
    assert without(helping, "SMALL", 19)
