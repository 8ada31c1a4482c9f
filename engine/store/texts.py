"""Texts are stored once: a hash finds them again."""

import hashlib
import re
import sqlite3
from collections.abc import Sequence

VARIABLES = 900
"""Of one statement; SQLite takes 999 at least."""
SURROGATE = re.compile("[\ud800-\udfff]")


def storable(text: str) -> str:
    """The text as it can be stored: half a surrogate pair, which UTF-8 cannot say, becomes U+FFFD."""
    return SURROGATE.sub("\ufffd", text)


def text_hash(text: str) -> bytes:
    """The key of a text in the table `texts`: the first 16 bytes of SHA-256 of its UTF-8."""
    return hashlib.sha256(storable(text).encode()).digest()[:16]


def store_texts(conn: sqlite3.Connection, texts: Sequence[str], table: str = "texts") -> list[int]:
    """The ids of the texts, in order, each stored unless it is there already. Within the caller's transaction.

    `table`: texts, or messages for what is sent to a teacher.
    """
    keys = [text_hash(text) for text in texts]
    new = list(zip(keys, map(storable, texts), strict=True))
    ids: dict[bytes, int] = {}
    for at in range(0, len(new), VARIABLES // 2):
        some = new[at : at + VARIABLES // 2]
        marks = ",".join(["(?,?)"] * len(some))
        values = [value for row in some for value in row]
        conn.execute(f"INSERT OR IGNORE INTO {table} (hash, text) VALUES {marks}", values)
        marks = ",".join("?" * len(some))
        rows = conn.execute(f"SELECT hash, id FROM {table} WHERE hash IN ({marks})", [key for key, _ in some])
        ids.update({bytes(key): int(number) for key, number in rows})
    return [ids[key] for key in keys]
