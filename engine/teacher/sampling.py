"""K samples for each example: stored ones are reused, the others bought, every request a row before it is sent.

The caller's thread decides what to ask next and listens to orders; the requests run in an event loop beside it, so that
a pause keeps nobody waiting on an open connection and a stop loses nothing that is paid for.
"""

import asyncio
import hashlib
import json
import random
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from engine.errors import Interrupted, QcrdError, UsageError
from engine.records import Example, Sample
from engine.spec.run import RunSpec
from engine.spec.sections import TeacherConfig
from engine.store.ledger import Ledger
from engine.teacher import client
from engine.teacher.messages import Prompt, load_prompt, messages_for
from engine.teacher.outcome import Fault, TeacherError
from engine.teacher.replay import read_recorded, replay

LONGEST_WAIT = 60.0
"""Seconds: the longest that a backoff or a provider's Retry-After is followed."""
SHORTEST_STREAK = 8
"""So many questions in a row without an answer, or as many as are asked at once, mean that a teacher is down."""
POLL = 0.5
"""Seconds between looks at the orders while no answer comes."""


class Orders(Protocol):
    """Who may stop a run: `poll` raises Interrupted, or returns only when a pause is over."""

    def poll(self) -> None:
        """Look at the orders."""
        ...


@dataclass(slots=True)
class _Request:
    """One list of messages; examples that ask the same share it, so that nothing is bought twice."""

    messages: client.Messages
    keys: list[bytes]
    """By slot."""
    examples: list[str] = field(default_factory=list)
    texts: dict[int, str] = field(default_factory=dict)
    """By slot, as far as there are any."""
    open: int = 0
    """Units that are still to be done."""


@dataclass(frozen=True, slots=True)
class _Unit:
    """Consecutive slots of a request that are bought together."""

    request: _Request
    slots: tuple[int, ...]


