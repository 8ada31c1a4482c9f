"""The entry point of `qcrd`: the console at once; commands through Typer, which takes longer to load."""

import os
import sys
from collections.abc import Sequence


def main() -> None:
    """Run `qcrd` and exit as `app.cli.main` does."""
    arguments = sys.argv[1:]
    named = console_alone(arguments)
    if named is None or not (sys.stdin.isatty() and sys.stdout.isatty()):
        from app.cli.main import main as command_line

        command_line(arguments)
        return
    from app.launch import run
    from app.settings import DB_VARIABLE
    from engine.errors import QcrdError
    from engine.store.connect import database_path
    from engine.text import one_line

    if named:
        os.environ[DB_VARIABLE] = named
    try:
        run(database_path(None).absolute())
    except QcrdError as error:
        print(f"error: {one_line(str(error))}", file=sys.stderr)
        sys.exit(error.exit_code)


def console_alone(arguments: Sequence[str]) -> str | None:
    """The database named where the console alone is asked for, "" where none is named; None: something else is."""
    if not arguments:
        return ""
    option, equals, value = arguments[0].partition("=")
    if option == "--db" and len(arguments) == (1 if equals else 2):
        return (value if equals else arguments[1]) or None
    return None


if __name__ == "__main__":
    main()
