"""init, run, demo: from a file to a run."""

import sys
from pathlib import Path
from subprocess import Popen
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.options import Db, Detach, Set, database

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.runs.report import Report
    from engine.spec.run import RunSpec


def add_to(app: typer.Typer) -> None:
    """Give the app this file's commands."""
    app.command()(init)
    app.command()(run)
    app.command()(demo)


def init(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file to write.")] = Path("qcrd.toml"),
    force: Annotated[bool, typer.Option("--force", help="Overwrite it if it is there.")] = False,
) -> None:
    """Write a commented TOML file with all settings."""
    from engine.errors import UsageError
    from engine.spec.template import template

    try:
        with file.open("w" if force else "x", encoding="utf-8") as out:
            out.write(template())
    except FileExistsError:
        raise UsageError(f"{file} is there already; --force overwrites it, or name another file") from None
    except OSError as error:
        raise UsageError(f"{file} cannot be written: {error.strerror}") from None
    print(f"wrote {file}; check it with `qcrd run {file} --dry-run`, run it with `qcrd run {file}`", file=sys.stderr)


def run(
    spec: Annotated[Path, typer.Argument(metavar="SPEC", help="A TOML file; `qcrd init` writes one.")],
    sets: Set = None,
    name: Annotated[str | None, typer.Option("--name", help="The run's name, instead of the file's.")] = None,
    db: Db = None,
    detach: Detach = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check all that can be checked; run nothing.")] = False,
    queue: Annotated[
        bool, typer.Option("--queue", help="Keep the run queued and print its id: `qcrd resume ID` starts it.")
    ] = False,
    processes: Annotated[
        int | None,
        typer.Option(
            "--processes",
            metavar="N",
            min=1,
            help="Train with so many processes on this machine, one a GPU; as --set compute.processes=N.",
        ),
    ] = None,
    methods: Annotated[
        str | None,
        typer.Option(
            "--methods",
            metavar="A,B,…",
            help="Every one of these methods, on the same teacher's samples. [method] and --set method.… are for the "
            "file's own method; the others take their defaults.",
        ),
    ] = None,
    seeds: Annotated[
        str | None,
        typer.Option("--seeds", metavar="N|A,B,…", help="So many seeds, from the file's on; or these (0,3,7)."),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(
            "--jobs", metavar="N", min=1, help="With --methods or --seeds: runs at once; else one, or one a GPU."
        ),
    ] = None,
) -> None:
    """Run what a TOML file describes and follow it.

    Ctrl-C stops it so that it can be resumed, a second one kills it; closing the terminal leaves it running. With
    --methods or --seeds: a queue of runs that ends in one table; the same command again goes on where it stopped.
    """
    import json

    from engine.errors import UsageError
    from engine.spec.load import load_grid, load_spec

    overrides = list(sets or [])
    if name is not None:
        overrides.append(f"name={json.dumps(name, ensure_ascii=False)}")
    if processes is not None:
        overrides.append(f"compute.processes={processes}")
    path = database(db)
    if queue and (detach or methods is not None or seeds is not None):
        raise UsageError("--queue is for one run that nobody starts yet: leave --detach, --methods and --seeds away")
    if methods is not None or seeds is not None:
        specs, names = load_grid(spec, overrides, methods, seeds)
        if dry_run:
            _check_grid(specs, len(names), path)
            return
        from app.cli.grid import begin_group

        begin_group(path, specs, jobs, detach)
        return
    if jobs is not None:
        raise UsageError("--jobs is for several runs: give --methods or --seeds as well")
    loaded = load_spec(spec, overrides)
    if dry_run:
        _check(loaded, path)
    elif queue:
        _queue(loaded, path)
    else:
        begin(loaded, path, detach)