@dataclass(slots=True)
class _Shared:
    """What all units know; changed within the event loop alone."""

    halt: asyncio.Event
    """The run is to stop: finish the request under way, start no other."""
    together: bool
    """Whether the provider takes several samples in one request."""


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What a unit brought, and the fault on which it gave up, if it did."""

    texts: dict[int, str]
    fault: Fault | None = None


def sample(
    spec: RunSpec,
    examples: Sequence[Example],
    ledger: Ledger,
    orders: Orders,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
    say: Callable[[str, str], None] = lambda level, line: None,
    backoff: float = 1.0,
) -> dict[str, list[Sample]]:
    """Up to `spec.teacher.samples` samples for every example, in slot order; all are in the database on return.

    `on_progress(examples done, examples)` and `say(level, line of the log)` are called from this thread. `backoff` is
    the first wait in seconds after a fault; it doubles with each try. Raises Interrupted after draining what is in
    flight, UsageError and QcrdError where the teacher cannot be used, or failed on more than half of the examples.
    """
    if spec.teacher.model.startswith("replay:"):
        return _replay(spec.teacher, examples, ledger, on_progress, say)
    if stray := ledger.close_stray_attempts().result():
        say(
            "warning",
            f"{stray} requests were under way when the run last ended; their answers are lost and are asked for again",
        )
    requests = _requests(spec.teacher, load_prompt(spec.teacher, spec.data.answer), examples)
    reused = _reuse(requests, ledger)
    if reused:
        say("info", f"{reused} samples are in the database already and are not asked for again")
    if any(len(r.texts) < len(r.keys) for r in requests):
        _buy_all(spec.teacher, requests, len(examples), ledger, orders, on_progress, say, backoff)
    on_progress(len(examples), len(examples))
    found = {e: [Sample(e, slot, r.texts[slot]) for slot in sorted(r.texts)] for r in requests for e in r.examples}
    return {example.id: found[example.id] for example in examples}


def _replay(
    teacher: TeacherConfig,
    examples: Sequence[Example],
    ledger: Ledger,
    on_progress: Callable[[int, int], None],
    say: Callable[[str, str], None],
) -> dict[str, list[Sample]]:
    replayed = replay(read_recorded(teacher.model), examples, teacher.samples)
    ledger.record(teacher.model, [s for samples in replayed.samples.values() for s in samples]).result()
    if replayed.missing:
        say("warning", f"the recorded outputs have nothing for {replayed.missing} of {len(examples)} questions")
    if replayed.short:
        say(
            "warning",
            f"{replayed.short} of {len(examples)} questions have fewer than {teacher.samples} recorded outputs",
        )
    on_progress(len(examples), len(examples))
    return replayed.samples


def _requests(teacher: TeacherConfig, prompt: Prompt, examples: Sequence[Example]) -> list[_Request]:
    requests: dict[bytes, _Request] = {}
    for example in examples:
        messages = messages_for(prompt, example)
        asked = [teacher.model, teacher.api_base, messages, teacher.temperature, teacher.max_tokens]
        digest = hashlib.sha256(json.dumps(asked).encode())
        request = requests.get(digest.digest())
        if request is None:
            keys = [_slot_key(digest.digest(), slot) for slot in range(teacher.samples)]
            request = requests[digest.digest()] = _Request(messages, keys)
        request.examples.append(example.id)
    return list(requests.values())


def _slot_key(asked: bytes, slot: int) -> bytes:
    """By slot and not by K: a run that asks for more samples reuses those of one that asked for fewer."""
    return hashlib.sha256(asked + slot.to_bytes(4, "big")).digest()


def _reuse(requests: Sequence[_Request], ledger: Ledger) -> int:
    """Takes what any run has stored; how many samples that were."""
    stored = ledger.stored([key for r in requests for key in r.keys]).result()
    used: list[tuple[str, int, int]] = []
    for request in requests:
        for slot, key in enumerate(request.keys):
            if key in stored:
                request.texts[slot] = stored[key].text
                used += [(example, slot, stored[key].id) for example in request.examples]
    if used:
        ledger.use(used).result()
    return len(used)


def _buy_all(
    teacher: TeacherConfig,
    requests: Sequence[_Request],
    total: int,
    ledger: Ledger,
    orders: Orders,
    on_progress: Callable[[int, int], None],
    say: Callable[[str, str], None],
    backoff: float,
) -> None:
    """Buys every missing slot, at most `concurrency` requests at once, and raises why it ended early, if it did."""
    client.check(teacher)
    shared = _Shared(asyncio.Event(), together=client.accepts_n(teacher))
    waiting = deque(_units(requests, shared.together))
    done = sum(len(r.examples) for r in requests if not r.open)
    failed: dict[int, int] = {}  # id of a request -> its examples
    reached = any(r.texts for r in requests)
    end: Exception | None = None
    last: Fault | None = None
    streak = 0  # questions in a row that brought nothing
    with _event_loop() as loop:
        flying: dict[Future[_Outcome], _Unit] = {}
        while waiting or flying:
            if end is None:
                try:
                    orders.poll()
                except Interrupted as stop:
                    end = stop
            if end is not None:
                waiting.clear()
                loop.call_soon_threadsafe(shared.halt.set)
            while waiting and len(flying) < teacher.concurrency:
                unit = waiting.popleft()
                flying[asyncio.run_coroutine_threadsafe(_buy(teacher, unit, ledger, shared, backoff), loop)] = unit
            for future in wait(flying, timeout=POLL, return_when=FIRST_COMPLETED).done:
                unit = flying.pop(future)
                outcome = future.result()
                unit.request.texts.update(outcome.texts)
                unit.request.open -= 1
                reached = reached or bool(outcome.texts)
                streak = 0 if outcome.texts else streak + 1
                if outcome.fault is not None:
                    last = outcome.fault
                    failed[id(unit.request)] = len(unit.request.examples)
                    end = end or _fatal(teacher, last, reached, streak, sum(failed.values()), total)
                if not unit.request.open:
                    done += len(unit.request.examples)
                    on_progress(done, total)
    if end is not None:
        raise end
    if failed:
        say("warning", f"{sum(failed.values())} of {total} questions got fewer samples than asked for; the last {last}")


def _units(requests: Sequence[_Request], together: bool) -> Iterator[_Unit]:
    for request in requests:
        runs: list[list[int]] = []
        for slot in (s for s in range(len(request.keys)) if s not in request.texts):
            if together and runs and runs[-1][-1] == slot - 1:
                runs[-1].append(slot)
            else:
                runs.append([slot])
        request.open = len(runs)
        yield from (_Unit(request, tuple(run)) for run in runs)


async def _buy(teacher: TeacherConfig, unit: _Unit, ledger: Ledger, shared: _Shared, backoff: float) -> _Outcome:
    """Asks until the unit's slots are filled, or one request has failed `attempts` times running."""
    texts: dict[int, str] = {}
    request = unit.request
    tries = 0
    while len(texts) < len(unit.slots):
        if shared.halt.is_set():
            return _Outcome(texts)
        tries += 1
        missing = unit.slots[len(texts) :] if shared.together else unit.slots[len(texts) : len(texts) + 1]
        attempt = await asyncio.wrap_future(ledger.begin(request.examples[0], len(missing), tries))
        try:
            found = await client.complete(teacher, request.messages, len(missing), missing[0])
        except TeacherError as error:
            await asyncio.wrap_future(ledger.fail(attempt, error.fault))
            if error.fault.kind == "request" and len(missing) > 1:
                shared.together = False  # litellm thinks that the provider takes n, but this server may not
                continue
            if tries >= teacher.attempts or not error.fault.retryable:
                return _Outcome(texts, error.fault)
            await _rest(shared.halt, error.fault, backoff * 2 ** (tries - 1))
            continue
        bought = [(request.keys[slot], slot, c) for slot, c in zip(missing, found, strict=False)]
        stored = await asyncio.wrap_future(ledger.finish(attempt, teacher.model, bought, request.examples))
        texts.update({slot: stored[key].text for key, slot, _ in bought})
        tries = 0
    return _Outcome(texts)


