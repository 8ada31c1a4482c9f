"""A few paid calls before the job: how long a teacher's answers are. They are stored, and the job reuses them."""

from collections.abc import Callable
from pathlib import Path

from engine.data.load import load
from engine.data.splits import asked
from engine.errors import UsageError
from engine.spec.run import RunSpec
from engine.store.ledger.ledger import Ledger
from engine.teacher import client
from engine.teacher.aside import aside, at_once
from engine.teacher.buying import Orders
from engine.teacher.requests import Request, requests_for
from engine.teacher.sampling import fill, reuse


def pilot(
    spec: RunSpec,
    database: Path,
    calls: int,
    orders: Orders,
    say: Callable[[str, str], None],
) -> int:
    """Buys what at most `calls` requests bring, of questions spread over the dataset, as a run of its own; its id.

    Raises UsageError for a teacher that is replayed from a file, and as `sampling.sample` does.
    """
    if not spec.needs_teacher or spec.teacher.model.startswith("replay:"):
        raise UsageError("--pilot: there is no teacher to be paid for")
    for one in spec.teacher.everyone:
        client.check(one)
    spec = at_once(spec)
    dataset = load(spec)
    with aside(spec, database, "pilot") as recorder:
        ledger = Ledger(recorder.writer, recorder.run_id)
        recorder.dataset(dataset)
        requests = requests_for(spec.teacher, spec.data.answer, asked(spec, dataset))
        reuse(requests, ledger, keep=False)
        chosen = _spread([r for r in requests if r.missing], calls)
        for request in chosen:
            if not client.accepts_n(request.teacher):
                request.slots = tuple(request.missing[:1])
        recorder.stage("sample", state="running", total=len(chosen))
        fill(spec.teacher, chosen, len(chosen), ledger, orders, say=say)
        recorder.stage("sample", state="done", done=len(chosen))
    return recorder.run_id


def _spread(requests: list[Request], count: int) -> list[Request]:
    """So many of them, evenly over the list."""
    if len(requests) <= count:
        return requests
    return [requests[i * len(requests) // count] for i in range(count)]
