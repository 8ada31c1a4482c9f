"""A few paid calls before the job: how long a teacher's answers are. They are stored, and the job reuses them."""

from collections.abc import Callable
from pathlib import Path

from engine.data.load import load
from engine.data.splits import asked
from engine.errors import BudgetReached, Interrupted, QcrdError, UsageError
from engine.spec.run import RunSpec
from engine.store.ledger import Ledger
from engine.store.recorder import Recorder
from engine.store.runs import claim, create_run, set_status
from engine.store.spend import note_spend
from engine.store.writer import Writer
from engine.teacher import client
from engine.teacher.buying import Orders
from engine.teacher.messages import load_prompt
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
    client.check(spec.teacher)
    # at once, and not within a day; a job in batches reuses its samples all the same
    spec = spec.model_copy(update={"teacher": spec.teacher.model_copy(update={"batch": False})})
    dataset = load(spec)
    mine = spec.model_copy(update={"until": "vote", "name": f"{spec.name[:90]} (pilot)"})
    run_id = create_run(database, mine)
    claim(database, run_id)
    try:
        with Writer(database) as writer:
            recorder, ledger = Recorder(writer, run_id), Ledger(writer, run_id)
            recorder.declare_stages([("sample", "questions")])
            recorder.dataset(dataset)
            prompt = load_prompt(spec.teacher, spec.data.answer)
            requests = requests_for(spec.teacher, prompt, asked(spec, dataset))
            reuse(requests, ledger, keep=False)
            chosen = _spread([r for r in requests if r.missing], calls)
            if not client.accepts_n(spec.teacher):
                for request in chosen:
                    request.slots = tuple(request.missing[:1])
            recorder.stage("sample", state="running", total=len(chosen))
            try:
                fill(spec.teacher, chosen, len(chosen), ledger, orders, say=say)
            finally:
                note_spend(recorder)
            recorder.stage("sample", state="done", done=len(chosen))
    except (Interrupted, BudgetReached) as error:
        set_status(database, run_id, "interrupted", str(error))
        raise
    except QcrdError as error:
        set_status(database, run_id, "failed", str(error))
        raise
    set_status(database, run_id, "done")
    return run_id


def _spread(requests: list[Request], count: int) -> list[Request]:
    """So many of them, evenly over the list."""
    if len(requests) <= count:
        return requests
    return [requests[i * len(requests) // count] for i in range(count)]
