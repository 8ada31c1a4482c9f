"""The command `qcrd`: its commands put together, and the one place where an error becomes a line and an exit code.

Only typer is imported here; each command imports what it needs, so that `qcrd --help` answers at once.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from app.cli import (
    bench,
    compare,
    evaluate,
    exchange,
    marks,
    options,
    prompts,
    read,
    run,
    sample,
    settings,
    steer,
    try_it,
    upgrade,
)

app = typer.Typer(
    name="qcrd",
    help="Distil the reasoning of a large language model into a small one.",
    epilog="Without a command: the console. RUN is an id, a name, or 'last'; a GROUP is g1, g2 … "
    "Exit codes: 0 done, 1 failed, "
    "2 asked wrongly, 130 stopped and resumable.",
    rich_markup_mode=None,  # rich costs a third of the start-up time and would parse our texts as markup
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
for commands in (
    run,
    prompts,
    sample,
    steer,
    read,
    marks,
    compare,
    evaluate,
    try_it,
    exchange,
    settings,
    upgrade,
    bench,
):
    commands.add_to(app)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import PackageNotFoundError, version

        try:
            print(f"qcrd {version('qcrd')}")
        except PackageNotFoundError:
            print("qcrd (not installed)")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def console(
    context: typer.Context,
    db: Annotated[
        Path | None, typer.Option("--db", metavar="FILE", help="The database; else $QCRD_DB, else ./experiments.db.")
    ] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show it.")] = False,
) -> None:
    """Distil the reasoning of a large language model into a small one."""
    # `qcrd --db FILE show 3` means the same as `qcrd show 3 --db FILE`; the console's command lines still name FILE
    if db is not None and context.invoked_subcommand is not None:
        from app.settings import DB_VARIABLE

        os.environ[DB_VARIABLE] = str(db)
    options.in_front = db
    if context.invoked_subcommand is not None:
        return
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        print(context.get_help(), file=sys.stderr)
        raise typer.Exit(2)
    from app.cli.options import database
    from app.launch import run as run_console

    run_console(database(db))


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit: 0 done, 1 failed, 2 asked wrongly, 130 stopped."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a terminal that is not UTF-8 must not end a run
    sys.exit(_run(arguments))


def _run(arguments: Sequence[str]) -> int:
    from engine.errors import QcrdError

    try:
        code = app(args=arguments, prog_name="qcrd", standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except KeyboardInterrupt:
        return 130
    except SystemExit:  # typer's answer to a closed pipe, which is no failure: who read us has seen enough
        return 0
    except BrokenPipeError:  # the same, met at the last flush; Python would complain once more when it closes stdout
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except QcrdError as error:
        if "--debug" in arguments:
            raise
        line = options.with_database(str(error), options.named_database(arguments))
        _say(line, "" if error.exit_code == 130 else "error: ")
        return error.exit_code
    except (typer.Abort, EOFError):
        return 130
    except typer.TyperException as error:
        command = getattr(getattr(error, "ctx", None), "command_path", "qcrd")
        message = error.format_message() if hasattr(error, "format_message") else str(error)
        _say(f"{message.rstrip('.')} (see `{command} --help`)")
        return int(getattr(error, "exit_code", 1))
    except OSError as error:
        if "--debug" in arguments:
            raise
        place = f"{error.filename}: " if error.filename else ""
        _say(f"{place}{error.strerror or error}: check the path, its permissions and the disk's free space")
        return 1
    except Exception as error:
        if "--debug" in arguments:
            raise
        _say(f"{type(error).__name__}: {error} (a fault of qcrd's: `qcrd --debug …` shows where)")
        return 1


def _say(message: str, prefix: str = "error: ") -> None:
    from engine.text import one_line

    print(prefix + one_line(message), file=sys.stderr)


if __name__ == "__main__":
    main()
