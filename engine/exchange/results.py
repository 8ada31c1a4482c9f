"""What a query found, to a file: CSV, JSON, JSON lines or Parquet by the file's name, whole or not at all."""

import csv
import json
import math
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from engine.errors import UsageError
from engine.exchange.files import whole
from engine.store.guarded import Result, query
from engine.text import clean

ENDINGS = (".csv", ".json", ".jsonl", ".parquet")
MOST_ROWS = 10_000_000
MOST_BYTES = 512 << 20
"""Of the texts of a result that goes into a file; it is held in memory once."""
SECONDS = 60.0
"""That a query may take."""


def export(database: Path, sql: str, path: Path, force: bool, stop: threading.Event | None = None) -> int:
    """Ask the database and write all that it finds to `path`; how many rows that were.

    Raises UsageError where `query` does, where the file is there already (unless `force`), and for more than a file
    takes.
    """
    check_target(path, force)
    found = query(database, sql, limit_rows=MOST_ROWS, seconds=SECONDS, limit_bytes=MOST_BYTES, stop=stop)
    if found.truncated:
        raise UsageError(
            f"the result is larger than {MOST_ROWS} rows or {MOST_BYTES >> 20} MB: narrow it with WHERE or LIMIT"
        )
    write(path, found)
    return len(found.rows)


def check_target(path: Path, force: bool) -> None:
    """Raises UsageError where a result could not be written there."""
    if not path.name.lower().endswith(ENDINGS):
        raise UsageError(f"FILE: {path} must end in {', '.join(ENDINGS)}")
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise UsageError(f"FILE: {path} cannot be written: it is a folder, or its folder is not there")
    if path.exists() and not force:
        raise UsageError(f"FILE: {path} is there already; --force overwrites it, or name another file")


def write(path: Path, found: Result) -> None:
    """The result as its file's ending says."""
    names, ending = unique(found.columns), path.suffix.lower()
    with whole(path) as part:
        if ending == ".parquet":
            _parquet(part, names, found.rows)
            return
        rows = [dict(zip(names, row, strict=True)) for row in found.rows]
        with part.open("w", encoding="utf-8", newline="") as file:
            if ending == ".csv":
                write_csv(rows, file, names)
            elif ending == ".json":
                file.write(json.dumps([plain(row) for row in rows], indent=2) + "\n")
            else:
                file.writelines(json.dumps(plain(row)) + "\n" for row in rows)


def unique(names: Sequence[str]) -> list[str]:
    """Column names with none twice: SELECT a, a gives a and a_2."""
    found: list[str] = []
    for name in names:
        other, number = name, 1
        while other in found:
            number += 1
            other = f"{name}_{number}"
        found.append(other)
    return found


def write_csv(rows: Sequence[Mapping[str, Any]], file: IO[str], header: Sequence[str] = ()) -> None:
    """A header and the rows, cleaned."""
    writer = csv.writer(file, lineterminator="\n")
    if names := list(rows[0] if rows else header):
        writer.writerow([clean(name) for name in names])
    writer.writerows([_cell(value) for value in row.values()] for row in rows)


def plain(value: Any) -> Any:
    """What JSON can hold: rows become dicts, bytes hexadecimal, NaN and infinities null."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


def _cell(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, bytes):
        return value.hex()
    return clean(value) if isinstance(value, str) else value


def _parquet(path: Path, names: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    import pyarrow
    import pyarrow.parquet

    columns = []
    for at in range(len(names)):
        values = [row[at] for row in rows]
        kinds = {type(value) for value in values if value is not None}
        # SQLite's columns may hold anything: one type where there is one, else texts
        if kinds <= {int}:
            columns.append(pyarrow.array(values, pyarrow.int64()))
        elif kinds <= {int, float}:
            columns.append(pyarrow.array([None if v is None else float(v) for v in values], pyarrow.float64()))
        elif kinds <= {bytes}:
            columns.append(pyarrow.array(values, pyarrow.binary()))
        else:
            columns.append(pyarrow.array([None if v is None else str(plain(v)) for v in values], pyarrow.string()))
    pyarrow.parquet.write_table(pyarrow.Table.from_arrays(columns, names=list(names)), path)
