"""A typed query reads, and nothing else, however it is put."""

import sqlite3
import threading
from pathlib import Path

import pytest

from engine.errors import UsageError
from engine.spec.run import RunSpec
from engine.store.guarded import query
from engine.store.runs.run import create_run


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "x.db"
    for name in ("one", "two", "three"):
        create_run(path, RunSpec(name=name))
    return path


def test_reading(path: Path) -> None:
    found = query(path, "SELECT id, name FROM run_summary ORDER BY id; -- all of them")
    assert found.columns == ("id", "name")
    assert found.rows == [(1, "one"), (2, "two"), (3, "three")]
    assert not found.truncated


def test_the_index_of_words_can_be_asked(path: Path) -> None:
    with sqlite3.connect(path) as conn:
        conn.executemany("INSERT INTO texts (hash, text) VALUES (?, ?)", [(b"a", "8 plus 4"), (b"b", "plus 48")])
    conn.close()
    found = query(path, "SELECT text FROM texts WHERE id IN (SELECT rowid FROM text_words WHERE text_words MATCH '4')")
    assert found.rows == [("8 plus 4",)]


def test_rows_beyond_the_limit_are_not_read(path: Path) -> None:
    assert query(path, "SELECT id FROM runs ORDER BY id", limit_rows=3).truncated is False
    found = query(path, "SELECT id FROM runs ORDER BY id", limit_rows=2)
    assert (found.rows, found.truncated) == ([(1,), (2,)], True)


@pytest.mark.parametrize(
    "sql",
    [
        "WITH a AS (SELECT 1 AS x) SELECT x FROM a",
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10) SELECT max(i) FROM n",
        "VALUES (1), (2)",
        "EXPLAIN QUERY PLAN SELECT * FROM runs",
        "PRAGMA table_info(runs)",
        "SELECT name FROM pragma_table_info('runs')",
        "SELECT json_extract(spec, '$.method.name'), row_number() OVER (ORDER BY id) FROM runs",
        "SELECT name FROM sqlite_master",
        "SELECT group_concat(name) FROM runs GROUP BY status HAVING count(*) > 1",
    ],
)
def test_what_reads_is_allowed(path: Path, sql: str) -> None:
    assert query(path, sql).rows


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM runs",
        "INSERT INTO runs (name) VALUES ('x')",
        "UPDATE runs SET name = 'x' RETURNING id",
        "WITH a AS (SELECT 1) DELETE FROM runs",
        "REPLACE INTO datasets (hash, name) VALUES ('x', 'y')",
        "DROP TABLE runs",
        "CREATE TABLE x (y)",
        "CREATE TEMP TABLE x (y)",
        "CREATE TEMP VIEW x AS SELECT 1",
        "CREATE VIRTUAL TABLE x USING fts5(y)",
        "ALTER TABLE runs RENAME TO walks",
        "ATTACH 'made.db' AS made",
        "ATTACH ':memory:' AS made",
        "VACUUM",
        "VACUUM INTO 'made.db'",
        "REINDEX",
        "ANALYZE",
        "BEGIN IMMEDIATE",
        "COMMIT",
        "SAVEPOINT x",
        "PRAGMA query_only = OFF",
        "PRAGMA writable_schema = ON",
        "PRAGMA journal_mode = DELETE",
        "PRAGMA user_version = 9",
        "PRAGMA wal_checkpoint(TRUNCATE)",
        "PRAGMA database_list",
        "SELECT * FROM pragma_database_list",
        "SELECT load_extension('evil')",
        "SELECT writefile('made.db', 'x')",
        "EXPLAIN DELETE FROM runs",
    ],
)
def test_what_writes_is_refused(path: Path, sql: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(path.parent)
    query(path, "SELECT 1")
    before = path.read_bytes(), sorted(p.name for p in path.parent.iterdir())
    with pytest.raises(UsageError) as caught:
        query(path, sql)
    assert "\n" not in str(caught.value)
    assert (path.read_bytes(), sorted(p.name for p in path.parent.iterdir())) == before


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("DELETE FROM runs", "can only read"),
        ("SELECT 1; DELETE FROM runs", "one at a time"),
        ("", "is empty"),
        (" ;; -- nothing\n/* at all", "is empty"),
        ("SELEC 1", 'near "SELEC": syntax error'),
        ("SELECT * FROM run_sumary", "no such table: run_sumary: did you mean run_summary"),
        ("SELECT predict_acuracy FROM run_summary", "no such column: predict_acuracy: did you mean predict_accuracy"),
        ("SELECT r.sed FROM runs r", "no such column: r.sed: did you mean seed"),
        ("SELECT qqqqqq FROM runs", "docs/schema.md"),
        ("SELECT median(seed) FROM runs", "no such function: median"),
        ("SELECT (", "incomplete input"),
        ("SELECT ?", "the query is not understood"),
        ("SELECT '\x00'", "the query"),
        ("SELECT '\ud800'", "cannot be read"),
        ("SELECT zeroblob(1000000000)", "the query|too big"),
        ("SELECT " + "1," * 60_000 + "1", "shorten it"),
    ],
)
def test_each_mistake_is_one_clear_line(path: Path, sql: str, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        query(path, sql)
    assert any(word in str(caught.value) for word in words.split("|"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "sql",
    [
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n",
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT 1 FROM n) SELECT i FROM n WHERE i = 2",
    ],
)
def test_an_endless_query_is_stopped(path: Path, sql: str) -> None:
    with pytest.raises(UsageError, match=r"longer than 0.2 s"):
        query(path, sql, seconds=0.2)


def test_no_database(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no database"):
        query(tmp_path / "none.db", "SELECT 1")
    assert not (tmp_path / "none.db").exists()


def test_what_a_query_could_not_do_is_possible_elsewhere(path: Path) -> None:
    """The refusals above are the guard's doing: the same file takes the same statement from an ordinary connection."""
    with sqlite3.connect(path) as conn:
        conn.execute("DELETE FROM runs WHERE id = 3")
    assert query(path, "SELECT count(*) FROM runs").rows == [(2,)]


def test_a_query_is_stopped_by_another_thread(path: Path) -> None:
    stop = threading.Event()
    timer = threading.Timer(0.1, stop.set)
    timer.start()
    with pytest.raises(UsageError, match="was stopped"):
        query(path, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n", stop=stop)
    timer.join()


def test_rows_beyond_the_bytes_are_left(path: Path) -> None:
    sql = "SELECT hex(zeroblob(50)) FROM runs"
    assert len(query(path, sql, limit_bytes=250).rows) == 2
    assert query(path, sql, limit_bytes=250).truncated
    assert len(query(path, sql, limit_bytes=10).rows) == 1
    assert not query(path, sql, limit_bytes=300).truncated


def test_a_text_that_is_not_utf8_is_marked(path: Path) -> None:
    assert query(path, "SELECT CAST(x'66ff6f' AS TEXT)").rows == [("f\ufffdo",)]
