"""Rows of local files, each with the place it stands at, so that a bad one can be named. All or nothing."""

import csv
import gzip
import io
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.errors import UsageError

ENDINGS = (".jsonl", ".jsonl.gz", ".csv", ".parquet")


@dataclass(frozen=True, slots=True)
class Row:
    """One record and where it stands."""

    place: str
    """"questions.jsonl:12", or "owner/name train row 12"."""
    line: int
    """Line of the file (JSONL, CSV) or row, from 1."""
    values: dict[str, Any]


def ending(path: Path) -> str | None:
    """Which of the known endings a file has."""
    return next((e for e in ENDINGS if path.name.lower().endswith(e)), None)


def read_rows(path: Path) -> list[Row]:
    """Every row of a JSONL (plain or gzip), CSV or Parquet file; UsageError names the file and line of a bad one."""
    kind = ending(path)
    if kind is None:
        raise UsageError(f"{path}: cannot tell its format; its name must end in {', '.join(ENDINGS)}")
    try:
        if kind == ".parquet":
            return _parquet(path)
        text = _text(path)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror or error}") from error
    return list(_csv(path, text) if kind == ".csv" else _jsonl(path, text))


def _text(path: Path) -> str:
    """The file's text without a byte order mark."""
    data = path.read_bytes()
    if path.name.lower().endswith(".gz"):
        try:
            data = gzip.decompress(data)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise UsageError(f"{path}: not a whole gzip file ({error}); copy it again") from error
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UsageError(f"{path}:{line}: not UTF-8 text; save the file as UTF-8") from error


def _jsonl(path: Path, text: str) -> Iterator[Row]:
    for line, source in enumerate(text.split("\n"), start=1):  # not splitlines: JSON strings may hold U+2028
        if not source.strip():
            continue
        try:
            values = json.loads(source)
        except (ValueError, RecursionError) as error:
            reason = f"{error.msg}, column {error.colno}" if isinstance(error, json.JSONDecodeError) else str(error)
            raise UsageError(f"{path}:{line}: not JSON: {reason}") from error
        if not isinstance(values, dict):
            raise UsageError(f"{path}:{line}: each line must be a JSON object, this one is a {type(values).__name__}")
        yield Row(f"{path}:{line}", line, values)


def _csv(path: Path, text: str) -> Iterator[Row]:
    csv.field_size_limit(max(csv.field_size_limit(), len(text) + 1))
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    header: list[str] | None = None
    line = 1
    try:
        for fields in reader:
            first, line = line, reader.line_num + 1
            if not fields:
                continue
            if header is None:
                header = [f.strip() for f in fields]
                twice = sorted({f for f in header if header.count(f) > 1})
                if twice:
                    raise UsageError(f"{path}:{first}: column {twice[0]!r} occurs twice in the header")
                continue
            if len(fields) != len(header):
                raise UsageError(f"{path}:{first}: {len(fields)} fields, but the header has {len(header)}")
            yield Row(f"{path}:{first}", first, dict(zip(header, fields, strict=True)))
    except csv.Error as error:
        raise UsageError(f"{path}:{line}: not CSV: {error}") from error


def _parquet(path: Path) -> list[Row]:
    import pyarrow
    import pyarrow.parquet

    try:
        records = pyarrow.parquet.ParquetFile(path).read().to_pylist()
    except (pyarrow.ArrowException, ValueError) as error:
        raise UsageError(f"{path}: not a Parquet file: {str(error).splitlines()[0]}") from error
    return [Row(f"{path} row {i}", i, values) for i, values in enumerate(records, start=1)]
