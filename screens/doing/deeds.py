"""What can be done to runs of the list: the job, its command line, and what is asked before. Pure functions."""

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from engine.errors import UsageError
from engine.store.runs.listing import Listed
from screens.doing import orders
from screens.keys.table import key_of
from screens.keys.twins import each, words
from screens.listing.columns import Moment
from screens.reading.reader import Reader, Said
from screens.widgets.words import line


@dataclass(frozen=True, slots=True)
class Deed:
    """Something to have done on the reader's thread."""

    job: Callable[[Reader], Said]
    command: str
    """Its command line, without qcrd."""
    question: str = ""
    """Asked before; "": it is done at once."""
    detail: str = ""


COMPARED = range(2, 9)
"""So many runs can be compared."""


def comparable(ids: Sequence[int], runs: Mapping[int, Listed]) -> None:
    """Raises UsageError where these cannot be laid beside each other; `runs` has them by id."""
    if len(ids) not in COMPARED:
        raise UsageError(
            f"choose two to eight runs: {key_of('runs.choose')} marks one, {key_of('runs.compare')} compares them"
        )
    if models := [key for key in ids if runs[key].run.method == "ranking"]:
        raise UsageError(f"run {models[0]} is a ranking model: it has no answers to compare")


def star(runs: Sequence[Listed]) -> Deed:
    """Star them; where all have one, take it away."""
    ids, on = _ids(runs), not all(one.star for one in runs)
    return Deed(partial(orders.star, run_ids=ids, on=on), words("star", ids, "" if on else "--undo"))


def archive(runs: Sequence[Listed]) -> Deed:
    """Put them away; where all are, bring them back."""
    ids, on = _ids(runs), not all(one.archived for one in runs)
    return Deed(partial(orders.archive, run_ids=ids, on=on), words("archive", ids, "" if on else "--undo"))


def tag(run_ids: tuple[int, ...], typed: Sequence[str]) -> Deed:
    """Give the tags that were typed, and take away those with a minus before them."""
    add = tuple(word for word in typed if not word.startswith("-"))
    remove = tuple(word[1:] for word in typed if word.startswith("-"))
    options = [f"--add {shlex.quote(word)}" for word in add] + [f"--remove {shlex.quote(word)}" for word in remove]
    return Deed(partial(orders.tag, run_ids=run_ids, add=add, remove=remove), words("tag", run_ids, " ".join(options)))


def note(run_id: int, text: str) -> Deed:
    """Write a note on a run."""
    return Deed(partial(orders.note, run_id=run_id, text=text), f"note {run_id} {shlex.quote(text)}")


def stop(runs: Sequence[Listed], moment: Moment) -> Deed:
    """Stop those that are at work, after a question. Raises UsageError where none is."""
    there = [one for one in runs if moment.status(one) in ("queued", "running", "paused")]
    if not there:
        raise UsageError("nothing to stop: no such run is at work")
    ids = _ids(there)
    name = line(there[0].run.name, 40) if len(there) == 1 else f"{len(there)} runs"
    return Deed(
        partial(orders.stop_all, run_ids=ids),
        each("stop", ids),
        f"Stop {name}?",
        f"A checkpoint is saved first; {key_of('runs.resume')} resumes from there.",
    )


def resume(runs: Sequence[Listed], moment: Moment) -> Deed:
    """Let paused ones go on, start workers for those that have none; several are asked about. Raises UsageError."""
    paused = _ids([one for one in runs if moment.status(one) == "paused"])
    ended = _ids([one for one in runs if moment.status(one) in ("queued", "interrupted", "failed", "stale")])
    if not paused and not ended:
        raise UsageError("nothing to resume: such runs are at work or done")
    job, typed = partial(orders.resume_all, paused=paused, ended=ended), each("resume", (*paused, *ended), "-d")
    if len(ended) < 2:
        return Deed(job, typed)
    return Deed(job, typed, f"Start {len(ended)} workers?", "Each run trains in a process of its own, all at once.")


def _ids(runs: Sequence[Listed]) -> tuple[int, ...]:
    return tuple(one.run.id for one in runs)
