"""The console's side of the inference worker: a process that is there while it is needed, and gone after; no torch."""

import os
import queue
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import pytest

from engine.errors import QcrdError
from engine.evaluation.reply import Asked, Doing, Failed, Given, Over, Piece, Ready, Reply, Told, Votes, line, read
from engine.runs import inference_client
from engine.runs.inference_client import InferenceClient

STUB = """
import json, os, signal, sys, time
for text in sys.stdin:
    if not text.strip():
        continue
    asked = json.loads(text)
    say = lambda kind, **more: print(json.dumps({"kind": kind, "id": asked["id"], **more}), flush=True)
    if asked["text"] == "die":
        print("Out of memory, says a library", file=sys.stderr, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    if asked["text"] == "deaf":
        say("Doing", text="asleep")
        time.sleep(600)
    if asked["text"] == "babble":
        print("no reply", flush=True)
    say("Piece", head="predict", text=asked["text"])
    say("Over")
"""


def start(database: Path, errors: IO[bytes]) -> "subprocess.Popen[bytes]":
    pipe = subprocess.PIPE
    return subprocess.Popen([sys.executable, "-S", "-c", STUB], stdin=pipe, stdout=pipe, stderr=errors)


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[InferenceClient, "queue.Queue[Reply]"]]:
    monkeypatch.setattr(inference_client, "start_inference", start)
    monkeypatch.setattr(inference_client, "PATIENCE", 0.3)
    said: queue.Queue[Reply] = queue.Queue()
    made = InferenceClient(Path("experiments.db"), said.put, keep=0.2)
    yield made, said
    made.close()


def until_over(said: "queue.Queue[Reply]") -> list[Reply]:
    found = [said.get(timeout=60)]
    while not isinstance(found[-1], Over):
        found.append(said.get(timeout=60))
    return found


def wait(for_it: Callable[[], bool]) -> None:
    give_up = time.monotonic() + 60
    while not for_it():
        assert time.monotonic() < give_up
        time.sleep(0.01)


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_replies_come_through_a_line_as_they_were() -> None:
    given = (Given("9", 3, True, "so\n9"), Given(None, 1, False, "\x1b[2J\ud800"))
    for reply in (
        Doing(1, "loading"),
        Ready(1, None, ("predict", "explain"), False, "why"),
        Piece(2, "explain", "a\n\u202eb"),
        Told(3, "explain", "t", None, "miss", None, 0.5, 1.25),
        Votes(4, "predict", 0.7, given, 0.1),
        Failed(5, "no"),
        Over(6),
    ):
        assert line(reply).count("\n") == 1
        assert read(line(reply)) == reply
    for wrong in ("", "{}", "[1]", '{"kind": "Nothing", "id": 1}', '{"kind": "Over"}'):
        with pytest.raises(QcrdError, match="no reply"):
            read(wrong)


def test_one_process_answers_one_question_after_the_other_and_ends_with_its_client(client) -> None:
    asks, said = client
    assert asks.pid is None  # not before it is needed
    asks.ask(Asked(1, 4, "first"))
    assert until_over(said) == [Doing(1, "starting the inference worker"), Piece(1, "predict", "first"), Over(1)]
    pid = asks.pid
    asks.ask(Asked(2, 4, "second"))
    assert until_over(said) == [Piece(2, "predict", "second"), Over(2)]
    assert asks.pid == pid
    asks.close()
    assert gone(pid)


def test_nobody_looks_for_a_while_and_it_is_gone_the_next_question_starts_another(client) -> None:
    asks, said = client
    asks.ask(Asked(1, 4, "first"))
    until_over(said)
    pid = asks.pid
    asks.rest()
    wait(lambda: gone(pid))
    wait(lambda: asks.pid is None)
    asks.ask(Asked(2, 4, "second"))
    assert until_over(said)[0] == Doing(2, "starting the inference worker")


def test_one_that_does_not_end_is_killed(client) -> None:
    asks, said = client
    asks.ask(Asked(1, 4, "deaf"))
    while said.get(timeout=60) != Doing(1, "asleep"):
        pass
    pid = asks.pid
    asks.stop()
    asks.close()
    assert gone(pid)


def test_a_death_is_one_line_and_the_next_question_starts_another(client) -> None:
    asks, said = client
    asks.ask(Asked(1, 4, "die"))
    *_, failed, over = until_over(said)
    how = f"by signal {signal.SIGKILL:d} (Out of memory, says a library)"
    assert failed == Failed(1, f"the inference worker ended {how}: the next question starts another")
    assert over == Over(1)
    asks.ask(Asked(2, 4, "again"))
    assert until_over(said)[-2:] == [Piece(2, "predict", "again"), Over(2)]
    asks.ask(Asked(3, 4, "babble"))
    assert "no reply" in str(until_over(said)[0])


def test_what_cannot_be_started_is_one_line(client, monkeypatch: pytest.MonkeyPatch) -> None:
    asks, said = client

    def refuse(database: Path, errors: IO[bytes]) -> "subprocess.Popen[bytes]":
        raise OSError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(inference_client, "start_inference", refuse)
    asks.ask(Asked(1, 4, "first"))
    failed = until_over(said)[1]
    assert failed == Failed(1, "the inference worker could not be started: Resource temporarily unavailable")
