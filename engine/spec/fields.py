"""Every key of a spec with what it takes, its default and its help: for docs/spec.md and the form of a new run."""

from collections.abc import Iterator
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from engine.spec.run import RunSpec
from engine.spec.sections import Section
from engine.spec.template import toml_value

UNSET = "unset"


@dataclass(frozen=True, slots=True)
class SpecField:
    """One key, or the head of a section (`kind` is "")."""

    key: str
    """Dotted, e.g. training.lr."""
    kind: str
    """What it takes, in words."""
    choices: tuple[str, ...]
    """All values it can have, as TOML; empty where there are too many."""
    value: str
    """As TOML, or UNSET."""
    default: str
    help: str


def spec_fields(spec: RunSpec) -> list[SpecField]:
    """All keys of the spec's own method, section by section."""
    return list(_fields(spec, ""))


def _fields(section: Section, before: str, instead: FieldInfo | None = None) -> Iterator[SpecField]:
    """`instead`: the field that holds the section, where it could be of other kinds as well."""
    if before:
        yield SpecField(before.removesuffix("."), "", (), "", "", " ".join((type(section).__doc__ or "").split()))
    fields = type(section).model_fields
    for name, f in fields.items():
        if not is_table(f):
            default = f.get_default(call_default_factory=True, validated_data={})
            chooses = instead is not None and name == instead.discriminator
            takes = f.annotation
            if instead is not None and chooses:
                takes, default = _all_names(instead), getattr(instead.get_default(call_default_factory=True), name)
            yield SpecField(
                f"{before}{name}",
                (_type(takes) if chooses else kind(f)).replace("`", ""),
                _choices(takes),
                _written(getattr(section, name)),
                _written(default),
                " ".join((f.description or "").split()) or "Which method; the keys below are its own.",
            )
    for name, f in fields.items():
        if is_table(f):
            yield from _fields(getattr(section, name), f"{before}{name}.", f if f.discriminator else None)


def _all_names(union: FieldInfo) -> Any:
    """What the key can be that tells the kinds of a section apart."""
    names = [get_args(one.model_fields[str(union.discriminator)].annotation)[0] for one in get_args(union.annotation)]
    return Literal[tuple(names)]


def _written(value: Any) -> str:
    return UNSET if value is None else toml_value(value)


def _choices(annotation: Any) -> tuple[str, ...]:
    if annotation is bool:
        return ("true", "false")
    if get_origin(annotation) is Literal:
        return tuple(toml_value(value) for value in get_args(annotation))
    return ()


def kind(f: FieldInfo) -> str:
    """What a field takes, in words."""
    bounds = [f"{sign} {_number(getattr(m, name))}" for m in f.metadata for name, sign in _SIGNS if hasattr(m, name)]
    return " ".join([_type(f.annotation), *bounds])


_SIGNS = (("gt", ">"), ("ge", "≥"), ("lt", "<"), ("le", "≤"))
_NAMES = {int: "whole number", float: "number", str: "text", bool: "true, false"}


def _type(annotation: Any) -> str:
    origin, inside = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return ", ".join(f"`{str(value).lower() if isinstance(value, bool) else value}`" for value in inside)
    if listed_section(annotation):
        return "tables"
    if origin is tuple:
        return "list of " + _type(inside[0])
    if origin is dict:
        return "table from " + _type(inside[0])
    if origin in (UnionType, Union):
        return " or ".join(_type(one) for one in inside if one is not NoneType)
    if inside:  # Annotated[T, bounds]
        bounds = [
            f" {sign} {_number(getattr(m, name))}"
            for extra in inside[1:]
            for m in getattr(extra, "metadata", ())
            for name, sign in _SIGNS
            if hasattr(m, name)
        ]
        return _type(inside[0]) + "".join(bounds)
    return _NAMES.get(annotation, str(annotation))


def _number(value: Any) -> str:
    return "2⁶³" if value == 2**63 else repr(value)


def is_table(f: FieldInfo) -> bool:
    """Whether a field is a section of its own."""
    return f.annotation is not None and (
        (isinstance(f.annotation, type) and issubclass(f.annotation, Section)) or f.discriminator is not None
    )


def listed_section(annotation: Any) -> type[Section] | None:
    """The section that a field is a list of, where it is."""
    inside = get_args(annotation)
    if get_origin(annotation) is tuple and isinstance(inside[0], type) and issubclass(inside[0], Section):
        return inside[0]
    return None
