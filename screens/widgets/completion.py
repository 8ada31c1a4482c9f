"""What a word that is being typed in SQL may become: pure functions over the text and the catalog."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from engine.store.schema.catalog import Catalog
from screens.widgets.sql_text import FUNCTIONS, KEYWORDS, tokens

MOST = 8
"""Choices that are offered at once."""
WORD = re.compile(r"(?:(\w+)\.)?(\w*)\Z")
TABLE_FOLLOWS = ("from", "join")


@dataclass(frozen=True, slots=True)
class Choice:
    """One way to go on."""

    word: str
    """What is written in place of the word."""
    kind: str
    """table, view, column, keyword or function."""


@dataclass(frozen=True, slots=True)
class Completion:
    """What the characters from `start` up to the cursor may become, the likeliest first."""

    start: int
    choices: tuple[Choice, ...]


def complete(sql: str, at: int, catalog: Catalog) -> Completion:
    """What fits the word that ends at `at`; nothing within a text, a comment or a number."""
    none = Completion(at, ())
    every = tokens(sql)
    inside = next((t for t in every if t.start < at <= t.stop), None)
    if inside is not None and (
        inside.kind in ("name", "number", "comment")
        or (inside.kind == "text" and (at < inside.stop or not inside.text.endswith("'") or len(inside.text) == 1))
    ):
        return none
    match = WORD.search(sql[:at])
    assert match is not None  # it fits the empty text
    owner, part = match[1], match[2]
    start = at - len(part)
    if owner is not None:
        choices = _of_owner(sql, owner, catalog)
    elif not part:
        return none
    else:
        before = next((t.text.lower() for t in reversed(every) if t.stop <= start and t.kind != "comment"), "")
        choices = _anywhere(sql, part, catalog, tables_alone=before in TABLE_FOLLOWS)
    found = tuple(_fitting(part, choices))
    if any(choice.word.lower() == part.lower() for choice in found[:1]):
        found = ()  # it is complete: Enter is to be a new line
    return Completion(start, found)


def _of_owner(sql: str, owner: str, catalog: Catalog) -> list[Choice]:
    name = aliases(sql, catalog).get(owner.lower(), owner)
    table = catalog.table(name)
    return [Choice(quoted(column), "column") for column in table.columns] if table else []


def _anywhere(sql: str, part: str, catalog: Catalog, tables_alone: bool) -> list[Choice]:
    tables = [Choice(quoted(table.name), table.kind) for table in catalog.tables]
    if tables_alone:
        return tables
    columns: dict[str, Choice] = {}
    named = dict.fromkeys(aliases(sql, catalog).values())
    for name in named or [table.name for table in catalog.tables]:
        table = catalog.table(name)
        for column in table.columns if table else ():
            columns.setdefault(column, Choice(quoted(column), "column"))
    upper = part.isupper() and len(part) > 1
    words = [Choice(word.upper() if upper else word, "keyword") for word in sorted(KEYWORDS)]
    return [*columns.values(), *words, *tables, *(Choice(f"{name}(", "function") for name in FUNCTIONS)]


def aliases(sql: str, catalog: Catalog) -> dict[str, str]:
    """The tables and views that the text names, each by its own name and by what it is called there, in lower case."""
    found: dict[str, str] = {}
    words = [t for t in tokens(sql) if t.kind in ("word", "keyword", "sign")]
    for i, token in enumerate(words):
        table = catalog.table(token.text) if token.kind == "word" else None
        if table is None or (i and words[i - 1].text == "."):
            continue
        found[table.name.lower()] = table.name
        after = words[i + 1 : i + 3]
        if after and after[0].text.lower() == "as":
            after = after[1:]
        if after and after[0].kind == "word":
            found[after[0].text.lower()] = table.name
    return found


def _fitting(part: str, choices: Iterable[Choice]) -> list[Choice]:
    """Those that begin so, then tables and columns that hold it."""
    part = part.lower()
    begin, hold = [], []
    for choice in choices:
        word = choice.word.lower().lstrip('"')
        if word.startswith(part):
            begin.append(choice)
        elif len(part) > 2 and part in word and choice.kind in ("table", "view", "column"):
            hold.append(choice)
    return [*begin, *hold][:MOST]


def quoted(name: str) -> str:
    """A name as SQL takes it."""
    plain = re.fullmatch(r"[^\W\d]\w*", name) and name.lower() not in KEYWORDS
    return name if plain else '"' + name.replace('"', '""') + '"'
