"""K samples for each example: those in the database are reused, the others bought; all are stored on return."""

import time
from collections.abc import Callable, Collection, Sequence

from engine.errors import AtLimit, QcrdError
from engine.records import Example, Sample
from engine.spec.run import RunSpec
from engine.spec.teachers import TeacherConfig
from engine.store.ledger.batches import unsettled, with_others
from engine.store.ledger.ledger import Ledger
from engine.teacher.batches.buying import buy_in_batches
from engine.teacher.budget import budget_of
from engine.teacher.buying import Orders, buy
from engine.teacher.replay import read_recorded, replay
from engine.teacher.requests import Request, requests_for, slot_key
from engine.text import in_dollars

LOOK = 2.0
"""Seconds between looks at a run that buys the same."""


def sample(
    spec: RunSpec,
    examples: Sequence[Example],
    ledger: Ledger,
    orders: Orders,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
    say: Callable[[str, str], None] = lambda level, line: None,
    backoff: float = 1.0,
    on_failed: Callable[[int], None] = lambda failed: None,
) -> dict[str, list[Sample]]:
    """Up to `spec.teacher.samples` samples for every example, in slot order; all are in the database on return.

    The callbacks, `backoff` and what it raises are those of `buying.buy`.
    """
    if spec.teacher.model.startswith("replay:"):
        return _replay(spec.teacher, examples, ledger, on_progress, say)
    requests = requests_for(spec.teacher, spec.data.answer, examples)
    on_failed(0)
    fill(spec.teacher, requests, len(examples), ledger, orders, on_progress, say, backoff, on_failed)
    on_progress(len(examples), len(examples))
    unended = sum(not text.strip() for r in requests for text in r.texts.values())
    if unended:
        say(
            "warning",
            f"{unended} samples are hidden reasoning alone, cut off before the answer: raise teacher.max_tokens "
            f"(now {spec.teacher.max_tokens})",
        )
    found: dict[str, list[Sample]] = {example.id: [] for example in examples}
    for r in requests:
        reasoning = r.reasoning if spec.teacher.reasoning == "use" else {}
        for e in r.examples:
            found[e] += [Sample(e, slot, text, reasoning.get(slot)) for slot, text in r.texts.items()]
    return {e: sorted(mine, key=lambda s: s.slot) for e, mine in found.items()}


def fill(
    limits: TeacherConfig,
    requests: Sequence[Request],
    total: int,
    ledger: Ledger,
    orders: Orders,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
    say: Callable[[str, str], None] = lambda level, line: None,
    backoff: float = 1.0,
    on_failed: Callable[[int], None] = lambda failed: None,
) -> None:
    """Gives every request its texts: what any run has stored for nothing, the rest bought within the limits' budget.

    `limits`: whose budget and policies hold for the run; the others as `buying.buy`.
    """
    stray = ledger.close_stray().result()
    reused = reuse(requests, ledger) + _claim(requests, ledger, orders, say)
    if reused:
        say("info", f"in the database already, and not asked for again: {reused} samples")
    try:
        _settle_doubts(limits, requests, ledger, stray, say)
        _buy_missing(limits, requests, total, ledger, orders, on_progress, say, backoff, on_failed)
    finally:
        ledger.claim(()).result()


def _buy_missing(
    limits: TeacherConfig,
    requests: Sequence[Request],
    total: int,
    ledger: Ledger,
    orders: Orders,
    on_progress: Callable[[int, int], None],
    say: Callable[[str, str], None],
    backoff: float,
    on_failed: Callable[[int], None],
) -> None:
    budget = budget_of(limits, ledger.spent().result())
    jobs = unsettled(ledger).result()
    there = {line.key for job in jobs for line in job.lines}
    batched = [r for r in requests if r.teacher.batch or r.key in there]
    if requests and (batched or jobs):
        buy_in_batches(batched or requests[:1], ledger, orders, budget, total, on_progress, say, backoff, on_failed)
    others = [r for r in requests if not r.teacher.batch]
    if any(r.missing for r in others):
        buy(others, ledger, orders, budget, total, on_progress, say, backoff, on_failed)


