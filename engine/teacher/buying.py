"""Buying what is missing: who may be asked now, what becomes of each try, and when the run has to end.

The caller's thread decides what to ask next and listens to orders; each try runs in an event loop beside it, so that a
pause keeps nobody waiting on an open connection and a stop loses nothing that is paid for.
"""

import asyncio
import heapq
import itertools
import math
import random
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from typing import Protocol

from engine.errors import Interrupted, QcrdError
from engine.spec.teachers import TeacherConfig
from engine.store.ledger.ledger import Ledger
from engine.store.ledger.rows import Asked, Sent, State, Stored
from engine.teacher import client
from engine.teacher.budget import Budget, Cost, check_budget, reached
from engine.teacher.event_loop import event_loop
from engine.teacher.failure import name_of, why_it_ends
from engine.teacher.outcome import Answer, Fault, TeacherError
from engine.teacher.pace import Pace, Ticket
from engine.teacher.price import Price, price_of
from engine.teacher.requests import Request, Unit, slot_key, units
from engine.teacher.tokens import count

LONGEST_REST = 60.0
"""Seconds between two tries of one request at most; a provider's Retry-After is followed whole, by the pace."""
MOST_TURNED_AWAY = 20
"""Tries of one request that a provider may turn away (429) before they count as the others do."""
TRIES_TO_CONNECT = 2
"""Tries of one request to connect to a server that was never reached: its address is likelier wrong than it is down."""
POLL = 0.5
"""Seconds between looks at the orders while no answer comes."""


class Orders(Protocol):
    """Who may stop a run: `poll` raises Interrupted, or returns only when a pause is over."""

    def poll(self) -> None:
        """Look at the orders."""
        ...


@dataclass(slots=True)
class _Seller:
    """A teacher while it is asked."""

    teacher: TeacherConfig
    price: Price | None
    pace: Pace
    together: bool
    """Whether it takes several samples in one request."""
    queue: deque[Unit] = field(default_factory=deque)
    resting: list[tuple[float, int, Unit]] = field(default_factory=list)
    """A heap of units that wait for another try: (when, a number that breaks ties, unit)."""
    due: float = math.inf
    """When it may be asked again, where it is known."""
    reached: bool = False
    """Whether it has ever answered."""
    short: int = 0
    """Answers with fewer samples than asked for."""
    streak: int = 0
    """Questions in a row that brought nothing."""


