"""Handing a batch to the provider, once: where it is not known whether it arrived, it is looked for by its tag."""

from engine.errors import QcrdError
from engine.store.ledger import batches
from engine.teacher.batches import api
from engine.teacher.batches.api import Seen
from engine.teacher.batches.job import Batch, Desk
from engine.teacher.batches.lines import written
from engine.teacher.budget import Cost
from engine.teacher.failure import why_it_ends
from engine.teacher.outcome import Fault, TeacherError

SETTLES_AFTER = 30.0
"""Seconds after a submission before a batch that the provider does not list counts as one that it does not have."""

PATIENCE = 5
"""Times the backoff of single requests: a batch that takes a day can wait for minutes."""
READ_AGAIN = 5.0
"""Seconds between looks at an input file that the provider is still reading,"""
READ_WITHIN = 600.0
"""for so long."""
NEVER_SENT = Fault("unreachable", "the run ended before it was sent, and it is not wanted any more", sent=False)


def hand_over(batch: Batch, desk: Desk) -> None:
    """The provider has the batch on return, unless nothing of it is wanted any more.

    Raises QcrdError where it takes none: then the lines are settled as never sent, or, where nobody can tell, the batch
    stays to be looked for when the run is resumed.
    """
    teacher = batch.seller.teacher
    fault: Fault | None = None
    for attempt in range(teacher.attempts):
        if fault is not None:
            desk.rest(fault.retry_after or desk.backoff * PATIENCE * 2**attempt)
        try:
            seen = _found(batch, desk) or _submitted(batch, desk)
        except TeacherError as error:
            fault = error.fault
            if _surely_refused(fault) and batch.tried_at is not None:
                _note_try(batch, desk, None)
            if not fault.retryable:
                break
            continue
        if seen is None:
            batches.ended(desk.ledger, batch.row).result()
            return
        batch.provider_id, batch.tried_at = seen.id, None
        batches.submitted(desk.ledger, batch.row, seen.id).result()
        return
    assert fault is not None
    raise _hopeless(batch, desk, fault)


def _found(batch: Batch, desk: Desk) -> Seen | None:
    """The provider's batch, where an earlier try has brought it there."""
    if batch.tried_at is None:
        return None
    teacher = batch.seller.teacher
    seen = api.find(teacher, batch.tag, batch.tried_at)
    left = batch.tried_at + SETTLES_AFTER - desk.clock()
    if seen is None and left > 0:
        desk.rest(left)
        seen = api.find(teacher, batch.tag, batch.tried_at)
    if seen is None:
        _note_try(batch, desk, None)
    else:
        desk.say("info", f"batch {batch.row} had reached the provider ({seen.id}): it is not submitted again")
    return seen


def _submitted(batch: Batch, desk: Desk) -> Seen | None:
    """Uploads and submits it; None where no line of it is wanted any more."""
    teacher = batch.seller.teacher
    if batch.input_file is None:
        _drop_unwanted(batch, desk)
        if not batch.lines:
            return None
        units = [(name, line.unit) for name, line in batch.lines.items()]
        lines = b"".join(written(teacher, name, unit.request.messages, len(unit.slots)) for name, unit in units)
        batch.input_file, ready = api.upload(teacher, f"{batch.tag}.jsonl", lines)
        batches.uploaded(desk.ledger, batch.row, batch.input_file).result()
        until = desk.clock() + READ_WITHIN
        while not ready and desk.clock() < until:
            desk.rest(READ_AGAIN)
            ready = api.ready(teacher, batch.input_file)
    _note_try(batch, desk, desk.clock())
    return api.submit(teacher, batch.input_file, batch.tag)


def _drop_unwanted(batch: Batch, desk: Desk) -> None:
    """What another run has bought since an earlier session wrote the batch, or no question asks any more."""
    teacher = batch.seller.teacher
    for name, line in list(batch.lines.items()):
        request = line.unit.request
        if not teacher.batch or not request.messages or not set(line.unit.slots) <= set(request.missing):
            desk.ledger.fail(line.sent, NEVER_SENT, last=True)
            desk.budget.settle(line.most, Cost(0.0, 0))
            del batch.lines[name]


def _note_try(batch: Batch, desk: Desk, at: float | None) -> None:
    batch.tried_at = at
    batches.tried(desk.ledger, batch.row, at).result()


def _surely_refused(fault: Fault) -> bool:
    """A server's error, a timeout or a broken answer can come after the batch was made."""
    return fault.kind in ("request", "key", "rate-limit", "question") or not fault.sent


def _hopeless(batch: Batch, desk: Desk, fault: Fault) -> QcrdError:
    teacher = batch.seller.teacher
    if batch.tried_at is not None:
        return QcrdError(
            f"nobody can tell whether {teacher.model} has taken batch {batch.row} (the last {fault}); "
            f"`qcrd resume {desk.ledger.run_id}` looks for it there before it is submitted again"
        )
    refused = Fault("unreachable", f"its batch was never taken: {fault.message}", fault.status, sent=False)
    for line in batch.lines.values():
        desk.ledger.fail(line.sent, refused, last=True)
    batches.ended(desk.ledger, batch.row, str(fault)).result()
    if fault.kind in ("key", "unreachable"):
        end = why_it_ends(teacher, fault, reached=False, streak=0, failed=0, total=1)
        if end is not None:
            return end
    return QcrdError(
        f"{teacher.model} takes no batch (the last {fault}). Nothing of it was bought: resume when it works again, or "
        "start another run with teacher.batch = false"
    )
