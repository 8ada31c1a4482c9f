"""Texts are stored once: a hash finds them again."""

import hashlib
import re
import sqlite3
from collections.abc import Iterable

SURROGATE = re.compile("[\ud800-\udfff]")


def storable(text: str) -> str:
    """The text as it can be stored: half a surrogate pair, which UTF-8 cannot say, becomes U+FFFD."""
    return SURROGATE.sub("\ufffd", text)


def text_hash(text: str) -> bytes:
    """The key of a text in the table `texts`: the first 16 bytes of SHA-256 of its UTF-8."""
    return hashlib.sha256(storable(text).encode()).digest()[:16]


def store_texts(conn: sqlite3.Connection, texts: Iterable[str], table: str = "texts") -> list[int]:
    """The ids of the texts, in order, each stored unless it is there already. Within the caller's transaction.

    `table`: texts, or messages for what is sent to a teacher.
    """
    ids: list[int] = []
    for text in texts:
        key = text_hash(text)
        added = f"INSERT OR IGNORE INTO {table} (hash, text) VALUES (?, ?) RETURNING id"
        row = conn.execute(added, (key, storable(text))).fetchone()
        if row is None:
            row = conn.execute(f"SELECT id FROM {table} WHERE hash = ?", (key,)).fetchone()
        ids.append(int(row[0]))
    return ids
