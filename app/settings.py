"""What the commands share: names of environment variables, how often things are looked at, and what is remembered."""

import json
import os
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, get_args

from engine.errors import QcrdError, UsageError
from screens.remembered.kept import Kept

DB_VARIABLE = "QCRD_DB"
"""Names the database where --db does not."""
POLL_SECONDS = 0.5
"""Between two looks at the database by a command that follows a run."""
LINE_SECONDS = 5.0
"""Between two lines of progress where there is no terminal."""
CLAIM_SECONDS = 30.0
"""How long a worker may take to claim its run before the command that started it says so."""
CONFIG_VARIABLE = "QCRD_CONFIG"
"""Names the folder of console.json where it is not the platform's."""


def settings_path() -> Path:
    """The file with what the console remembers."""
    folder = os.environ.get(CONFIG_VARIABLE)
    if folder:
        return Path(folder) / "console.json"
    from platformdirs import user_config_path

    return user_config_path("qcrd", appauthor=False) / "console.json"


def load_kept(path: Path) -> tuple[Kept, str | None]:
    """What is remembered, and one line where the file is broken: then the default stands for what cannot be read."""
    try:
        found = _read(path)
    except (OSError, ValueError) as error:
        return Kept(), f"{path} cannot be read ({error}): the defaults are used until it is mended or deleted"
    sections: dict[str, Any] = {}
    wrong = []
    for name, default in _defaults().items():
        try:
            sections[name] = _keys(found.get(name, {})) if name == "keys" else _section(default, found.get(name, {}))
        except ValueError as error:
            wrong.append(f"{name}{error}")
            sections[name] = default
    parts = [f"{', '.join(wrong)}: the defaults of that part are used"] if wrong else []
    if sections["keys"]:
        from screens.keys.keymap import remapped  # most consoles start without

        parts += remapped(sections["keys"])[1]
    return Kept(**sections), f"{path}: {'; '.join(parts)}" if parts else None


def save_kept(path: Path, kept: Kept, *sections: str) -> None:
    """Write it, whole or not at all; with `sections`: those alone, so that what another console or the command line
    has set meanwhile stays. Raises OSError, and UsageError where a file that cannot be read would be lost.
    """
    try:
        there = _read(path)
    except ValueError as error:
        raise UsageError(
            f"{path} cannot be read ({error}): mend or delete it, nothing is remembered till then"
        ) from error
    wanted = asdict(kept)
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(f".{os.getpid()}.partial")
    new = {**there, **{name: wanted[name] for name in sections or wanted}}
    beside.write_text(json.dumps(new, indent=2) + "\n", encoding="utf-8")
    beside.replace(path)


def remember(reader: object, path: Path, kept: Kept, section: str) -> None:
    """For the console, a job of its reader's thread: write the section. Raises QcrdError."""
    try:
        save_kept(path, kept, section)
    except OSError as error:
        raise QcrdError(f"cannot remember the settings in {path} ({error.strerror}): they last until q") from error


def _read(path: Path) -> dict[str, Any]:
    """The file's sections; none where it is not there. Raises OSError, ValueError."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    if not isinstance(found, dict):
        raise ValueError("it holds no sections")
    return found


def _defaults() -> dict[str, Any]:
    return {section.name: getattr(Kept(), section.name) for section in fields(Kept)}


def _keys(found: Any) -> dict[str, str]:
    """The key map from JSON. Raises ValueError."""
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise ValueError(' is no key map: {"live.pause": "P"}')
    return found


def _section(default: Any, found: Any) -> Any:
    """A section from JSON. Raises ValueError that says where it is not of the default's kind; others' keys are left."""
    if not isinstance(found, dict):
        raise ValueError(" is no section")
    values = {}
    for field in fields(default):
        value = found.get(field.name, getattr(default, field.name))
        if isinstance(getattr(default, field.name), tuple):
            value = tuple(value) if isinstance(value, list | tuple) else value
            kind = get_args(field.type)[0]  # of what such a tuple is
            right = isinstance(value, tuple) and all(_is(item, kind) for item in value)
        else:
            right = _is(value, type(getattr(default, field.name))) and value in field.metadata.get("choices", (value,))
        if not right:
            raise ValueError(f".{field.name} is {json.dumps(value)[:40]}")
        values[field.name] = value
    return type(default)(**values)


def _is(value: Any, kind: type) -> bool:
    """Whether it is of that kind; an integer, one that SQLite can look for."""
    return type(value) is kind and (not isinstance(value, int) or 0 <= value < 2**63)
