"""Rows of a JSONL or Parquet file, one by one: what cannot be read is told with its number, and skipped."""

import gzip
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.errors import UsageError

LONGEST_LINE = 64 << 20
"""Bytes; a longer one is skipped without being held in memory."""
PARQUET_ROWS = 500
"""Read at once."""


@dataclass(frozen=True, slots=True)
class Line:
    """A row, or why it is none."""

    number: int
    """From 1."""
    values: dict[str, Any] | None
    wrong: str = ""
    """Where there are no values: the reason."""


def read_lines(path: Path, option: str) -> Iterator[Line]:
    """Every row of a file that is JSONL (plain or .gz) or .parquet by its name; blank lines are left out.

    Raises UsageError, which begins with `option`, where the file cannot be opened, or is no Parquet file.
    """
    try:
        if path.name.lower().endswith(".parquet"):
            yield from _parquet(path, option)
            return
        with gzip.open(path, "rb") if path.name.lower().endswith(".gz") else path.open("rb") as file:
            yield from _jsonl(file)
    except OSError as error:
        raise UsageError(f"{option}: cannot read {path}: {error.strerror or error}") from None


def _jsonl(file: Any) -> Iterator[Line]:
    number = 0
    while True:
        number += 1
        try:
            source = file.readline(LONGEST_LINE + 1)
            too_long = len(source) > LONGEST_LINE
            rest = source
            while too_long and rest and not rest.endswith(b"\n"):
                rest = file.readline(LONGEST_LINE)
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            yield Line(number, None, f"not a whole gzip file: {error}")
            return
        if not source:
            return
        if too_long:
            yield Line(number, None, f"longer than {LONGEST_LINE >> 20} MiB")
        elif source.strip():
            yield _line(number, source)


def _line(number: int, source: bytes) -> Line:
    try:
        values = json.loads(source.decode("utf-8-sig" if number == 1 else "utf-8"))
    except UnicodeDecodeError:
        return Line(number, None, "not UTF-8 text")
    except (ValueError, RecursionError):
        return Line(number, None, "not a JSON object")
    if not isinstance(values, dict):
        return Line(number, None, "not a JSON object")
    return Line(number, values)


def _parquet(path: Path, option: str) -> Iterator[Line]:
    import pyarrow
    import pyarrow.parquet

    number = 0
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=PARQUET_ROWS):
                for values in batch.to_pylist():
                    number += 1
                    yield Line(number, values)
    except (pyarrow.ArrowException, ValueError) as error:
        raise UsageError(f"{option}: {path} is no whole Parquet file: {str(error).splitlines()[0]}") from None
