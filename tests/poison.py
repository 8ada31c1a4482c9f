"""Hostile text in every column of a database that holds somebody's words."""

import sqlite3
from pathlib import Path

HOSTILE = (
    "[/] [/foo] [@click=app.quit]x[/] [bold red]loud \x1b[2J\x1b]52;c;aGVsbG8=\x07 \x9b31m \x00\x7f\r \u202egnp\u2066x"
    " 日本語 👩‍👩‍👧 e\u0301\u0301 ﷽ \u200b\ufeff {x} %s $error \\[ \\"
)
OURS = {
    "split", "state", "status", "level", "head", "polarity", "special", "purpose", "slots", "spec", "folder", "hash",
    "key", "example", "layout", "outcome", "method",
}  # fmt: skip
"""Columns whose words are ours or bound to others: keys, states, JSON."""


def poison(database: Path, text: str = HOSTILE) -> None:
    """Append `text` to every text that is a model's, a user's or a provider's."""
    con = sqlite3.connect(database)
    tables = [name for (name,) in con.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    for table in tables:
        if table.startswith(("text_words", "sqlite_")):
            continue  # the index of words follows `texts`
        for _, column, kind, *_ in con.execute(f"PRAGMA table_info({table})").fetchall():
            if kind.upper() == "TEXT" and column not in OURS and (table, column) != ("orders", "name"):
                con.execute(f"UPDATE {table} SET {column} = {column} || ?", (text,))
    con.commit()
    con.close()


def escapes(page: str) -> list[str]:
    """What a terminal would obey, or that turns its text round."""
    turning = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u061c\u200e\u200f"
    return [c for c in page if (ord(c) < 32 and c not in "\n\t") or 0x7F <= ord(c) < 0xA0 or c in turning]
