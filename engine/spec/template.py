"""A RunSpec written as TOML: bare (`to_toml`, reads back exactly) or with each field's help above it (`template`)."""

import json
from collections.abc import Iterator, Mapping
from textwrap import wrap
from typing import Any

from engine.spec.methods import METHOD_MODELS, PAPER_DISCRIMINATOR, PAPER_TRAINING, PAPER_VOTE
from engine.spec.run import RunSpec
from engine.spec.sections import Section

LEFT_TO_THE_PROFILE: dict[tuple[str, ...], Mapping[str, object]] = {
    ("vote",): PAPER_VOTE,
    ("training",): PAPER_TRAINING,
    ("method", "discriminator"): PAPER_DISCRIMINATOR,
}
"""Keys that the template leaves unset, by table: written out, they would stand against `profile = "paper"`."""


def to_toml(spec: RunSpec) -> str:
    """The whole spec as TOML; `load_spec` on it gives an equal one. What is unset is left out."""
    return "\n".join(_table(spec, (), comments=False)) + "\n"


def template() -> str:
    """What `qcrd init` writes: every key at its default below its explanation; loads back equal to `RunSpec()`.

    What a profile sets is written as a comment, so that setting the profile is enough.
    """
    head = ["# A run of qcrd. Every key is at its default: delete what you do not change. `qcrd run FILE` runs it,"]
    head += ["# `qcrd run FILE --dry-run` checks it first, `--set training.lr=1e-4` changes one key for one run.", ""]
    return "\n".join([*head, *_table(RunSpec(), (), comments=True)]) + "\n"


def toml_value(value: Any) -> str:
    """One value as TOML on one line. Raises TypeError for what TOML cannot hold."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, list | tuple):
        return "[" + ", ".join(toml_value(item) for item in value) + "]"
    if isinstance(value, Section):  # in a list: what is unset is left out
        value = {key: item for key, item in value if item is not None}
    if isinstance(value, Mapping):
        inside = ", ".join(f"{key} = {toml_value(item)}" for key, item in value.items())
        return "{" + inside + "}"
    raise TypeError(f"TOML has no {type(value).__name__}")


def _table(section: Section, key: tuple[str, ...], comments: bool) -> Iterator[str]:
    fields = type(section).model_fields
    if key:
        yield ""
        if comments:
            yield from _comment(type(section).__doc__ or "")
        yield f"[{'.'.join(key)}]"
    values = {name: getattr(section, name) for name in fields}
    for name, value in values.items():
        if isinstance(value, Section):
            continue
        if comments:
            yield from _comment(fields[name].description or ("Which method; the keys and tables below are its own."))
        if comments and name in LEFT_TO_THE_PROFILE.get(key, ()):
            yield f"# {name} = {toml_value(value)}"
        elif value is not None:
            yield f"{name} = {toml_value(value)}"
        elif comments:
            yield f"# {name} ="
    if comments and key == ("method",):
        yield from _other_methods(section)
    for name, value in values.items():
        if isinstance(value, Section):
            yield from _table(value, (*key, name), comments)


def _other_methods(chosen: Section) -> Iterator[str]:
    yield from _comment("The other methods, with the keys they take here in place of the tables below:")
    for name, model in METHOD_MODELS.items():
        if model is type(chosen):
            continue
        keys = ", ".join(f"{key} = {value}" for key, value in _flat(model()) if key != "name")
        yield from _comment(f"  {name}: {keys or 'none'}")


def _flat(section: Section) -> Iterator[tuple[str, str]]:
    """Its keys with dotted ones for its tables."""
    for name in type(section).model_fields:
        value = getattr(section, name)
        if isinstance(value, Section):
            yield from ((f"{name}.{key}", inner) for key, inner in _flat(value))
        elif value is not None:
            yield name, toml_value(value)


def _comment(text: str) -> Iterator[str]:
    text = text.replace("\n", " ")
    indent = " " * (len(text) - len(text.lstrip()))
    for line in wrap(text.strip(), width=110):
        yield f"# {indent}{line}"
