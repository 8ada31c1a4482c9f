"""attach, pause, checkpoint, resume, stop: orders to a run that is there, and watching it."""

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from app.cli.options import Db, Detach, Run, database


def add_to(app: typer.Typer) -> None:
    """Give the app this file's commands."""
    for command in (attach, pause, checkpoint, resume, stop, annotate):
        app.command()(command)


def attach(run: Run, db: Db = None) -> None:
    """Follow a run, or a group (g1); Ctrl-C leaves it running."""
    from app.cli.attach import follow, last_log_id

    path = database(db)
    if (group := _group(path, run)) is not None:
        from app.cli.grid import follow_group

        follow_group(path, group, None)
        return
    run_id = _find(path, run)
    follow(path, run_id, None, owner=False, after=last_log_id(path, run_id))


def pause(run: Run, db: Db = None) -> None:
    """Let a run wait, until `qcrd resume`."""
    _order(run, db, "pause", "pauses after its present step; `{resume}` lets it go on")


def checkpoint(run: Run, db: Db = None) -> None:
    """Let a run write a checkpoint now, and go on."""
    _order(run, db, "checkpoint", "writes a checkpoint after its present step")


def stop(run: Run, db: Db = None) -> None:
    """Let a run, or a group's (g1), save a checkpoint and end."""
    _order(run, db, "stop", "writes a checkpoint and stops; `{resume}` goes on from there")


def annotate(
    run: Run,
    question: Annotated[str, typer.Argument(metavar="QUESTION", help="Its id, as `qcrd rationales` shows it.")],
    number: Annotated[
        int | None, typer.Argument(metavar="[RATIONALE]", help="A rationale's number; else the question is meant.")
    ] = None,
    flag: Annotated[bool | None, typer.Option("--flag/--unflag", help="Flag it, or take the flag away.")] = None,
    note: Annotated[
        str | None, typer.Option("--note", metavar="TEXT", help="What there is to say about it; empty: no note.")
    ] = None,
    db: Db = None,
) -> None:
    """Flag a question or a rationale, or write a note beside it; exports and `qcrd rationales --flagged` have it."""
    from engine.errors import UsageError
    from engine.store.rationales.notes import QUESTION, remark

    if flag is None and note is None:
        raise UsageError("nothing to remark: give --flag, --unflag or --note TEXT")
    path = database(db)
    remark(path, _find(path, run), question, QUESTION if number is None else number, flagged=flag, note=note)


def resume(
    run: Run,
    detach: Detach = False,
    processes: Annotated[
        int | None,
        typer.Option(
            "--processes",
            metavar="N",
            min=1,
            help="Go on with so many processes instead of those it began with: the same but for rounding and dropout.",
        ),
    ] = None,
    sets: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Go on with another limit: teacher.budget_usd, budget_tokens, budget_calls, in_doubt, or a price.",
        ),
    ] = None,
    db: Db = None,
) -> None:
    """Go on with a run that paused, stopped, failed or died, or with a group (g1)."""
    from app.cli.attach import follow, last_log_id, look, wait_until_claimed, worker_is_gone
    from engine.errors import UsageError
    from engine.runs.launch import start_worker
    from engine.store.runs.live import LiveReader
    from engine.store.runs.run import order, refuse_aside, set_limits, set_processes

    path = database(db)
    if (group := _group(path, run)) is not None:
        from app.cli.grid import go_on

        if processes is not None or sets:
            raise UsageError("--processes and --set are for a run: those of a group keep theirs")
        go_on(path, group, None, detach)
        return
    run_id = _find(path, run)
    live = look(path, LiveReader(run_id))
    after = last_log_id(path, run_id)
    if live.run.status == "done":
        raise UsageError(f"run {run_id} is done; `qcrd run SPEC` starts another")
    if live.run.status in ("running", "paused") and not worker_is_gone(live):
        if processes is not None:
            raise UsageError(f"run {run_id} has its processes: `qcrd stop {run_id}` first")
        if sets:
            raise UsageError(f"run {run_id} has its limits: `qcrd stop {run_id}` first")
        if live.run.status == "running" and "pause" not in live.waiting:
            raise UsageError(f"run {run_id} is running; `qcrd attach {run_id}` follows it")
        order(path, run_id, "resume")
        if detach:
            print(f"run {run_id} goes on", file=sys.stderr)
        else:
            follow(path, run_id, None, owner=False, after=after)
        return
    if processes is not None:
        set_processes(path, run_id, processes)
    if sets:
        set_limits(path, run_id, sets)
    refuse_aside(path, run_id)
    order(path, run_id, "resume")  # takes back a stop or a pause that the last worker did not live to read
    worker = start_worker(path, run_id)
    if detach:
        wait_until_claimed(path, run_id, worker)
        print(run_id)
    else:
        follow(path, run_id, worker, owner=True, after=after)


def _order(run: str, db: Path | None, name: Literal["pause", "checkpoint", "stop"], effect: str) -> None:
    from app.cli.attach import look, worker_is_gone
    from app.cli.options import command
    from engine.errors import UsageError
    from engine.store.runs.live import LiveReader
    from engine.store.runs.run import order

    path = database(db)
    if (group := _group(path, run)) is not None:
        _stop_group(path, group, name)
        return
    run_id = _find(path, run)
    live = look(path, LiveReader(run_id))
    at_work = ("running", "paused") if name == "checkpoint" else ("queued", "running", "paused")
    if live.run.status not in at_work:
        raise UsageError(f"run {run_id} is {live.run.status}: there is nothing to {name}")
    if worker_is_gone(live):
        hint = command(path, f"resume {run_id}")
        raise UsageError(f"run {run_id} has lost its worker: there is nothing to {name}; `{hint}` picks it up")
    if name == "pause" and live.run.status == "paused":
        raise UsageError(f"run {run_id} is paused already; `{command(path, f'resume {run_id}')}` lets it go on")
    order(path, run_id, name)
    print(f"run {run_id} {effect.format(resume=command(path, f'resume {run_id}'))}", file=sys.stderr)


def _stop_group(path: Path, group_id: int, name: Literal["pause", "checkpoint", "stop"]) -> None:
    from contextlib import closing

    from app.cli.options import command
    from engine.errors import UsageError
    from engine.store.connect import open_reader
    from engine.store.runs.groups import read_group, stop_group

    if name != "stop":
        raise UsageError(
            f"g{group_id} is a group: {name} its runs one by one, or `{command(path, f'stop g{group_id}')}`"
        )
    with closing(open_reader(path)) as connection:
        if not read_group(connection, group_id).alive:
            raise UsageError(f"nothing works on group g{group_id}: there is nothing to stop")
    stop_group(path, group_id)
    hint = command(path, f"resume g{group_id}")
    print(f"the runs of group g{group_id} write a checkpoint and stop; `{hint}` goes on from there", file=sys.stderr)


def _group(path: Path, run: str) -> int | None:
    """The id of the group that the user means; None where it is a run."""
    from contextlib import closing

    from engine.store.connect import open_reader
    from engine.store.runs.groups import find_group

    with closing(open_reader(path)) as connection:
        return find_group(connection, run)


def _find(path: Path, run: str) -> int:
    """The id of the run that the user means."""
    from contextlib import closing

    from engine.store.connect import open_reader
    from engine.store.queries import find_run

    with closing(open_reader(path)) as connection:
        return int(find_run(connection, run)["id"])
