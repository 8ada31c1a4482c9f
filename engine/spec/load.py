"""A TOML file and `--set` overrides -> a RunSpec with absolute paths; a mistake is one line that names its place."""

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from engine.errors import UsageError
from engine.spec.paths import resolve_paths
from engine.spec.run import RunSpec
from engine.spec.wrong import Key, describe


def load_spec(path: str | Path, overrides: Sequence[str] = ()) -> RunSpec:
    """The run that the TOML file at `path` asks for, with overrides `a.b=value` laid over it.

    A value is read as TOML, else taken as a string. An override of `method.name` starts from that method's defaults.
    Relative paths are looked for in the current folder, then in the file's. Raises UsageError.
    """
    path = Path(path)
    return read_spec(_parse(path), overrides, where=str(path), folder=path.parent)


def read_spec(table: dict[str, Any], overrides: Sequence[str], where: str, folder: Path) -> RunSpec:
    """As `load_spec`, from a table that is already parsed; `where` names it in errors."""
    given = {}
    for text in overrides:
        key, value, raw = _override(text)
        _lay_over(table, key, value, text)
        given[key] = raw
    method = table.get("method")
    if isinstance(method, dict):
        method.setdefault("name", "qcrd")
    try:
        spec = _validate(table, given)
    except ValidationError as error:
        raise UsageError(_one_line(error, given, where)) from None
    return resolve_paths(spec, (Path.cwd(), folder), where)


def _parse(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except FileNotFoundError:
        raise UsageError(f"{path}: no such file; `qcrd init {path}` writes one to start from") from None
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path}: not valid TOML: {error}") from None
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: not UTF-8 text (byte {error.start})") from None
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from None


def _override(text: str) -> tuple[Key, Any, str]:
    """ "a.b=value" -> its key, the value read as TOML where it is TOML, and the value as written."""
    name, equals, raw = text.partition("=")
    key = tuple(part.strip() for part in name.split("."))
    if not equals or not all(key):
        raise UsageError(f"--set {text}: write it as section.key=value, e.g. --set training.lr=1e-4")
    raw = raw.strip()
    try:
        parsed = tomllib.loads(f"value = {raw}")
    except tomllib.TOMLDecodeError:
        return key, raw, raw
    return (key, parsed["value"], raw) if len(parsed) == 1 else (key, raw, raw)


def _lay_over(table: dict[str, Any], key: Key, value: Any, text: str) -> None:
    if key == ("method", "name") and isinstance(table.get("method"), dict) and table["method"].get("name") != value:
        table["method"] = {}  # what was set for one method means nothing to another
    for depth, part in enumerate(key[:-1], start=1):
        table = table.setdefault(part, {})
        if not isinstance(table, dict):
            raise UsageError(f"--set {text}: {'.'.join(key[:depth])} is a value, not a table")
    table[key[-1]] = value


def _validate(table: dict[str, Any], given: dict[Key, str]) -> RunSpec:
    try:
        return RunSpec.model_validate(table)
    except ValidationError as error:
        # `--set name=2024` is a number to TOML and was meant as a name: where a string is wanted, take it as written
        meant = [describe(e).key for e in error.errors() if e["type"] == "string_type"]
        meant = [key for key in meant if key in given]
        if not meant:
            raise
        for key in meant:
            _lay_over(table, key, given[key], ".".join(key))
        return RunSpec.model_validate(table)


def _one_line(error: ValidationError, given: dict[Key, str], where: str) -> str:
    found = [describe(e) for e in error.errors()]
    first = found[0]
    place = "--set" if any(first.key[: len(key)] == key for key in given) else f"{where}:"
    key = ".".join(first.key)
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    return f"{place} {key}{': ' if key else ''}{first.message}{more}"
