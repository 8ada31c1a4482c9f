"""`qcrd bench teacher`: calls a second with the ledger and without, beside bare LiteLLM and bare httpx."""

import asyncio
import gc
import itertools
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import torch

from engine.bench.timing import Arm, Taken, in_turns, kilobytes, ratio, spread
from engine.records import Example
from engine.spec.run import RunSpec
from engine.store.ledger.ledger import Ledger
from engine.store.ledger.rows import Asked, Sent, State, Stored
from engine.store.runs.run import create_run
from engine.store.schema.migrations import migrate
from engine.store.writer import Writer
from engine.teacher import client
from engine.teacher.messages import load_prompt, messages_for
from engine.teacher.outcome import Answer, Completion, Fault
from engine.teacher.sampling import sample

T = TypeVar("T")
One = TypeVar("One")
TURNS = 8
CALLS_IN_TURNS = 4000
"""Calls of an arm in all turns together, at most: more do not change a rate, and take minutes."""


def measure(calls: int, together: int, delay: float) -> dict[str, Any]:
    """All arms in turns, then one run of `calls` calls with the ledger, in which memory is watched. Seconds, bytes.

    ledger: a run's sampling, one sample a question, into a database; no ledger: the same loop, whose ledger writes
    nothing; litellm: `acompletion` alone, httpx: the same JSON posted alone, both `together` at once.
    """
    each = max(1, min(calls, CALLS_IN_TURNS) // TURNS)
    numbers = itertools.count()
    with TemporaryDirectory(prefix="qcrd-bench-") as folder, _server(delay) as url:
        spec = _spec(url, together)
        run_id = create_run(Path(folder) / "bench.db", spec)
        with Writer(Path(folder) / "bench.db") as writer:
            ledger, silent = Ledger(writer, run_id), _Silent(_Memory(), 1)
            arms: dict[str, Arm] = {
                "ledger": lambda: sample(spec, _questions(numbers, each), ledger, _NoOrders()),
                "no ledger": lambda: sample(spec, _questions(numbers, each), silent, _NoOrders()),
                "litellm": lambda: asyncio.run(_litellm(spec, _questions(numbers, each), together)),
                "httpx": lambda: asyncio.run(_httpx(spec, _questions(numbers, each), together)),
            }
            taken = in_turns(arms, 1 if calls > TURNS else 0, TURNS, torch.device("cpu"))
            memory = _watched(spec, _questions(numbers, calls), ledger)
    return {
        "bench": "teacher",
        "calls": calls,
        "calls_an_arm": each * TURNS,
        "together": together,
        "delay_seconds": delay,
        "load": os.getloadavg(),
        "ledger_to_none": _rates(taken["ledger"], taken["no ledger"]),
        "memory": memory,
        "arms": {name: _arm(values, taken["no ledger"], each) for name, values in taken.items()},
    }


def _arm(values: list[Taken], peer: list[Taken], each: int) -> dict[str, Any]:
    seconds = spread([v.wall / each for v in values])
    return {
        "seconds": seconds,
        "calls_per_second": 1 / seconds["median"],
        "cpu_seconds": spread([v.cpu / each for v in values]),
        "to_no_ledger": _rates(values, peer),
    }


def _rates(values: list[Taken], peer: list[Taken]) -> dict[str, float]:
    """How many times the peer's rate, by the clock and by CPU time: the inverse of the ratio of times."""
    times = ratio(values, peer)
    return {name: 1 / value for name, value in times.items()}


def _watched(spec: RunSpec, questions: Sequence[Example], ledger: Ledger) -> dict[str, int] | None:
    """Resident bytes after a tenth of the calls and after all; None where the system does not tell."""
    seen: dict[str, int] = {}

    def watch(done: int, total: int) -> None:
        if "at_a_tenth" not in seen and done * 10 >= total:
            gc.collect()
            seen["at_a_tenth"] = kilobytes("VmRSS") * 1024

    try:
        kilobytes("VmRSS")
    except OSError:
        return None
    sample(spec, questions, ledger, _NoOrders(), on_progress=watch)
    gc.collect()
    seen["at_the_end"] = kilobytes("VmRSS") * 1024
    return seen | {"grown": seen["at_the_end"] - seen["at_a_tenth"]}


def _spec(url: str, together: int) -> RunSpec:
    teacher = {"model": "openai/bench", "api_base": url, "samples": 1, "concurrency": together, "timeout": 60.0}
    return RunSpec.model_validate({"name": "bench", "teacher": teacher})


def _questions(numbers: Iterator[int], count: int) -> list[Example]:
    """None like another, so that none is answered from the database."""
    made = [next(numbers) for _ in range(count)]
    return [Example(f"bench-{i}", f"there are {i} apples and 2 are eaten . how many are left ?") for i in made]


class _NoOrders:
    def poll(self) -> None:
        return


@contextmanager
def _server(delay: float) -> Iterator[str]:
    """The teacher, in a process of its own."""
    process = subprocess.Popen(
        [sys.executable, "-m", "engine.bench.teacher_server", str(delay)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield f"http://127.0.0.1:{int(process.stdout.readline())}/v1"
    finally:
        process.stdin.close()
        process.wait(timeout=10)
        process.stdout.close()


async def _litellm(spec: RunSpec, questions: Sequence[Example], together: int) -> None:
    litellm = client.load_litellm()
    prompt, teacher = load_prompt(spec.teacher, spec.data.answer), spec.teacher
    gate = asyncio.Semaphore(together)

    async def call(example: Example) -> None:
        async with gate:
            await litellm.acompletion(
                model=teacher.model,
                api_base=teacher.api_base,
                api_key=client.NO_KEY,
                messages=messages_for(prompt, example),
                temperature=teacher.temperature,
                max_tokens=teacher.max_tokens,
                max_retries=0,
            )

    await asyncio.gather(*(call(example) for example in questions))
    await client.close()


async def _httpx(spec: RunSpec, questions: Sequence[Example], together: int) -> None:
    import httpx

    prompt, teacher = load_prompt(spec.teacher, spec.data.answer), spec.teacher
    gate = asyncio.Semaphore(together)

    async with httpx.AsyncClient(limits=httpx.Limits(max_connections=together), timeout=60.0) as http:

        async def call(example: Example) -> None:
            body = {"model": "bench", "messages": messages_for(prompt, example), "temperature": teacher.temperature}
            async with gate:
                answer = await http.post(f"{teacher.api_base}/chat/completions", json=body)
                answer.raise_for_status().json()

        await asyncio.gather(*(call(example) for example in questions))


class _Memory:
    """A database that is nowhere, for what is asked of the ledger besides its rows."""

    def __init__(self) -> None:
        self.db = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        self.db.row_factory = sqlite3.Row
        self.db.execute("BEGIN IMMEDIATE")
        migrate(self.db)
        self.db.execute("COMMIT")

    def call(self, fn: Callable[[sqlite3.Connection], T]) -> "Future[T]":
        return _done(fn(self.db))

    def together(self, fn: Callable[[sqlite3.Connection, Sequence[One]], Sequence[T]], one: One) -> "Future[T]":
        return _done(fn(self.db, [one])[0])


class _Silent(Ledger):
    """A ledger that writes no row."""

    def begin(self, asked: Asked, attempt: int, request: int | None = None) -> "Future[Sent]":
        return _done(Sent(0, 0))

    def fail(self, sent: Sent, fault: Fault, last: bool) -> "Future[None]":
        return _done(None)

    def finish(
        self,
        sent: Sent,
        model: str,
        answer: Answer,
        price_usd: float | None,
        bought: Sequence[tuple[bytes, int, Completion]],
        examples: Sequence[str],
        state: State = "done",
    ) -> "Future[dict[bytes, Stored]]":
        return _done({key: Stored(0, completion.text) for key, _, completion in bought})


def _done(value: T) -> "Future[T]":
    future: Future[T] = Future()
    future.set_result(value)
    return future