def reuse(requests: Sequence[Request], ledger: Ledger, keep: bool = True) -> int:
    """Takes what any run has stored; how many samples that were. `keep`: note that this run uses them."""
    older = {slot_key(r.key, slot): slot_key(r.older_key, slot) for r in requests if r.older_key for slot in r.missing}
    keys = [slot_key(r.key, slot) for r in requests for slot in r.missing]
    stored = ledger.stored(keys).result()
    found = ledger.stored([older[key] for key in keys if key in older and key not in stored]).result()
    if found:
        ledger.rename({new: old for new, old in older.items() if old in found}).result()
        stored |= {new: found[old] for new, old in older.items() if old in found and new not in stored}
    used: list[tuple[str, int, int]] = []
    for request in requests:
        for slot in request.missing:
            sample = stored.get(slot_key(request.key, slot))
            if sample is not None:
                request.take(slot, sample)
                used += [(example, slot, sample.id) for example in request.examples]
    if used and keep:
        ledger.use(used).result()
    return len(used)


def _claim(requests: Sequence[Request], ledger: Ledger, orders: Orders, say: Callable[[str, str], None]) -> int:
    """This run's alone to buy on return, as far as it is missing then: waits for a living run that is buying any of it,
    since both would pay; orders are obeyed meanwhile. How many samples others have bought since the last look.

    Raises QcrdError where a run that ended has left some with a provider: they are on the bill, and its to fetch."""
    said, found = False, 0
    while wanted := {r.key for r in requests if r.missing}:
        other = ledger.claim(wanted).result()
        found += reuse(requests, ledger)  # claimed or not: what was being bought a moment ago may be there now
        if other is None:
            other = _in_a_batch({r.key for r in requests if r.missing}, ledger)
        if other is None:
            break
        if not said:
            say("info", f"run {other} is buying some of the same samples: waits for them, so that none is bought twice")
        said = True
        orders.poll()
        time.sleep(LOOK)
    return found


def _in_a_batch(wanted: Collection[bytes], ledger: Ledger) -> int | None:
    """A living run that has some of it in a batch at its provider, claimed or not. Raises as `_claim` does."""
    held = with_others(ledger, wanted).result()
    if held:
        ledger.claim(()).result()  # theirs, once they look: with both held, each would wait for the other
    for one in held:
        if not one.alive:
            raise QcrdError(
                f"{one.requests} of its requests are with the provider already, in a batch that run {one.run_id} left "
                f"there: `qcrd resume {one.run_id}` fetches the answers, which this run then has for nothing; after "
                f"`qcrd cancel-batch {one.run_id}` it buys them itself"
            )
    return held[0].run_id if held else None


def _settle_doubts(
    limits: TeacherConfig, requests: Sequence[Request], ledger: Ledger, stray: int, say: Callable[[str, str], None]
) -> None:
    """Requests whose answer was lost with a killed worker: bought again, or left to the user."""
    wanted = {(r.key, slot) for r in requests for slot in r.missing}
    lost = [d for d in ledger.in_doubt().result() if any((d.key, slot) in wanted for slot in d.slots)]
    if not lost:
        return
    known = [d.greatest_usd for d in lost if d.greatest_usd is not None]
    cost = "at a price nobody knows" if len(known) < len(lost) else f"{in_dollars(sum(known))} at most"
    run, many = (
        ledger.run_id,
        f"{len(lost)} requests were under way when the run last ended and may be on the bill ({cost})",
    )
    if limits.in_doubt == "stop":
        raise AtLimit(
            many,
            f"`qcrd requests {run} --in-doubt` lists them, `qcrd resume {run} --set teacher.in_doubt=again` buys them "
            "again",
        )
    if stray:
        say("warning", f"{many}; their answers are lost and are asked for again")


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
