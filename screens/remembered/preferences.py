"""What can be set: every setting of `kept.py` and every key of the table, shown and changed. Pure functions."""

import difflib
from dataclasses import dataclass, fields, replace
from typing import Any

from engine.errors import UsageError
from screens.keys.keymap import remapped
from screens.keys.table import KEYS
from screens.remembered.kept import Kept

SECTIONS = ("look", "live", "rationales", "compare")


@dataclass(frozen=True, slots=True)
class Preference:
    """One thing that can be set."""

    name: str
    """theme, live.smooth; keys.live.pause."""
    value: str
    default: str
    choices: tuple[str, ...]
    """All it can be; none: a key."""
    help: str


def preferences(kept: Kept) -> tuple[Preference, ...]:
    """All of them: settings, then keys."""
    found = []
    for section in SECTIONS:
        values = getattr(kept, section)
        for one in fields(values):
            found.append(
                Preference(
                    _name(section, one.name),
                    written(getattr(values, one.name)),
                    written(one.default),
                    tuple(written(choice) for choice in one.metadata["choices"]),
                    one.metadata["help"],
                )
            )
    keys, _ = remapped(kept.keys)
    for now, first in zip(keys, KEYS, strict=True):
        found.append(Preference(f"keys.{first.name}", now.shown, first.shown, (), first.help))
    return tuple(found)


def changed(kept: Kept, name: str, text: str) -> Kept:
    """With that one set to what was typed; "": its default. Raises UsageError: the nearest name, or what it can be."""
    known = {one.name: one for one in preferences(kept)}
    one = known.get(name)
    if one is None:
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
        hint = f": did you mean {near[0]}?" if near else ": `qcrd settings` lists all"
        raise UsageError(f"there is no setting {name[:60]!r}{hint}")
    if not one.choices:
        return _with_key(kept, name.removeprefix("keys."), text)
    text = text.strip().lower() or one.default
    if text not in one.choices:
        near = difflib.get_close_matches(text, one.choices, n=1, cutoff=0.4)
        hint = f", did you mean {near[0]}?" if near else ""
        raise UsageError(f"{name} cannot be {text[:40]!r}: it is one of {', '.join(one.choices)}{hint}")
    section, _, field_name = name.rpartition(".")
    section = section or "look"
    values = getattr(kept, section)
    choices = next(f for f in fields(values) if f.name == field_name).metadata["choices"]
    value = choices[one.choices.index(text)]
    return replace(kept, **{section: replace(values, **{field_name: value})})


def _with_key(kept: Kept, name: str, text: str) -> Kept:
    keys = {other: value for other, value in kept.keys.items() if other != name}
    if not text.strip():
        return replace(kept, keys=keys)
    # the change comes last: where it clashes with one made before, it is the one refused
    keys[name] = text.strip()
    _, before = remapped({other: value for other, value in keys.items() if other != name})
    _, refused = remapped(keys)
    if new := [why for why in refused if why not in before]:
        raise UsageError(new[0])
    return replace(kept, keys=keys)


def _name(section: str, field: str) -> str:
    return field if section == "look" else f"{section}.{field}"


def written(value: Any) -> str:
    """As people type it."""
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)
