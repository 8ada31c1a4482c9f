"""Texts are stored once: a hash finds them again."""

import hashlib
import json
import re
import sqlite3
from collections.abc import Sequence

VARIABLES = 900
"""Of one statement; SQLite takes 999 at least."""
AT_ONCE = 16
"""Rows of one statement that is given often: one of each length is kept compiled."""
SURROGATE = re.compile("[\ud800-\udfff]")


def storable(text: str) -> str:
    """The text as it can be stored: half a surrogate pair, which UTF-8 cannot say, becomes U+FFFD."""
    return text if text.isascii() else SURROGATE.sub("\ufffd", text)  # at once, without a look at each character


def text_hash(text: str) -> bytes:
    """The key of a text in the table `texts`: the first 16 bytes of SHA-256 of its UTF-8."""
    return hashlib.sha256(storable(text).encode()).digest()[:16]


def store_texts(conn: sqlite3.Connection, texts: Sequence[str], table: str = "texts") -> list[int]:
    """The ids of the texts, in order, each stored unless it is there already. Within the caller's transaction.

    `table`: texts, or messages for what is sent to a teacher.
    """
    hashes = {text: text_hash(text) for text in dict.fromkeys(texts)}
    new = [(key, storable(text)) for text, key in hashes.items()]
    ids: dict[str, int] = {}
    for at in range(0, len(new), AT_ONCE):
        some = new[at : at + AT_ONCE]
        marks = ",".join(["(?,?)"] * len(some))
        values = [value for row in some for value in row]
        conn.execute(f"INSERT OR IGNORE INTO {table} (hash, text) VALUES {marks}", values)
        marks = ",".join("?" * len(some))
        # one row: each that is fetched gives Python's lock away
        found = f"SELECT json_group_object(hex(hash), id) FROM {table} WHERE hash IN ({marks})"
        ids |= json.loads(conn.execute(found, [key for key, _ in some]).fetchone()[0])
    return [ids[hashes[text].hex().upper()] for text in texts]