def demo(
    headless: Annotated[bool, typer.Option("--headless", help="No console, even on a terminal.")] = False,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Everything random comes from it.")] = 0,
    sets: Set = None,
    db: Db = None,
) -> None:
    """Run the built-in experiment, no key needed.

    A tiny model learns multi-step arithmetic from a noisy scripted teacher.
    """
    from engine.spec.load import read_spec

    spec = read_spec({}, [f"seed={seed}", *(sets or [])], where="demo", folder=Path.cwd())
    path = database(db)
    if headless or not (sys.stdin.isatty() and sys.stdout.isatty()):
        begin(spec, path, detach=False)
        return
    from app.cli.attach import finish, look, wait_until_claimed
    from app.cli.options import command
    from app.launch import run as run_console
    from engine.store.runs.live import LiveReader

    run_id, worker = _start(spec, path)
    wait_until_claimed(path, run_id, worker)
    run_console(path, run_id)
    if look(path, LiveReader(run_id)).run.status in ("running", "paused"):
        print(f"the run goes on: `{command(path, f'attach {run_id}')}` follows it", file=sys.stderr)
    else:
        finish(path, run_id)


def begin(spec: "RunSpec", path: Path, detach: bool) -> None:
    """Start a run and follow it; `detach`: print its id instead."""
    from app.cli.attach import follow, wait_until_claimed
    from app.cli.options import command

    run_id, worker = _start(spec, path)
    if detach:
        wait_until_claimed(path, run_id, worker)
        print(run_id)
        print(f"`{command(path, f'attach {run_id}')}` follows it", file=sys.stderr)
        return
    follow(path, run_id, worker, owner=True)


def _start(spec: "RunSpec", path: Path) -> tuple[int, Popen[bytes]]:
    from engine.runs.launch import start_worker
    from engine.store.runs.run import create_run
    from engine.text import clean

    run_id = create_run(path, spec)
    print(f"run {run_id}: {clean(spec.name)} in {path}", file=sys.stderr)
    return run_id, start_worker(path, run_id)


def _queue(spec: "RunSpec", path: Path) -> None:
    """Write the run's row and start nothing."""
    from app.cli.options import command
    from engine.store.runs.run import create_run
    from engine.text import clean

    run_id = create_run(path, spec)
    print(run_id)
    start = command(path, f"resume {run_id}")
    print(f"run {run_id}: {clean(spec.name)} in {path} is queued; `{start}` starts it", file=sys.stderr)


def _check_grid(specs: "Sequence[RunSpec]", methods: int, path: Path) -> None:
    """Check each method once: the seeds differ in nothing that is checked but in what the teacher is asked."""
    from engine.runs.costs import all_together

    for spec in specs[:methods]:
        _check(spec, path)
        print()
    together = all_together(specs, path).lines
    print(f"all {len(specs)} runs together, " + ("what they share counted once:" if together else "no teacher is paid"))
    print_lines(together)


def _check(spec: "RunSpec", path: Path) -> None:
    """Print the report; exit code 2 where something is wrong."""
    from engine.runs.preflight import check

    report(check(spec, path))


def report(found: "Report") -> None:
    """Print what a check found; exit code 2 where something is wrong."""
    from engine.text import one_line

    print_lines(found.lines)
    for problem in found.problems:
        print(f"error: {one_line(problem)}", file=sys.stderr)
    if found.problems:
        raise typer.Exit(2)
    print("nothing stands in the way", file=sys.stderr)


def print_lines(lines: "Sequence[tuple[str, str]]") -> None:
    """Labels in a column, beside them their texts, which a terminal has broken at blanks."""
    from shutil import get_terminal_size
    from textwrap import fill

    from engine.text import clean

    label_width = max((len(label) for label, _ in lines), default=0)
    columns = max(get_terminal_size().columns, label_width + 32) if sys.stdout.isatty() else sys.maxsize
    for label, text in lines:
        line = f"{label:<{label_width}}  {clean(text)}"
        rest = " " * (label_width + 2)
        print(fill(line, columns, subsequent_indent=rest, break_long_words=False, break_on_hyphens=False))
