"""Buying through a provider's batch API: half the price, answers within a day.

Missing samples become the lines of batches; each batch is a row before anything is sent, and each line a request of the
ledger, sent while the provider works on it. A run that ends meanwhile finds its batches again when it is resumed.
"""

import time
import uuid
from collections.abc import Callable, Sequence

from engine.errors import QcrdError
from engine.spec.teachers import TeacherConfig
from engine.store.ledger import batches
from engine.store.ledger.ledger import Ledger, Spent
from engine.store.ledger.rows import Asked
from engine.teacher import client
from engine.teacher.batches import api
from engine.teacher.batches.api import ENDED, Seen
from engine.teacher.batches.job import Batch, Desk, Line, Seller
from engine.teacher.batches.lines import MOST_BYTES, custom_id, written
from engine.teacher.batches.results import collect, give_back
from engine.teacher.batches.submit import hand_over
from engine.teacher.budget import Budget, Cost, check_budget, reached
from engine.teacher.buying import Orders, asked_for
from engine.teacher.failure import why_it_ends
from engine.teacher.outcome import Fault, TeacherError
from engine.teacher.price import price_of
from engine.teacher.requests import Request, Unit, units

FIRST_LOOK = 30.0
"""Seconds between two looks at batches that are under way; half as much again after each,"""
LAST_LOOK = 300.0
"""up to so many."""
LONGEST_NAME = "0" * 24
"""In place of a line's name while the length of its file is reckoned."""


def buy_in_batches(
    requests: Sequence[Request],
    ledger: Ledger,
    orders: Orders,
    budget: Budget,
    total: int,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
    say: Callable[[str, str], None] = lambda level, line: None,
    backoff: float = 1.0,
    on_failed: Callable[[int], None] = lambda failed: None,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.time,
) -> None:
    """Buys every missing slot of the requests in batches, those that an earlier session has submitted among them.

    Arguments and errors are those of `buying.buy`; what ends it leaves the batches with the provider. Of a teacher that
    is no longer asked in batches (`qcrd resume RUN --set teacher.batch=false`) only what is under way is waited for.
    """
    desk = Desk(ledger, orders, budget, say, sleep, clock, backoff)
    sellers = _sellers(requests)
    under_way = _carried_over(requests, sellers, desk)
    _queue(requests, sellers, under_way)
    pause = FIRST_LOOK
    try:
        while under_way or any(s.queue for s in sellers.values()):
            orders.poll()
            for seller in sellers.values():
                _form_all(seller, under_way, desk)
            for batch in under_way:
                if batch.provider_id is None:
                    hand_over(batch, desk)
                    say("info", f"batch {batch.row}: {batch.size} requests are with {batch.seller.teacher.model}")
            ended = [batch for batch in under_way if _look(batch, desk)]
            under_way = [batch for batch in under_way if batch not in ended]
            on_progress(_done(requests, under_way, total), total)
            if ended:
                pause = FIRST_LOOK
            if under_way or any(s.full for s in sellers.values()):
                desk.rest(pause)
                pause = min(pause * 1.5, LAST_LOOK)
    except QcrdError:
        _say_what_goes_on(under_way, desk)
        raise
    wanted = [r for r in requests if r.teacher.batch]
    failed = {example for request in wanted if request.missing for example in request.examples}
    on_failed(len(failed))
    if failed:
        _say_what_is_missing(len(failed), sellers, total, say)


def check(teacher: TeacherConfig) -> None:
    """Raises UsageError where the teacher cannot be asked in batches."""
    client.check(teacher)
    api.check(teacher)
    api.options(teacher, 1)


def _sellers(requests: Sequence[Request]) -> dict[TeacherConfig, Seller]:
    found: dict[TeacherConfig, Seller] = {}
    for request in requests:
        if request.teacher not in found:
            check(request.teacher)
            price = price_of(request.teacher.model_copy(update={"batch": True}))
            check_budget(request.teacher, price)
            found[request.teacher] = Seller(request.teacher, price, client.accepts_n(request.teacher))
    return found


