"""What a run that is being made comes to: the file it is, what a dry run told, its prompt as tried. Pure functions."""

import tomllib
from collections.abc import Sequence
from typing import Any

from textual.content import Content

from screens.widgets.words import UNKNOWN, line, paragraph


def dry_run(lines: Sequence[tuple[str, str]], problems: Sequence[str], *, of_now: bool) -> list[Content]:
    """What it would do; not `of_now`: before something was changed."""
    parts = [Content.styled("what it would do" + ("" if of_now else ", before the last change"), "bold")]
    parts += [Content.assemble((f"{line(label, 12):<9} ", "dim"), line(text, 400)) for label, text in lines]
    parts += [Content.styled(f"✗ {line(problem, 400)}", "$error") for problem in problems]
    return [*parts, Content("")]


def trial_text(found: dict[str, Any]) -> Content:
    """What was asked, what came back and what was read of it."""
    parts: list[Content] = []
    for at, one in enumerate(found["tried"]):
        if at == 0:
            for message in one["messages"]:
                parts.append(Content.styled(f"[{line(message['role'], 20)}]", "dim"))
                parts.append(Content(paragraph(message["content"], 3000)))
        parts.append(Content.styled(line(one["question"], 300), "bold"))
        if one["text"] is None:
            parts.append(Content.styled("no answer came", "$error"))
            continue
        parts.append(Content(paragraph(one["text"], 1500)))
        read = (
            f"read: {line(one['answer'], 60)} by rule {line(one['rule'], 30)}"
            if one["answer"]
            else "MISS: no rule reads it"
        )
        right = {True: " ✓ gold", False: f" ✗ gold {line(one['gold'], 60)}", None: ""}[one["right"]]
        parts.append(Content.styled(read + right, "$success" if one["right"] else "$warning"))
    price = UNKNOWN if found["price_usd"] is None else f"${found['price_usd']:.4f}"
    parts.append(
        Content.styled(f"{found['calls']} calls, {price}; {found['reused']} answers were there already", "dim")
    )
    return Content("\n").join(parts)


def as_toml(typed: str, taken: str) -> str:
    """What was typed where TOML reads it so, else what it was taken for: tiny is "tiny"."""
    try:
        same = tomllib.loads(f"x = {typed}") == tomllib.loads(f"x = {taken}")
    except tomllib.TOMLDecodeError:
        same = False
    return typed if same else taken


def changed_toml(given: dict[str, str]) -> str:
    """What was set, as TOML by section."""
    sections: dict[str, list[str]] = {}
    for key, value in given.items():
        section, _, name = key.rpartition(".")
        sections.setdefault(section, []).append(f"{name} = {line(value, 200)}")
    top = sections.pop("", [])
    return "\n".join([*top, *(f"[{name}]\n" + "\n".join(rows) for name, rows in sorted(sections.items()))])
