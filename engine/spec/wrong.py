"""What pydantic found wrong with a spec, said for a person: the key as written in the file, the nearest known one."""

import difflib
import re
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import BaseModel

from engine.spec.methods import METHOD_MODELS
from engine.spec.run import RunSpec

Key = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Wrong:
    """One mistake."""

    key: Key
    """The key's path as written in the file, e.g. ("method", "negatives", "lag")."""
    message: str


def nearest(word: str, known: list[str]) -> str:
    """The end of a sentence: "; did you mean X?" where one is near, else the known ones."""
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return f"; did you mean {close[0]}?" if close else f"; known: {' '.join(known)}"


def describe(error: Any) -> Wrong:
    """One of `ValidationError.errors()`, for a person."""
    loc = tuple(str(part) for part in error["loc"])
    method = loc[1] if loc[:1] == ("method",) and len(loc) > 1 and loc[1] in METHOD_MODELS else ""
    key = (loc[0], *loc[2:]) if method else loc  # pydantic puts the union's tag into the path; the file has no such key
    kind, context, value = error["type"], error.get("ctx", {}), error["input"]
    if kind == "extra_forbidden":
        known = _known(key[:-1], method)
        section = f"[{'.'.join(key[:-1])}]" if key[:-1] else "the top level"
        of = f" of method {method}" if method else f" of {section}"
        return Wrong(key, f"unknown key{of}{nearest(key[-1], known)}")
    if kind == "union_tag_invalid":
        tags = _quoted(context["expected_tags"])
        return Wrong((*key, "name"), f"unknown method {context['tag']!r}{nearest(str(context['tag']), tags)}")
    if key[-1:] == ("[key]",):
        return Wrong(key[:-1], f"unknown key{nearest(key[-2], _quoted(context['expected']))}")
    if kind == "literal_error":
        known = _quoted(context["expected"])
        close = difflib.get_close_matches(str(value), known, n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
        return Wrong(key, f"{_shown(value)} is not one of {' '.join(known)}{hint}")
    if kind == "value_error":
        return Wrong(key, str(context["error"]))
    if kind in ("model_type", "model_attributes_type", "dict_type"):
        return Wrong(key, f"{_shown(value)} given where a table [{'.'.join(key)}] belongs")
    said = error["msg"].removeprefix("Input ").replace("valid ", "")
    return Wrong(key, f"{_shown(value)} {said}")


def _known(key: Key, method: str) -> list[str]:
    model: Any = RunSpec
    for part in key:
        if part.isdigit():  # one of a list of tables
            model = get_args(model)[0]
        else:
            model = METHOD_MODELS[method] if part == "method" and method else model.model_fields[part].annotation
    return list(model.model_fields) if issubclass(model, BaseModel) else []


def _quoted(text: str) -> list[str]:
    return re.findall(r"'([^']*)'", text)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…"