def _carried_over(requests: Sequence[Request], sellers: dict[TeacherConfig, Seller], desk: Desk) -> list[Batch]:
    """What earlier sessions have written and not settled. What it can cost moves from spent to reserved."""
    by_slot = {(r.key, slot): r for r in requests for slot in r.slots}
    found = []
    for job in batches.unsettled(desk.ledger).result():
        asked = [by_slot.get((line.key, line.slots[0])) for line in job.lines]
        known = [request.teacher for request in asked if request is not None]
        seller = sellers[known[0]] if known else next(iter(sellers.values()))
        batch = Batch(seller, job.id, job.tag, job.size, {}, job.provider_id, tried_at=job.tried_at)
        for line, wanted in zip(job.lines, asked, strict=True):
            most = Cost(line.greatest_usd, line.greatest_tokens)
            _move(desk.budget, most)
            # of a spec whose questions have changed since: paid for, so its answer is stored all the same
            request = wanted or Request(seller.teacher, [], line.key, line.slots, [line.example], line.purpose)
            unit = Unit(request, line.slots, tries=line.attempt, row=line.sent.request)
            batch.lines[custom_id(line.sent, line.slots)] = Line(unit, line.sent, most)
        found.append(batch)
    if found:
        lines = sum(len(b.lines) for b in found)
        desk.say("info", f"{len(found)} batches of an earlier session are taken up again: {lines} requests")
    return found


def _move(budget: Budget, most: Cost) -> None:
    spent = budget.spent
    usd, tokens = spent.usd - (most.usd or 0.0), spent.tokens - (most.tokens or 0)
    budget.spent = Spent(usd, tokens, spent.calls - 1, spent.unpriced - (most.usd is None))
    budget.reserve(most)


def _queue(requests: Sequence[Request], sellers: dict[TeacherConfig, Seller], under_way: Sequence[Batch]) -> None:
    """Everything missing that is in no batch."""
    slots: dict[int, set[int]] = {}
    for batch in under_way:
        for line in batch.lines.values():
            slots.setdefault(id(line.unit.request), set()).update(line.unit.slots)
    for request in requests:
        if not request.teacher.batch:
            continue
        seller = sellers[request.teacher]
        seller.queue.extend(units(request, seller.together, slots.get(id(request), ())))


def _form_all(seller: Seller, under_way: list[Batch], desk: Desk) -> None:
    """Writes the rows of as many batches as the queue fills. Raises AtLimit where no line can be paid for."""
    mine = any(b.seller is seller for b in under_way)
    if seller.full and mine:
        return
    while seller.queue:
        chosen, refusal = _chosen(seller, desk.budget)
        if refusal is not None and not chosen:
            if under_way:  # what is under way may cost less than it reserves
                return
            raise reached(refusal, desk.ledger.run_id)
        tag = uuid.uuid4().hex
        asked = [(what, unit.tries, unit.row) for unit, what, _ in chosen]
        job = batches.write(desk.ledger, tag, seller.teacher.model, asked).result()
        batch = Batch(seller, job.id, tag, job.size, {})
        for (unit, _, most), line in zip(chosen, job.lines, strict=True):
            unit.row = line.sent.request
            batch.lines[custom_id(line.sent, unit.slots)] = Line(unit, line.sent, most)
        under_way.append(batch)
        if seller.full:
            return


def _chosen(seller: Seller, budget: Budget) -> tuple[list[tuple[Unit, Asked, Cost]], str | None]:
    """The first of the queue that fit into one batch and into the budget, reserved there; and what the budget says."""
    chosen: list[tuple[Unit, Asked, Cost]] = []
    length = 0
    while seller.queue and len(chosen) < seller.most_lines:
        unit = seller.queue.popleft()
        if not seller.together and len(unit.slots) > 1:
            seller.queue.extendleft(Unit(unit.request, (slot,)) for slot in reversed(unit.slots))
            continue
        asked, most = asked_for(seller.teacher, seller.price, unit)
        refusal = budget.refusal(most)
        length += len(written(seller.teacher, LONGEST_NAME, unit.request.messages, len(unit.slots)))
        if refusal is not None or (chosen and length > MOST_BYTES):
            seller.queue.appendleft(unit)
            return chosen, refusal
        budget.reserve(most)
        unit.tries += 1
        chosen.append((unit, asked, most))
    return chosen, None