@dataclass(frozen=True, slots=True)
class _Flight:
    """A try under way: which slots of a unit, and the most that it can cost."""

    seller: _Seller
    unit: Unit
    asked: Asked
    most: Cost
    ticket: Ticket


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What a try brought: an answer with the samples by slot as they are stored, or a fault."""

    samples: dict[int, Stored]
    was: Cost
    fault: Fault | None = None


def buy(
    requests: Sequence[Request],
    ledger: Ledger,
    orders: Orders,
    budget: Budget,
    total: int,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
    say: Callable[[str, str], None] = lambda level, line: None,
    backoff: float = 1.0,
    on_failed: Callable[[int], None] = lambda failed: None,
) -> None:
    """Buys every missing slot of the requests and raises why it ended early, if it did, after all under way has landed.

    `total`: examples; `on_progress(examples done, total)`, `say(level, log line)` and `on_failed(examples done that got
    fewer samples than asked for)` are called from this thread.
    `backoff`: the first wait in seconds after a fault; it doubles with each try. Raises Interrupted, AtLimit,
    UsageError and QcrdError where a teacher cannot be used, or failed on more than half of the examples.
    """
    sellers = _sellers(requests)
    waiting = Counter(e for r in requests if r.open for e in r.examples)  # example -> requests to be done
    done = total - len(waiting)
    failed: set[str] = set()  # examples
    end: Exception | None = None
    last: Fault | None = None
    ties = itertools.count()
    with event_loop() as loop:
        flying: dict[Future[_Outcome], _Flight] = {}
        while flying or any(s.queue or s.resting for s in sellers):
            if end is None:
                try:
                    orders.poll()
                except Interrupted as stop:
                    end = stop
            now = time.monotonic()
            for seller in sellers:
                end = end or _hopeless(seller, now)
                if end is not None:
                    seller.queue.clear()
                    seller.resting.clear()
                while seller.resting and seller.resting[0][0] <= now:
                    seller.queue.appendleft(heapq.heappop(seller.resting)[2])
                seller.due = math.inf
                while seller.queue and _may_ask(seller, now):
                    unit, asked, most = _next(seller)
                    refusal = budget.refusal(most)
                    if refusal is not None:
                        seller.queue.appendleft(unit)
                        if not flying:  # what is under way may cost less than it reserves
                            end = reached(refusal, ledger.run_id)
                        break
                    if not _may_ask(seller, now, _tokens(asked, seller.teacher)):
                        seller.queue.appendleft(unit)
                        break
                    budget.reserve(most)
                    unit.tries += 1
                    ticket = seller.pace.start(now, _tokens(asked, seller.teacher))
                    flight = _Flight(seller, unit, asked, most, ticket)
                    flying[asyncio.run_coroutine_threadsafe(_try(flight, ledger), loop)] = flight
            for future in _landed(flying, sellers, now):
                flight = flying.pop(future)
                seller, unit, request = flight.seller, flight.unit, flight.unit.request
                outcome = future.result()
                _tell_pace(flight, outcome)
                budget.settle(flight.most, outcome.was, outcome.fault is None or outcome.fault.sent)
                for slot, stored in outcome.samples.items():
                    request.take(slot, stored)
                again = _next_step(flight, outcome, backoff)
                if again is not None:
                    for part in again.units:
                        if again.wait is None:
                            seller.queue.appendleft(part)
                        else:
                            heapq.heappush(seller.resting, (time.monotonic() + again.wait, next(ties), part))
                    continue
                request.open -= 1
                seller.streak = 0 if unit.brought else seller.streak + 1
                if outcome.fault is not None:
                    last = outcome.fault
                    failed.update(request.examples)
                    on_failed(len(failed))
                    end = end or why_it_ends(seller.teacher, last, seller.reached, seller.streak, len(failed), total)
                if not request.open:
                    waiting.subtract(request.examples)
                    done += sum(waiting[e] == 0 for e in request.examples)
                    on_progress(done, total)
            for seller in sellers:
                while seller.pace.notes:
                    say(*seller.pace.notes.popleft())
    if end is not None:
        raise end
    for seller in sellers:
        if seller.short:
            name = seller.teacher.model
            say(
                "info",
                f"{seller.short} answers of {name} had fewer samples than asked for: the others were asked again",
            )
    if failed:
        say("warning", f"{len(failed)} of {total} questions got fewer samples than asked for; the last {last}")


@dataclass(frozen=True, slots=True)
class _Again:
    """More to ask of a unit, at once or after `wait` seconds."""

    units: tuple[Unit, ...]
    wait: float | None = None


def _sellers(requests: Sequence[Request]) -> list[_Seller]:
    """One for each teacher that something is missing of. Raises UsageError for one that cannot be asked or limited."""
    found: dict[TeacherConfig, _Seller] = {}
    for request in requests:
        if not request.missing:
            continue
        seller = found.get(request.teacher)
        if seller is None:
            client.check(request.teacher)
            price = price_of(request.teacher)
            check_budget(request.teacher, price)
            one = request.teacher
            pace = Pace(name_of(one), one.concurrency, one.rpm, one.tpm)
            seller = found[one] = _Seller(one, price, pace, client.accepts_n(one))
        seller.reached = seller.pace.reached = seller.reached or bool(request.texts)
        seller.queue.extend(units(request, seller.together))
    return list(found.values())


def _may_ask(seller: _Seller, now: float, tokens: int = 0) -> bool:
    """Whether the teacher may be asked for so many tokens right now: retries and first tries alike pass here."""
    pause = seller.pace.wait(now, tokens)
    if pause:
        seller.due = now + pause
    return pause == 0


def _tokens(asked: Asked, teacher: TeacherConfig) -> int:
    """The most that the provider may count for a try, but for an estimate of the question that is too low."""
    return (asked.input_tokens or 0) + teacher.max_tokens * len(asked.slots)


def _tell_pace(flight: _Flight, outcome: _Outcome) -> None:
    pace, now = flight.seller.pace, time.monotonic()
    if outcome.fault is None:
        pace.answered(now, flight.ticket, outcome.was.tokens)
    else:
        pace.failed(now, flight.ticket, outcome.fault)


def _hopeless(seller: _Seller, now: float) -> QcrdError | None:
    """The end of waiting for a teacher that is down, where anything waits for it."""
    why = seller.pace.hopeless(now, seller.teacher.give_up_after)
    if why is None or not (seller.queue or seller.resting):
        return None
    last = f", the last {seller.pace.last}" if seller.pace.last else ""
    return QcrdError(f"{seller.pace.name} {why}{last}. Nothing paid for is lost: resume when it works again")


def _next(seller: _Seller) -> tuple[Unit, Asked, Cost]:
    """The next try, the first of its queue; one that asks for more than the teacher gives at once is split."""
    unit = seller.queue.popleft()
    if not seller.together and len(unit.slots) > 1:
        parts = _single(unit)
        seller.queue.extendleft(reversed(parts[1:]))
        unit = parts[0]
    asked, most = asked_for(seller.teacher, seller.price, unit)
    return unit, asked, most


def asked_for(teacher: TeacherConfig, price: Price | None, unit: Unit) -> tuple[Asked, Cost]:
    """What the ledger is told before a try for the unit, and the most that it can cost."""
    request = unit.request
    counted = count(teacher, request.messages)
    written = teacher.max_tokens * len(unit.slots)
    most = Cost(None if price is None else price.cost(counted.most, written), counted.most + written)
    example = request.examples[0] if request.examples else ""
    asked = Asked(
        request.purpose,
        example,
        teacher.model,
        request.key,
        unit.slots,
        counted.tokens,
        most.usd,
        most.tokens,
        request.messages,
    )
    return asked, most


def _single(unit: Unit) -> list[Unit]:
    """One unit for each slot, each a request of its own."""
    unit.request.open += len(unit.slots) - 1
    return [Unit(unit.request, (slot,)) for slot in unit.slots]


async def _try(flight: _Flight, ledger: Ledger) -> _Outcome:
    """One request over the wire, its rows before and after it."""
    seller, unit, request = flight.seller, flight.unit, flight.unit.request
    teacher = seller.teacher
    sent = await asyncio.wrap_future(ledger.begin(flight.asked, unit.tries, unit.row))
    unit.row = sent.request
    try:
        answer = await client.complete(teacher, request.messages, len(unit.slots), unit.slots[0])
    except TeacherError as error:
        fault = error.fault
        splits = _wants_one(fault, unit)
        await asyncio.wrap_future(ledger.fail(sent, fault, last=splits or not _another(flight, fault)))
        free = Cost(0.0, 0)
        return _Outcome({}, free if fault.billed is False else Cost(None, None), fault)
    return await _store(flight, ledger, sent, answer)


async def _store(flight: _Flight, ledger: Ledger, sent: Sent, answer: Answer) -> _Outcome:
    seller, unit, request = flight.seller, flight.unit, flight.unit.request
    paid = None if seller.price is None else seller.price.cost(answer.input_tokens, answer.output_tokens)
    bought = [(slot_key(request.key, slot), slot, c) for slot, c in zip(unit.slots, answer.completions, strict=False)]
    state: State
    if answer.fault is not None:
        state = "pending" if _another(flight, answer.fault) else "failed"
    else:
        state = "done" if len(bought) == len(unit.slots) else "pending"
    stored = await asyncio.wrap_future(
        ledger.finish(sent, seller.teacher.model, answer, paid, bought, request.examples, state)
    )
    known = answer.input_tokens is not None and answer.output_tokens is not None
    tokens = (answer.input_tokens or 0) + (answer.output_tokens or 0) if known else None
    return _Outcome({slot: stored[key] for key, slot, _ in bought}, Cost(paid, tokens), answer.fault)


def _next_step(flight: _Flight, outcome: _Outcome, backoff: float) -> _Again | None:
    """What is still to be asked of the unit after this try; None where it is done or given up."""
    seller, unit = flight.seller, flight.unit
    if outcome.fault is None:
        seller.reached = unit.brought = True
        unit.slots = tuple(slot for slot in unit.slots if slot not in outcome.samples)
        unit.tries = unit.spared = unit.turned_away = 0
        seller.short += bool(unit.slots)
        return _Again((unit,)) if unit.slots else None
    if _wants_one(outcome.fault, unit):
        seller.together = False  # litellm thinks that the provider takes n, but this server may not
        return _Again(tuple(reversed(_single(unit))))
    if not _another(flight, outcome.fault):
        return None
    unit.spared += _spared(flight, outcome.fault)
    unit.turned_away += outcome.fault.kind == "rate-limit"
    if flight.ticket.probe or outcome.fault.retry_after is not None:
        return _Again((unit,))  # the pace knows when
    return _Again((unit,), _rest(backoff, unit.tries))


def _wants_one(fault: Fault, unit: Unit) -> bool:
    """A request that was refused may have asked for too many samples at once."""
    return fault.kind == "request" and len(unit.slots) > 1


def _another(flight: _Flight, fault: Fault) -> bool:
    """Whether the unit is tried again after this fault."""
    tries = flight.unit.tries - flight.unit.spared
    if not (fault.sent or flight.seller.reached or flight.seller.pace.reached) and tries >= TRIES_TO_CONNECT:
        return False
    return fault.retryable and (_spared(flight, fault) or tries < flight.seller.teacher.attempts)


def _spared(flight: _Flight, fault: Fault) -> bool:
    """Whether the try says nothing about the question: the provider turned it away, or was known to be down."""
    return flight.ticket.probe or (fault.kind == "rate-limit" and flight.unit.turned_away < MOST_TURNED_AWAY)


def _rest(backoff: float, tries: int) -> float:
    """Seconds: twice as long with each try, give or take a half."""
    return min(backoff * 2.0 ** min(tries - 1, 30) * random.uniform(0.5, 1.5), LONGEST_REST)


def _landed(flying: dict[Future[_Outcome], _Flight], sellers: Sequence[_Seller], now: float) -> set[Future[_Outcome]]:
    """The tries that have ended; waits for one, but not beyond the next look at orders or at what rests."""
    due = min((at for s in sellers for at in (s.due, *(r[0] for r in s.resting[:1]))), default=math.inf)
    pause = max(0.0, min(POLL, due - now))
    if not flying:
        time.sleep(pause)
        return set()
    return wait(flying, timeout=pause, return_when=FIRST_COMPLETED).done
