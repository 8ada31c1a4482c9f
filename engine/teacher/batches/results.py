"""What a batch brought: fetched, each line stored as an answer or a fault, and what is to be asked again.

Nothing is stored twice: a line that is settled is no longer among the batch's, whoever reads the output once more.
"""

import io
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

from engine.store.ledger import batches
from engine.store.ledger.rows import State, Stored
from engine.teacher.batches import api
from engine.teacher.batches.api import Seen
from engine.teacher.batches.job import Batch, Desk, Line, Seller
from engine.teacher.batches.lines import outcome, read
from engine.teacher.budget import Cost
from engine.teacher.outcome import Answer, Fault, TeacherError
from engine.teacher.requests import Unit, slot_key

FETCHES = 3
"""Times that a file with broken lines is fetched before they count as lost."""
TOGETHER = 500
"""Lines that are stored before their commits are waited for."""


def collect(batch: Batch, seen: Seen, desk: Desk) -> bool:
    """Stores what the batch's files hold and queues what is to be asked again; False: fetch once more, later."""
    files = [file for file in (seen.output_file, seen.error_file) if file]
    batch.fetches += 1
    batch.broken = 0
    for file in files:
        try:
            content = api.fetch(batch.seller.teacher, file)
        except TeacherError as error:
            if error.fault.retryable:
                desk.say("warning", f"the results of batch {batch.row} cannot be fetched yet: {error.fault}")
                batch.fetches -= 1
                return False
            desk.say("error", f"the provider no longer has the file {file} of batch {batch.row}: {error.fault}")
            batch.broken += 1
            continue
        for part in _parts(batch, content):
            desk.orders.poll()  # a stop in between costs nothing: what is not stored is fetched again
            _settle(batch, part, desk)
    if batch.lines and batch.broken and batch.fetches < FETCHES and files:
        return False
    _settle(batch, {name: _missing(batch, seen) for name in batch.lines}, desk, last=seen.status == "failed")
    batches.ended(desk.ledger, batch.row, seen.error).result()
    return True


def give_back(batch: Batch, error: str, desk: Desk) -> None:
    """The provider takes less at once: nothing was worked on, all is queued again and counts as no try."""
    fault = Fault("rate-limit", error)
    for line in batch.lines.values():
        desk.ledger.fail(line.sent, fault, last=False)
        desk.budget.settle(line.most, Cost(0.0, 0))
        line.unit.tries -= 1
        if batch.seller.teacher.batch:
            batch.seller.queue.append(line.unit)
    batch.lines.clear()
    batches.ended(desk.ledger, batch.row, error).result()


def _parts(batch: Batch, content: bytes) -> Iterator[dict[str, Answer | Fault]]:
    """The file's lines that belong to the batch, in parts; broken ones are counted."""
    part: dict[str, Answer | Fault] = {}
    for text in io.BytesIO(content):
        if not text.strip():
            continue
        found = read(text.decode("utf-8", "replace"))
        if found is None:
            batch.broken += 1
            continue
        name, said = found
        line = batch.lines.get(name)
        if line is not None and name not in part:
            part[name] = outcome(batch.seller.teacher, said, len(line.unit.slots))
        if len(part) == TOGETHER:
            yield part
            part = {}
    yield part


def _missing(batch: Batch, seen: Seen) -> Fault:
    """Of a line that is in no file."""
    if batch.broken or seen.status == "completed":
        return Fault("body", f"the output of batch {seen.id} has no line of it that can be read")
    return Fault("server", seen.error or f"the batch was {seen.status} before its turn")  # not worked on, not billed


@dataclass(frozen=True, slots=True)
class _Settled:
    """A line whose rows are on their way."""

    line: Line
    what: Answer | Fault
    paid: float | None
    stored: "Future[dict[bytes, Stored]] | Future[None]"


def _settle(batch: Batch, found: Mapping[str, Answer | Fault], desk: Desk, last: bool = False) -> None:
    """`last`: nothing is asked again."""
    seller = batch.seller
    if any(_wants_one(what, batch.lines[name].unit) for name, what in found.items()):
        seller.together = False  # litellm thinks that the provider takes n, but in a batch it may not
    on_their_way = [_store(seller, batch.lines.pop(name), what, desk, last) for name, what in list(found.items())]
    for one in on_their_way:
        stored = one.stored.result() or {}
        unit = one.line.unit
        for slot in unit.slots:
            sample = stored.get(slot_key(unit.request.key, slot))
            if sample is not None:
                unit.request.take(slot, sample)
        desk.budget.settle(one.line.most, _cost(one))
        again = [] if last else _again(seller, unit, one.what)
        fault = one.what if isinstance(one.what, Fault) else one.what.fault
        if fault is not None and not again:
            seller.last = fault
        seller.queue.extend(again)


def _store(seller: Seller, line: Line, what: Answer | Fault, desk: Desk, last: bool) -> _Settled:
    unit = line.unit
    request = unit.request
    if isinstance(what, Fault):
        over = last or _wants_one(what, unit) or not _another(seller, unit, what)
        return _Settled(line, what, None, desk.ledger.fail(line.sent, what, last=over))
    paid = None if seller.price is None else seller.price.cost(what.input_tokens, what.output_tokens)
    bought = [(slot_key(request.key, slot), slot, c) for slot, c in zip(unit.slots, what.completions, strict=False)]
    state: State = "done"
    if what.fault is not None:
        state = "pending" if _another(seller, unit, what.fault) else "failed"
    stored = desk.ledger.finish(line.sent, seller.teacher.model, what, paid, bought, request.examples, state)
    return _Settled(line, what, paid, stored)


def _cost(one: _Settled) -> Cost:
    if isinstance(one.what, Fault):
        return Cost(0.0, 0) if one.what.billed is False else Cost(None, None)
    asked, written = one.what.input_tokens, one.what.output_tokens
    return Cost(one.paid, None if asked is None or written is None else asked + written)


def _again(seller: Seller, unit: Unit, what: Answer | Fault) -> Sequence[Unit]:
    """What is still to be asked of a unit, in a batch."""
    fault = what if isinstance(what, Fault) else what.fault
    missing = tuple(slot for slot in unit.slots if slot not in unit.request.texts)
    if not seller.teacher.batch:
        return []
    if fault is None:
        return [Unit(unit.request, missing)] if missing else []  # a row of its own: a batch's row knows its slots
    if _wants_one(fault, unit):
        return [Unit(unit.request, (slot,)) for slot in missing]
    return [unit] if _another(seller, unit, fault) else []


def _another(seller: Seller, unit: Unit, fault: Fault) -> bool:
    """Whether the unit is tried again in a batch after this fault."""
    return seller.teacher.batch and fault.retryable and unit.tries < seller.teacher.attempts


def _wants_one(what: Answer | Fault, unit: Unit) -> bool:
    """A line that was refused may have asked for too many samples at once."""
    return isinstance(what, Fault) and what.kind == "request" and len(unit.slots) > 1
