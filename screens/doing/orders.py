"""What the console asks of a run. These run on the reader's thread: they wait for locks and start processes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.errors import QcrdError
from engine.runs import launch
from engine.store.runs import marks, run
from screens.keys.table import key_of
from screens.reading.reader import Answer, Reader, Said


def order(reader: Reader, run_id: int, name: run.Order) -> Said:
    """Leave an order for the run's worker."""
    run.order(reader.database, run_id, name)
    return Said(f"asked run {run_id} to {name}")


def resume(reader: Reader, run_id: int) -> Said:
    """Start a worker that takes the run up from its last checkpoint."""
    run.refuse_aside(reader.database, run_id)
    launch.start_worker(reader.database, run_id)
    return Said(f"started a worker for run {run_id}")


@dataclass(frozen=True, slots=True)
class Begun:
    """A run that was made and started."""

    run_id: int


def demo(reader: Reader) -> Answer:
    """Make and start the built-in experiment, as `qcrd demo` does."""
    from engine.spec.load import read_spec  # the models take a while to import

    spec = read_spec({}, [], where="demo", folder=Path.cwd())
    run_id = run.create_run(reader.database, spec)
    launch.start_worker(reader.database, run_id)
    return Answer("runs", Begun(run_id))


def words(reader: Reader) -> Answer:
    """What can be typed in the list's prompts."""
    from engine.store.runs.complete import read_words  # the language of filters takes a while to load

    return Answer("runs", reader.read(lambda con, kept: read_words(con)))


def stop_all(reader: Reader, run_ids: tuple[int, ...]) -> Said:
    """Ask several to stop; what cannot be stopped is named, and the others are asked all the same."""
    return _each(run_ids, "asked to stop", lambda run_id: run.order(reader.database, run_id, "stop"))


def resume_all(reader: Reader, paused: tuple[int, ...], ended: tuple[int, ...]) -> Said:
    """Let paused ones go on, and start a worker for each of the others."""

    def go_on(run_id: int) -> None:
        if run_id in paused:
            run.order(reader.database, run_id, "resume")
        else:
            resume(reader, run_id)

    return _each((*paused, *ended), "goes on", go_on)


def star(reader: Reader, run_ids: tuple[int, ...], on: bool) -> Said:
    """Star them, or take the stars away."""
    marks.set_star(reader.database, run_ids, on)
    return Said(f"{'starred' if on else 'took the star from'} {named(run_ids)}")


def archive(reader: Reader, run_ids: tuple[int, ...], on: bool) -> Said:
    """Put them away, or back."""
    marks.set_archived(reader.database, run_ids, on)
    return Said(
        f"{'archived' if on else 'brought back'} {named(run_ids)}"
        + (f": {key_of('runs.show-archived')} shows them" if on else "")
    )


def tag(reader: Reader, run_ids: tuple[int, ...], add: tuple[str, ...], remove: tuple[str, ...]) -> Said:
    """Give and take tags."""
    marks.set_tags(reader.database, run_ids, add, remove)
    return Said(f"tagged {named(run_ids)}")


def note(reader: Reader, run_id: int, text: str) -> Said:
    """Write the note of a run."""
    marks.set_note(reader.database, run_id, text)
    return Said(f"{'wrote' if text else 'took away'} the note of run {run_id}")


def named(run_ids: Sequence[int]) -> str:
    """run 4; runs 4, 5, 6 and 12 others."""
    if len(run_ids) == 1:
        return f"run {run_ids[0]}"
    first = ", ".join(str(run_id) for run_id in run_ids[:5])
    return f"runs {first}" + (f" and {len(run_ids) - 5} others" if len(run_ids) > 5 else "")


def _each(run_ids: tuple[int, ...], done: str, do: Callable[[int], object]) -> Said:
    went, wrong = [], []
    for run_id in run_ids:
        try:
            do(run_id)
            went.append(run_id)
        except (QcrdError, OSError) as error:
            wrong.append(str(error))
    said = [f"{named(went)}: {done}"] if went else []
    return Said("; ".join(said + wrong[:2]), "warning" if wrong else "information")
