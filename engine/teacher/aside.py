"""A few requests beside the job, as a run of its own that this process works on: a pilot, a prompt's trial."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engine.errors import AtLimit, Interrupted, QcrdError
from engine.runs.heartbeat import heartbeat
from engine.spec.run import RunSpec
from engine.store.ledger.spend import note_spend
from engine.store.recorder import Recorder
from engine.store.runs.run import ASIDE, claim, create_run, set_status
from engine.store.writer import Writer


def at_once(spec: RunSpec) -> RunSpec:
    """The spec without batches: what is tried is wanted now, not within a day. Its samples serve either way."""
    others = tuple(other.model_copy(update={"batch": None}) for other in spec.teacher.others)
    teacher = spec.teacher.model_copy(update={"batch": False, "others": others})
    return spec.model_copy(update={"teacher": teacher})


@contextmanager
def aside(spec: RunSpec, database: Path, what: str) -> Iterator[Recorder]:
    """A run "NAME (what)" of the spec, claimed; done at the end of the block, or as what the block raises says.

    Its spending is noted in either case. Raises as `create_run` does.
    """
    run_id = create_run(database, spec.model_copy(update={"until": "vote", "name": f"{spec.name[:80]} ({what})"}))
    session = claim(database, run_id)
    try:
        with Writer(database) as writer:
            recorder = Recorder(writer, run_id)
            recorder.provenance({ASIDE: what})
            recorder.declare_stages([("sample", "questions")])
            try:
                with heartbeat(recorder, session):
                    yield recorder
            finally:
                note_spend(recorder)
    except AtLimit as error:
        ended = AtLimit(error.limit, "what is paid for is stored: raise the limit and give the command again")
        set_status(database, run_id, "interrupted", str(ended))
        raise ended from None
    except Interrupted as error:
        set_status(database, run_id, "interrupted", str(error))
        raise
    except QcrdError as error:
        set_status(database, run_id, "failed", str(error))
        raise
    set_status(database, run_id, "done")