def _look(batch: Batch, desk: Desk) -> bool:
    """Asks how far the batch is and takes what it brought; whether it is settled."""
    if batch.provider_id is None:
        return True  # nothing of it was wanted any more
    teacher = batch.seller.teacher
    try:
        seen = api.look(teacher, batch.provider_id)
    except TeacherError as error:
        _unseen(batch, error.fault, desk)
        return False
    batch.silent = False
    batch.done = seen.done
    files = (seen.output_file, seen.error_file)
    batches.seen(desk.ledger, batch.row, seen.status, seen.done, seen.failed, files)
    if seen.status not in ENDED:
        return False
    return _ended(batch, seen, desk)


def _unseen(batch: Batch, fault: Fault, desk: Desk) -> None:
    """A look that failed: the batch goes on, so only what no time cures ends the run."""
    teacher = batch.seller.teacher
    if not fault.retryable:
        end = why_it_ends(teacher, fault, reached=True, streak=0, failed=0, total=1) if fault.kind == "key" else None
        raise end or QcrdError(
            f"{teacher.model} does not show batch {batch.provider_id} ({fault}): resume with the key that it was "
            f"submitted with, or give it up with `qcrd cancel-batch {desk.ledger.run_id}`"
        )
    if not batch.silent:
        desk.say("warning", f"batch {batch.row} cannot be looked at now, and is looked at again: {fault}")
    batch.silent = True


def _ended(batch: Batch, seen: Seen, desk: Desk) -> bool:
    seller = batch.seller
    if seen.status == "failed" and seen.too_much and batch.size > 1 and not seen.output_file:
        seller.most_lines = max(1, min(seller.most_lines, batch.size) // 2)
        seller.full = True
        give_back(batch, seen.error or "too much at once", desk)
        desk.say(
            "warning",
            f"{seller.teacher.model} takes no batch of {batch.size} requests now ({seen.error}): from now on "
            f"{seller.most_lines} at most, one after the other",
        )
        return True
    if not collect(batch, seen, desk):
        return False
    desk.say("info", f"batch {batch.row} is {seen.status}: {seen.done} of {batch.size} requests answered")
    if seen.status == "failed":
        raise QcrdError(
            f"{seller.teacher.model} refused batch {batch.row} ({seen.error or 'no reason given'}); nothing of it was "
            "bought: put right what it names, then resume"
        )
    return True


def _done(requests: Sequence[Request], under_way: Sequence[Batch], total: int) -> int:
    """Examples that are done, those in a batch by the provider's count of lines."""
    waiting = {example for request in requests if request.missing for example in request.examples}
    inside = sum(batch.examples * batch.done // batch.size for batch in under_way)
    return min(total, total - len(waiting) + inside)


def _say_what_goes_on(under_way: Sequence[Batch], desk: Desk) -> None:
    there = [batch for batch in under_way if batch.provider_id is not None and batch.lines]
    if there:
        names = ", ".join(str(batch.provider_id) for batch in there)
        run = desk.ledger.run_id
        desk.say(
            "info",
            f"{sum(len(b.lines) for b in there)} requests stay with the provider, which goes on with them and bills "
            f"them ({names}): `qcrd resume {run}` fetches the answers, `qcrd cancel-batch {run}` ends the work on them",
        )


def _say_what_is_missing(
    failed: int, sellers: dict[TeacherConfig, Seller], total: int, say: Callable[[str, str], None]
) -> None:
    """`failed`: examples that got fewer samples. Raises QcrdError where they are more than half."""
    for seller in sellers.values():
        if seller.last is not None:
            end = why_it_ends(seller.teacher, seller.last, reached=True, streak=0, failed=failed, total=total)
            if end is not None:
                raise end
    last = next((s.last for s in sellers.values() if s.last is not None), None)
    say("warning", f"{failed} of {total} questions got fewer samples than asked for; the last {last}")
