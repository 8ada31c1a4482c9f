"""A TOML file and `--set` overrides -> a RunSpec with absolute paths; a mistake is one line that names its place."""

import copy
import difflib
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from engine.errors import UsageError
from engine.spec.changeable import CHANGEABLE
from engine.spec.methods import METHOD_MODELS
from engine.spec.paths import resolve_paths
from engine.spec.run import RunSpec
from engine.spec.wrong import Key, describe, nearest

MOST_SEEDS = 1000
"""More than anyone trains; a date given as a seed would make as many runs."""


def load_spec(path: str | Path, overrides: Sequence[str] = ()) -> RunSpec:
    """The run that the TOML file at `path` asks for, with overrides `a.b=value` laid over it.

    A value is read as TOML, else taken as a string. An override of `method.name` starts from that method's defaults.
    Relative paths are looked for in the current folder, then in the file's. Raises UsageError.
    """
    path = Path(path)
    return read_spec(_parse(path), overrides, where=str(path), folder=path.parent)


def read_spec(table: dict[str, Any], overrides: Sequence[str], where: str, folder: Path) -> RunSpec:
    """As `load_spec`, from a table that is already parsed; `where` names it in errors."""
    return _validated(table, _lay_all_over(table, overrides), where, folder)


def load_grid(
    path: str | Path, overrides: Sequence[str], methods: str | None, seeds: str | None
) -> tuple[list[RunSpec], list[str]]:
    """Every method with every seed of the TOML file at `path`, seed by seed, and the methods.

    `methods`: names with commas; None: the file's own. `seeds`: how many, from the file's seed on, or seeds with
    commas; None: the file's own. What [method] and overrides of it say is for the file's own method alone; the others
    take their defaults. Raises UsageError, before anything else happens, where one of the runs is not possible.
    """
    path = Path(path)
    table = _parse(path)
    given = _lay_all_over(table, overrides)
    chosen = table.get("method")
    own = chosen.get("name", "qcrd") if isinstance(chosen, dict) else "qcrd"
    names = [own] if methods is None else list(dict.fromkeys(name.strip() for name in methods.split(",")))
    for name in names if methods is not None else ():
        if name not in METHOD_MODELS:
            raise UsageError(f"--methods: unknown method {name!r}{nearest(name, list(METHOD_MODELS))}")
    if "ranking" in names:
        raise UsageError(
            "ranking trains a ranking model, which has no head to compare: give it a run of its own (`qcrd run FILE`), "
            "then `qcrd evaluate RUN --vote asc`"
        )
    meant = [key for key in given if key[0] == "method" and key != ("method", "name")]
    if meant and own not in names:
        raise UsageError(
            f"--set {'.'.join(meant[0])} is for the method of the file, {own}, which --methods does not name: "
            "add it there, or set method.name as well"
        )

    def spec(name: str, seed: int | None) -> RunSpec:
        mine = copy.deepcopy(table)
        if name != own:
            mine["method"] = {"name": name}
        if seed is not None:
            mine["seed"] = seed
        return _validated(mine, given, str(path), path.parent)

    first = [spec(name, None) for name in names]
    numbers = [None] if seeds is None else _seeds(seeds, first[0].seed)
    return [spec(name, number) for number in numbers for name in names], names


def change_limits(spec: RunSpec, overrides: Sequence[str]) -> RunSpec:
    """The spec of a run that has begun, with other limits. Raises UsageError for any key but those of CHANGEABLE."""
    table = spec.model_dump()
    parsed = [(*_override(text), text) for text in overrides]
    for key, value, _, text in parsed:
        if ".".join(key) not in CHANGEABLE:
            close = difflib.get_close_matches(".".join(key), CHANGEABLE, n=1, cutoff=0.85)
            meant = f"; did you mean {close[0]}?" if close and not _is_a_key(table, key) else ""
            raise UsageError(
                f"--set {text}: a run that has begun keeps its settings, but for {', '.join(CHANGEABLE)}{meant}"
            )
        _lay_over(table, key, value, text)
    given = {key: raw for key, _, raw, _ in parsed}
    try:
        return _validate(table, given)
    except ValidationError as error:
        raise UsageError(_one_line(error, given, "the run's spec")) from None


def _is_a_key(table: Any, key: Key) -> bool:
    for part in key:
        if not isinstance(table, dict) or part not in table:
            return False
        table = table[part]
    return True


def _seeds(text: str, first: int) -> list[int]:
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdigit() for part in parts if part) or not parts[0] or text.strip() == "0":
        raise UsageError(f"--seeds {text}: give how many seeds, or seeds with commas, e.g. --seeds 5 or --seeds 0,3,7")
    if len(parts) == 1:
        if int(text) > MOST_SEEDS:
            raise UsageError(f"--seeds {text}: {MOST_SEEDS} at most; one seed alone is written with a comma: {text},")
        return list(range(first, first + int(text)))
    return list(dict.fromkeys(int(part) for part in parts if part))


def _lay_all_over(table: dict[str, Any], overrides: Sequence[str]) -> dict[Key, str]:
    """Lays the overrides over the table, the method's name first: it takes another method's settings away."""
    parsed = [(*_override(text), text) for text in overrides]
    for key, value, _, text in sorted(parsed, key=lambda one: one[0] != ("method", "name")):
        _lay_over(table, key, value, text)
    return {key: raw for key, _, raw, _ in parsed}


def _validated(table: dict[str, Any], given: dict[Key, str], where: str, folder: Path) -> RunSpec:
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
