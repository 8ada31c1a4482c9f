"""docs/spec.md, made from the models: `python -m engine.spec.document > docs/spec.md`."""

from collections.abc import Iterator
from typing import Any

from pydantic.fields import FieldInfo

from engine.spec.fields import is_table, kind, listed_section
from engine.spec.methods import METHOD_MODELS
from engine.spec.run import RunSpec
from engine.spec.template import toml_value

HEAD = """# A run's TOML file

Every key a run understands, made from the models in `engine/spec/` (`python -m engine.spec.document`). `qcrd init`
writes them all out with these explanations. Unknown keys are refused and the nearest known one is named. On the
command line `--set section.key=value` lays one key over the file; the value is read as TOML, else taken as a string,
and setting `method.name` starts from that method's defaults. A relative path is looked for in the folder `qcrd` runs
in, then in the file's own; what is stored with the run is absolute.

What must fit together: `training.iterations` is at most `training.steps`, and, where the student's own negatives are
used, `method.negatives.lag` is smaller than `training.iterations`.
"""


def document() -> str:
    """The whole of docs/spec.md."""
    lines = [HEAD, "## Top level", ""]
    fields = RunSpec.model_fields
    lines += _rows({name: f for name, f in fields.items() if not is_table(f)})
    for name, f in fields.items():
        if name == "method":
            lines += _methods()
        elif is_table(f):
            lines += _section(name, f.annotation)
    return "\n".join(lines) + "\n"


def _methods() -> Iterator[str]:
    yield from ("", "## `[method]`", "")
    yield "How the student learns. `name` decides which other keys there are; without it the method is `qcrd`."
    for name, model in METHOD_MODELS.items():
        yield from _section("method", model, title=f'`[method]` with `name = "{name}"`', level="###")


def _section(key: str, model: Any, title: str = "", level: str = "##") -> Iterator[str]:
    fields: dict[str, FieldInfo] = model.model_fields
    plain = {name: f for name, f in fields.items() if not is_table(f) and not (key == "method" and name == "name")}
    yield from ("", f"{level} {title or f'`[{key}]`'}", "", _flat(model.__doc__))
    if plain:
        yield ""
        yield from _rows(plain)
    for name, f in fields.items():
        if is_table(f):
            yield from _section(f"{key}.{name}", f.annotation, level="####")
        elif listed := listed_section(f.annotation):
            yield from _section(key, listed, title=f"`[[{key}.{name}]]`", level="####")


def _rows(fields: dict[str, FieldInfo]) -> Iterator[str]:
    yield "| key | value | default | what |"
    yield "|---|---|---|---|"
    for name, f in fields.items():
        default = f.get_default(call_default_factory=True, validated_data={})
        shown = "required" if f.is_required() else "unset" if default is None else f"`{toml_value(default)}`"
        yield f"| `{name}` | {kind(f)} | {shown} | {_flat(f.description)} |"


def _flat(text: str | None) -> str:
    return " ".join((text or "").split()).replace("|", "\\|")


if __name__ == "__main__":
    print(document(), end="")
