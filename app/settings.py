"""What the commands share: names of environment variables, how often things are looked at, and what is remembered."""

import json
import os
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from screens.kept import Kept

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
        found = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(found, dict):
            raise ValueError("it holds no sections")
    except FileNotFoundError:
        return Kept(), None
    except (OSError, ValueError) as error:
        return Kept(), f"{path} cannot be read ({error}): the defaults are used until it is mended or deleted"
    sections, wrong = {}, []
    for section in fields(Kept):
        default = section.default
        try:
            sections[section.name] = _section(default, found.get(section.name, {}))
        except ValueError as error:
            wrong.append(f"{section.name}{error}")
            sections[section.name] = default
    problem = f"{path}: {', '.join(wrong)}: the defaults of that part are used" if wrong else None
    return Kept(**sections), problem


def save_kept(path: Path, kept: Kept) -> None:
    """Write it, whole or not at all. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(f".{os.getpid()}.partial")
    beside.write_text(json.dumps(asdict(kept), indent=2) + "\n", encoding="utf-8")
    beside.replace(path)


def _section(default: Any, found: Any) -> Any:
    """A section from JSON. Raises ValueError that says where it is not of the default's kind; others' keys are left."""
    if not isinstance(found, dict):
        raise ValueError(" is no section")
    values = {}
    for field in fields(default):
        value = found.get(field.name, getattr(default, field.name))
        if isinstance(getattr(default, field.name), tuple):
            value = tuple(value) if isinstance(value, list | tuple) else value
            right = isinstance(value, tuple) and all(isinstance(item, str) for item in value)
        else:
            right = type(value) is type(getattr(default, field.name))
        if not right:
            raise ValueError(f".{field.name} is {json.dumps(value)[:40]}")
        values[field.name] = value
    return type(default)(**values)
