"""settings: what the console remembers, shown and changed."""

from typing import Annotated

import typer

from app.cli.options import Csv, Json, Jsonl


def add_to(app: typer.Typer) -> None:
    """Give the app this file's command."""
    app.command()(settings)


def settings(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Which, as it is listed; else all.")] = None,
    value: Annotated[str | None, typer.Argument(metavar="[VALUE]", help="What it is to be; '': its default.")] = None,
    json: Json = False,
    jsonl: Jsonl = False,
    csv: Csv = False,
) -> None:
    """Show or set the console's theme, keys and what else it remembers (F2 there): `qcrd settings theme light`."""
    import sys

    from app.cli.options import output_format
    from app.cli.output import Column, write_rows
    from app.settings import load_kept, save_kept, settings_path
    from engine.text import one_line
    from screens.remembered.preferences import changed, preferences

    form, path = output_format(json, jsonl, csv), settings_path()
    kept, problem = load_kept(path)
    if problem is not None:
        print(one_line(problem), file=sys.stderr)
    if value is not None and name is not None:
        section = name.partition(".")[0] if "." in name else "look"
        save_kept(path, changed(kept, name, value), section)
        return
    rows = [
        {
            "name": one.name,
            "value": one.value,
            "default": one.default,
            "can be": ", ".join(one.choices),
            "help": one.help,
        }
        for one in preferences(kept)
        if name is None or one.name == name
    ]
    if name is not None and not rows:
        changed(kept, name, "")  # it says which was meant
    columns = [
        Column("setting", lambda row: row["name"], keep=True),
        Column("value", lambda row: row["value"], keep=True),
        Column("default", lambda row: row["default"]),
        Column("can be", lambda row: row["can be"]),
        Column("what", lambda row: row["help"]),
    ]
    write_rows(rows, form, columns)
    if form == "table":
        print(f"kept in {path}", file=sys.stderr)
