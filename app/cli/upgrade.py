"""upgrade: a database of an older qcrd made readable for this one."""

import sys
from contextlib import closing

import typer

from app.cli.options import Db, database


def add_to(app: typer.Typer) -> None:
    """Give the app this file's command."""
    app.command()(upgrade)


def upgrade(db: Db = None) -> None:
    """Bring a database of an older qcrd to this one's schema; all that is in it stays."""
    from engine.errors import UsageError
    from engine.store.connect import open_writer, schema_version
    from engine.store.schema.tables import SCHEMA_VERSION

    path = database(db)
    if not path.is_file():
        raise UsageError(f"there is no database at {path}: name one with --db FILE")
    before = schema_version(path)
    with closing(open_writer(path)):
        told = "is" if before == SCHEMA_VERSION else f"was of schema version {before}, and is now"
    print(f"{path} {told} of schema version {SCHEMA_VERSION}", file=sys.stderr)
