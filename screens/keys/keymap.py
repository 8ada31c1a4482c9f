"""The table of keys as somebody wants it: what may be changed, what may not, and why. Pure functions."""

import difflib
import re
import string
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import replace

from screens.keys.key import Key
from screens.keys.table import TABLE, named_in_words

TAKEN = {
    "ctrl+b": "terminals take it (tmux)",
    "ctrl+s": "terminals take it (flow control)",
    "ctrl+h": "terminals send it for Backspace",
    "ctrl+i": "terminals send it for Tab",
    "ctrl+j": "terminals send it for Enter",
    "ctrl+m": "terminals send it for Enter",
    "ctrl+p": "it is the palette's",
    "ctrl+q": "it always quits",
}
SHOWN = {
    "escape": "Esc",
    "enter": "Enter",
    "space": "Space",
    "tab": "Tab",
    "backspace": "Backspace",
    "delete": "Del",
    "insert": "Ins",
    "home": "Home",
    "end": "End",
    "pagedown": "PgDn",
    "pageup": "PgUp",
    "up": "↑",
    "down": "↓",
    "left": "←",
    "right": "→",
    **{f"f{i}": f"F{i}" for i in range(1, 13)},
}
"""Keys with a name, as Textual calls them, and as people write them."""
TEXTUAL = {
    "solidus": "slash",
    "reverse_solidus": "backslash",
    "commercial_at": "at",
    "hyphen_minus": "minus",
    "plus_sign": "plus",
    "low_line": "underscore",
}
"""Characters that Textual calls otherwise than Unicode does."""

TOO = re.compile(r" \(\S+ too\)")
"""Of a help: an alternative key, which is no more where others are wanted."""


def _punctuation() -> dict[str, str]:
    found = {}
    for character in string.punctuation:
        name = unicodedata.name(character).lower().replace("-", "_").replace(" ", "_")
        found[TEXTUAL.get(name, name)] = character
    return found


PUNCTUATION = _punctuation()
"""Characters by Textual's names."""


def named(text: str) -> str | None:
    """Textual's name of a key as people write it ("P", "?", "Esc", "Ctrl+N", "f6"); None: there is no such key."""
    text = text if text == " " else text.strip()
    low = text.lower()
    for name, shown in SHOWN.items():
        if low in (name, shown.lower()):
            return name
    if len(text) == 1 and text.isalnum():
        return text
    for name, character in PUNCTUATION.items():
        if text == character or low == name:
            return name
    modifier, plus, base = low.partition("+")
    inner = named(base) if plus and base and modifier in ("ctrl", "alt", "shift") else None
    return f"{modifier}+{inner}" if inner else None


def written(name: str) -> str:
    """A key of Textual's as people write it."""
    modifier, plus, base = name.partition("+")
    if plus:
        return f"{modifier.capitalize()}+{written(base).upper() if len(base) == 1 else written(base)}"
    return SHOWN.get(name) or PUNCTUATION.get(name, name)


def remapped(changes: Mapping[str, str]) -> tuple[tuple[Key, ...], tuple[str, ...]]:
    """The table with other keys ("live.pause": "P", commas between alternatives), and a line for each refused change.

    Refused: names that the table does not have, keys that there are not or that terminals take, and keys that do
    something else in that place or everywhere. What is refused stands as it was.
    """
    wanted: dict[str, Key] = {}
    refused: list[str] = []
    names = {key.name: key for key in TABLE}
    for name, text in changes.items():
        key = names.get(name)
        if key is None:
            near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
            refused.append(f"there is no key {name!r}" + (f": did you mean {near[0]}?" if near else ""))
            continue
        found, why = _parsed(text)
        if why:
            refused.append(f"{name}: {why}; {key.shown} stands")
        elif found != key.keys.split(","):
            shown = " ".join(written(one) for one in found)
            wanted[name] = replace(key, keys=",".join(found), shown=shown, help=TOO.sub("", key.help))
    while clash := _clash([wanted.get(key.name, key) for key in TABLE], wanted):
        mine, other, both = clash
        del wanted[mine]
        refused.append(f"{mine}: {written(both)} is {other} already; {names[mine].shown} stands")
    return named_in_words([wanted.get(key.name, key) for key in TABLE]), tuple(refused)


def _parsed(text: str) -> tuple[list[str], str]:
    """The keys' names, or why not."""
    found = []
    for part in text.split(","):
        name = named(part)
        if name is None:
            return [], f"there is no key {part.strip()[:20]!r} (write P, ?, F6, Ctrl+N, PgDn)"
        if name in TAKEN:
            return [], f"{written(name)} cannot be had, {TAKEN[name]}"
        found.append(name)
    return found, ""


def _clash(keys: Sequence[Key], changed: Mapping[str, Key]) -> tuple[str, str, str] | None:
    """A changed key that another one has too: its name, the other's, and which; the last one changed goes first."""
    for name in reversed(list(changed)):
        mine = changed[name]
        for other in keys:
            if other.name == name or not ("all" in (mine.place, other.place) or mine.place == other.place):
                continue
            both = set(mine.keys.split(",")) & set(other.keys.split(","))
            if both:
                return name, other.name, min(both)
    return None