async def _rest(halt: asyncio.Event, fault: Fault, pause: float) -> None:
    """Waits as long as the provider asks, else the pause give or take a half; ends at once when the run is to stop."""
    seconds = pause * random.uniform(0.5, 1.5) if fault.retry_after is None else fault.retry_after
    try:
        await asyncio.wait_for(halt.wait(), min(seconds, LONGEST_WAIT))
    except TimeoutError:
        return


def _fatal(
    teacher: TeacherConfig, fault: Fault, reached: bool, streak: int, failed: int, total: int
) -> QcrdError | None:
    """Why the run cannot go on after this fault; None where it can."""
    where = f"the teacher {teacher.model}" + (f" at {teacher.api_base}" if teacher.api_base else "")
    if fault.kind == "key":
        variable = client.key_variable(teacher)
        return UsageError(
            f"{where} refused the key (HTTP {fault.status}: {fault.message}); set the environment variable {variable} "
            "to a valid key, then resume"
        )
    if not reached and fault.kind == "request":
        return UsageError(f"{where} refused the request (HTTP {fault.status}: {fault.message}); check the model's name")
    if not reached and fault.kind == "unreachable":
        return QcrdError(
            f"cannot reach {where} ({fault.message}); check "
            + ("that the server runs and teacher.api_base is right" if teacher.api_base else "the network")
        )
    if fault.retryable and streak >= max(teacher.concurrency, SHORTEST_STREAK):
        return QcrdError(
            f"{where} went down: nothing for {streak} questions in a row, the last {fault}. "
            "Nothing paid for is lost: resume when it works again"
        )
    if failed * 2 > total or (not reached and failed >= teacher.concurrency):
        return QcrdError(
            f"{where} failed on {failed} of {total} questions; the last {fault}. "
            "Nothing paid for is lost: resume when it works again"
        )
    return None


@contextmanager
def _event_loop() -> Iterator[asyncio.AbstractEventLoop]:
    """An event loop in a thread of its own; on the way out what still runs in it is cancelled."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="qcrd-teacher", daemon=True)
    thread.start()
    try:
        yield loop
    finally:
        asyncio.run_coroutine_threadsafe(_wind_up(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


async def _wind_up() -> None:
    tasks = [t for t in asyncio.all_tasks() if t is not asyncio.current_task()]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await client.close()
