"""What is sent to teachers lies apart from what they write; a database of version 10 is brought up to date."""

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from sqlite_utils import Database
from sqlite_utils.migrations import Migrations

from engine.store.connect import open_reader, open_writer
from engine.store.ledger.requests import read_ledger, read_request
from engine.store.schema.migrations import statements
from engine.store.schema.tables import APPLICATION_ID, STEPS
from engine.store.texts import text_hash

TURNS = json.dumps([{"role": "system", "content": "think about quinces"}])
SENT = ("how many quinces?", "echo quinces", "repeat quinces", "thought quinces", "predicted quinces")
"""Messages; all but the first some model wrote as well."""
RUN = (
    "INSERT INTO runs (id, name, status, method, dataset, teacher, student, seed, spec, folder, created_at, steps,"
    " iterations) VALUES (1, 'old', 'done', 'dss', 'd', 'm', 's', 0, '{}', 'runs/1', 0, 9, 3)"
)


@pytest.fixture
def old(tmp_path: Path) -> Path:
    path = tmp_path / "x.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as conn:
        steps = Migrations("qcrd")
        for name, script in STEPS.items():
            if name < "0013":
                steps(name=name)(lambda db, script=script: [db.conn.execute(part) for part in statements(script)])
        steps.apply(Database(conn, recursive_triggers=False, execute_plugins=False))
        conn.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        conn.execute("PRAGMA user_version = 10")
        conn.execute(RUN)
        texts = (TURNS, *SENT, "only written: quinces and pears")
        conn.executemany("INSERT INTO texts VALUES (?, ?, ?)", [(i, text_hash(t), t) for i, t in enumerate(texts, 1)])
        for i in range(len(SENT)):
            conn.execute(
                "INSERT INTO requests (run_id, purpose, example, model, asked, slots, state, created_at, turns_id,"
                " message_id) VALUES (1, 'sample', 'q', 'm', x'00', '[0]', 'done', 0, 1, ?)",
                (i + 2,),
            )
        conn.execute(
            "INSERT INTO requests (run_id, purpose, example, model, asked, slots, state, created_at)"
            " VALUES (1, 'sample', 'older', 'm', x'00', '[0]', 'done', 0)"
        )
        conn.execute("INSERT INTO samples (key, model, text_id, created_at, reasoning_id) VALUES (x'01', 'm', 3, 0, 5)")
        conn.execute("INSERT INTO samples (key, model, text_id, created_at) VALUES (x'02', 'm', 7, 0)")
        conn.execute(
            "INSERT INTO rationales (run_id, number, example, polarity, source, iteration, slot, text_id, rule)"
            " VALUES (1, 0, 'q', 'positive', 'teacher', 0, 0, 4, 'strict')"
        )
        conn.execute("INSERT INTO predictions VALUES (1, 'test', 'q', 'predict', 1, 6, NULL, NULL)")
    return path


def found(conn: sqlite3.Connection, word: str) -> list[int]:
    return [r[0] for r in conn.execute("SELECT rowid FROM text_words WHERE text_words MATCH ? ORDER BY 1", (word,))]


def check(path: Path) -> None:
    with closing(open_writer(path)) as conn:
        conn.execute("INSERT INTO text_words (text_words, rank) VALUES ('integrity-check', 1)")
        assert [tuple(r) for r in conn.execute("PRAGMA integrity_check")] == [("ok",)]
    with closing(open_reader(path)) as conn:
        assert conn.execute("PRAGMA foreign_key_check").fetchall() == []
        assert found(conn, "quinces") == [3, 4, 5, 6, 7], "what a model wrote, and no prompt"
        assert conn.execute("SELECT count(*) FROM texts").fetchone()[0] == 5
        assert {r[0] for r in conn.execute("SELECT text FROM messages")} == {TURNS, *SENT}
        whole = [read_request(conn, i) for i in range(1, 7)]
        assert [w and w.messages and w.messages[-1] for w in whole] == [*(("user", t) for t in SENT), None]
        assert whole[0] is not None
        assert whole[0].messages is not None
        assert whole[0].messages[0] == ("system", "think about quinces")
        assert conn.execute("SELECT name FROM sqlite_master WHERE name = 'only_sent'").fetchone() is None
        assert read_ledger(conn, None, None, 0).tries == 0


def test_messages_move_out_of_the_texts_that_are_searched(old: Path) -> None:
    check(old)


def test_a_kill_in_the_middle_of_the_move_loses_nothing(old: Path) -> None:
    code = f"""
import os
from pathlib import Path
from engine.store.schema import migrations, tables
from engine.store.connect import open_writer
whole = migrations._run
def dies(conn, script):
    if script is not tables.STEPS["0013_messages_apart"]:
        return whole(conn, script)
    for statement in list(migrations.statements(script))[:6]:
        conn.execute(statement)
    os.kill(os.getpid(), 9)
migrations._run = dies
open_writer(Path({str(old)!r}))
"""
    assert subprocess.run([sys.executable, "-c", code], check=False, env=os.environ).returncode == -9
    with closing(sqlite3.connect(old)) as conn:
        assert conn.execute("PRAGMA user_version").fetchone() == (10,)
        assert found(conn, "quinces") == [1, 2, 3, 4, 5, 6, 7]
    check(old)
