"""Ending a provider's work on a run's batches: what is done by then is paid for and fetched when the run is resumed."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from engine.errors import QcrdError
from engine.spec.teachers import TeacherConfig
from engine.store.connect import open_reader, write
from engine.store.ledger.batches import give_up, note_status, unsettled_rows
from engine.teacher.batches import api
from engine.teacher.batches.api import ENDED
from engine.teacher.outcome import TeacherError


def cancel(teacher: TeacherConfig, database: Path, run_id: int) -> Iterator[str]:
    """Cancels every batch of the run that is with the provider; what was done, a line for each.

    Requests of a batch that the provider does not know are in doubt from then on. Raises QcrdError where it cannot be
    asked.
    """
    with closing(open_reader(database)) as connection:
        jobs = [job for job in unsettled_rows(connection, run_id) if job.provider_id is not None]
    for job in jobs:
        assert job.provider_id is not None
        one = next((one for one in teacher.everyone if one.model == job.model), teacher)
        name = f"batch {job.id} ({job.provider_id})"
        try:
            seen = api.look(one, job.provider_id)
            if seen.status not in ENDED:
                seen = api.cancel(one, job.provider_id)
        except TeacherError as error:
            if error.fault.status != 404:
                raise QcrdError(f"{name} cannot be cancelled: {error.fault}; try again") from None
            why = f"{one.model} does not know its batch any more"
            write(database, lambda conn, number=job.id, said=why: give_up(conn, number, said))  # type: ignore[misc]
            yield f"{name}: the provider does not know it; its {len(job.lines)} requests are in doubt from now on"
        else:
            said = seen.status
            write(database, lambda conn, number=job.id, status=said: note_status(conn, number, status))  # type: ignore[misc]
            yield f"{name} is {seen.status}: {seen.done} of {job.size} requests answered"
