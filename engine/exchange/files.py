"""Rows to a file: JSONL (plain or .gz) or Parquet by its name, whole or not at all; "-" is stdout."""

import gzip
import json
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import chain, islice
from pathlib import Path
from typing import IO, Any

from engine.errors import UsageError

ENDINGS = (".jsonl", ".jsonl.gz", ".parquet")
NUMBERS = ("votes", "samples", "chosen_iteration", "rejected_iteration", "completion_iteration")
PARQUET_ROWS = 2000
"""Written at once."""
Row = dict[str, Any]


def check_target(path: Path, force: bool) -> None:
    """Raises UsageError where rows could not be written there."""
    if str(path) == "-":
        return
    if not path.name.lower().endswith(ENDINGS):
        raise UsageError(f"FILE: {path} must end in {', '.join(ENDINGS)}, or be - for stdout")
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise UsageError(f"FILE: {path} cannot be written: it is a folder, or its folder is not there")
    if path.exists() and not force:
        raise UsageError(f"FILE: {path} is there already; --force overwrites it, or name another file")


def write_rows(path: Path, rows: Iterable[Row]) -> int:
    """How many were written. The file appears when all of them are in it, and not where there are none."""
    rows = iter(rows)
    first = next(rows, None)
    if first is None:
        return 0
    rows = chain([first], rows)
    if str(path) == "-":
        return _jsonl(rows, sys.stdout)
    with whole(path) as part:
        if path.name.lower().endswith(".parquet"):
            return _parquet(rows, part)
        opened: Any = gzip.open if path.name.lower().endswith(".gz") else open
        with opened(part, "wt", encoding="ascii") as file:
            return _jsonl(rows, file)


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Where to write what appears at `path` once it is complete."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _jsonl(rows: Iterable[Row], file: IO[str]) -> int:
    count = 0
    for row in rows:
        # ASCII: no terminal obeys it, and no reader takes U+2028 for the end of a line
        file.write(json.dumps(row) + "\n")
        count += 1
    return count


def _parquet(rows: Iterable[Row], path: Path) -> int:
    import pyarrow
    import pyarrow.parquet

    rows = iter(rows)
    count = 0
    writer = None
    try:
        while batch := list(islice(rows, PARQUET_ROWS)):
            if writer is None:
                schema = pyarrow.schema([(name, _type(value, name)) for name, value in batch[0].items()])
                writer = pyarrow.parquet.ParquetWriter(path, schema)
            writer.write_table(pyarrow.Table.from_pylist(batch, schema))
            count += len(batch)
    finally:
        if writer is not None:
            writer.close()
    return count


def _type(value: Any, name: str) -> Any:
    """The column's, which must not hang on whether the first rows have nulls: turns, lists, flags, numbers, texts."""
    import pyarrow

    if isinstance(value, list):
        turn = pyarrow.struct([("role", pyarrow.string()), ("content", pyarrow.string())])
        kinds = {dict: turn, bool: pyarrow.bool_()}
        return pyarrow.list_(kinds.get(type(value[0]) if value else str, pyarrow.string()))
    if name == "label" or name.endswith("flagged"):
        return pyarrow.bool_()
    return pyarrow.int64() if name in NUMBERS else pyarrow.string()
