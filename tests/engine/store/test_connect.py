"""Opening the database: created once, migrated safely, refused with one clear line."""

import os
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from sqlite_utils import Database
from sqlite_utils.migrations import Migrations

from engine.errors import QcrdError, UsageError
from engine.store.connect import database_path, explain, open_reader, open_writer
from engine.store.filesystem import network_filesystem, refuse_network_filesystem
from engine.store.schema.migrations import statements
from engine.store.schema.tables import APPLICATION_ID, FIRST_TABLES, GROUP_TABLES, SCHEMA_VERSION


def test_the_database_is_the_argument_else_the_environment_else_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("QCRD_DB", raising=False)
    assert database_path(None) == Path("experiments.db")
    monkeypatch.setenv("QCRD_DB", "/elsewhere/x.db")
    assert database_path(None) == Path("/elsewhere/x.db")
    assert database_path(Path("mine.db")) == Path("mine.db")


@pytest.mark.parametrize("name", ["experiments.db", "a b?c#d%20é.db"])
def test_what_a_writer_creates_a_reader_opens(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    writer = open_writer(path)
    reader = open_reader(path)
    assert reader.execute("SELECT count(*) FROM run_summary").fetchone()[0] == 0
    assert writer.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader.execute("INSERT INTO datasets (hash, name) VALUES ('x', 'y')")
    reader.close()
    writer.close()


def test_opening_again_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    open_writer(path).close()
    before = path.read_bytes()
    open_writer(path).close()
    assert path.read_bytes() == before


def test_eight_that_create_it_at_once(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    code = f"""
from pathlib import Path
from engine.store.connect import open_writer
open_writer(Path({str(path)!r})).close()"""
    workers = [subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE) for _ in range(8)]
    assert [(w.communicate()[1], w.returncode) for w in workers] == [(b"", 0)] * 8
    with open_reader(path) as conn:
        assert conn.execute("PRAGMA integrity_check").fetchone()[0] == "ok"


def test_a_migration_that_dies_halfway_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.db"
    monkeypatch.setattr("engine.store.schema.migrations.VIEWS", "CREATE VIEW broken AS SELECT * FROM;")
    with pytest.raises(QcrdError):
        open_writer(path)
    with sqlite3.connect(path) as conn:
        assert conn.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0
    monkeypatch.undo()
    open_writer(path).close()
    open_reader(path).close()


def test_a_process_killed_in_the_middle_of_a_migration(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    code = f"""
import os
from pathlib import Path
from engine.store.schema import migrations
from engine.store.connect import open_writer
first_half = list(migrations.statements(migrations.STEPS["0001_first_schema"]))[:12]
def dies(conn, script):
    for statement in first_half:
        conn.execute(statement)
    os.kill(os.getpid(), 9)
migrations._run = dies
open_writer(Path({str(path)!r}))
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    with pytest.raises(UsageError, match="is empty"):
        open_reader(path)
    open_writer(path).close()
    with open_reader(path) as conn:
        assert conn.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
        assert conn.execute("SELECT count(*) FROM run_summary").fetchone()[0] == 0


def test_a_database_of_the_first_version_is_brought_up_to_date(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    with sqlite3.connect(path, isolation_level=None) as conn:
        steps = Migrations("qcrd")
        steps(name="0001_first_schema")(lambda db: [db.conn.execute(part) for part in statements(FIRST_TABLES)])
        steps.apply(Database(conn, recursive_triggers=False, execute_plugins=False))
        conn.execute("CREATE VIEW run_summary AS SELECT id, name, status FROM runs")
        conn.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        conn.execute("PRAGMA user_version = 1")
        conn.execute(
            "INSERT INTO runs (name, status, method, dataset, teacher, student, seed, spec, folder, created_at, steps,"
            " iterations) VALUES ('old', 'done', 'dss', 'd', 't', 's', 0, '{}', 'runs/1', 0, 9, 3)"
        )
        conn.execute("INSERT INTO stages VALUES (1, 0, 'train', 'done', 9, 9, 'steps', 5.0, 8.0)")
    conn.close()
    with pytest.raises(UsageError, match=r"schema version 1, older"):
        open_reader(path)
    open_writer(path).close()
    fresh = tmp_path / "fresh.db"
    open_writer(fresh).close()
    old, new = open_reader(path), open_reader(fresh)
    shape = "SELECT type, name, sql FROM sqlite_master WHERE name NOT LIKE '%sqlite%' ORDER BY name"
    assert [tuple(row) for row in old.execute(shape)] == [tuple(row) for row in new.execute(shape)]
    row = old.execute("SELECT * FROM run_summary").fetchone()
    assert (row["name"], row["status"], row["group_id"]) == ("old", "done", None)
    assert old.execute("SELECT ended_at, seconds FROM stages").fetchone()[:] == (8.0, 0.0)
    old.close()
    new.close()


def test_what_older_versions_bought_is_kept_with_its_responses(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    with sqlite3.connect(path, isolation_level=None) as conn:
        steps = Migrations("qcrd")
        steps(name="0001_first_schema")(lambda db: [db.conn.execute(part) for part in statements(FIRST_TABLES)])
        steps(name="0002_groups")(lambda db: [db.conn.execute(part) for part in statements(GROUP_TABLES)])
        steps.apply(Database(conn, recursive_triggers=False, execute_plugins=False))
        conn.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        conn.execute("PRAGMA user_version = 2")
        conn.execute(
            "INSERT INTO runs (name, status, method, dataset, teacher, student, seed, spec, folder, created_at, steps,"
            " iterations) VALUES ('old', 'done', 'dss', 'd', 'openai/t', 's', 0, '{}', 'runs/1', 0, 9, 3)"
        )
        conn.execute("INSERT INTO texts VALUES (1, x'00', 'a text')")
        conn.execute("INSERT INTO attempts VALUES (1, 1, 'q', 2, 1, 'failed', 1.0, 2.0, 500, 'server: down')")
        conn.execute("INSERT INTO attempts VALUES (2, 1, 'q', 2, 2, 'done', 3.0, 4.0, 200, NULL)")
        conn.execute("INSERT INTO samples VALUES (1, x'01', 'openai/t', 1, 'stop', 20, 7, 2, 4.0)")
        conn.execute("INSERT INTO samples VALUES (2, x'02', 'openai/t', 1, 'stop', 0, 6, 2, 4.0)")
        conn.execute("INSERT INTO run_samples VALUES (1, 'q', 0, 1), (1, 'q', 1, 2)")
    conn.close()
    open_writer(path).close()
    conn = open_reader(path)
    assert conn.execute("SELECT attempt_id, received_at, input_tokens, output_tokens FROM responses").fetchall()[0][
        :
    ] == (2, 4.0, 20, 13)
    spent = conn.execute(
        "SELECT model, calls, failed_calls, bought_samples, price_usd, unknown_prices, in_doubt FROM teacher_spend"
    ).fetchall()
    assert [tuple(row) for row in spent] == [("openai/t", 2, 1, 2, None, 1, 0)]
    assert conn.execute("PRAGMA foreign_key_check").fetchall() == []
    found = conn.execute("SELECT rowid FROM text_words WHERE text_words MATCH 'text'").fetchall()
    assert [tuple(row) for row in found] == [(1,)], "what was there before the index was is in it"
    conn.close()


def test_missing_and_empty_and_foreign_files(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no database at .*qcrd demo"):
        open_reader(tmp_path / "none.db")
    with pytest.raises(UsageError, match="is a folder"):
        open_reader(tmp_path)
    with pytest.raises(UsageError, match="no folder"):
        open_writer(tmp_path / "nowhere" / "x.db")
    (tmp_path / "empty.db").touch()
    with pytest.raises(UsageError, match="is empty"):
        open_reader(tmp_path / "empty.db")
    (tmp_path / "text.db").write_text("not a database\n" * 100)
    for opener in (open_reader, open_writer):
        with pytest.raises(UsageError, match="not a database"):
            opener(tmp_path / "text.db")
    with sqlite3.connect(tmp_path / "other.db") as conn:
        conn.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        conn.execute("CREATE TABLE theirs (x)")
    for opener in (open_reader, open_writer):
        with pytest.raises(UsageError, match="another program"):
            opener(tmp_path / "other.db")
    with sqlite3.connect(tmp_path / "other.db") as conn:
        assert conn.execute("PRAGMA journal_mode").fetchone()[0] == "delete", "left as it was"


def test_another_schema_version(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    conn = open_writer(path)
    conn.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    conn.close()
    for opener in (open_reader, open_writer):
        with pytest.raises(UsageError, match=r"newer qcrd .*upgrade"):
            opener(path)
    old = tmp_path / "old.db"
    with sqlite3.connect(old) as raw:
        raw.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        raw.execute("PRAGMA user_version = -1")
        raw.execute("CREATE TABLE runs (id)")
    with pytest.raises(UsageError, match=r"older than this qcrd"):
        open_reader(old)


@pytest.mark.parametrize("code", [sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY_DIRECTORY])
def test_a_folder_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    path = tmp_path / "x.db"
    open_writer(path).close()
    real = sqlite3.connect

    def as_in_a_read_only_folder(database: object, **options: object) -> sqlite3.Connection:
        if "immutable=1" not in str(database):
            raise _error("unable to open database file", code)
        return real(database, **options)  # type: ignore[call-overload,no-any-return]

    monkeypatch.setattr(sqlite3, "connect", as_in_a_read_only_folder)
    with pytest.raises(QcrdError, match=r"cannot write to .*--db"):
        open_writer(path)
    conn = open_reader(path)
    assert conn.execute("SELECT count(*) FROM runs").fetchone()[0] == 0
    conn.close()
    Path(f"{path}-wal").write_bytes(b"something unread")
    with pytest.raises(QcrdError, match="cannot read"):
        open_reader(path)


def test_a_writer_waits_for_another_then_says_what_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.store.connect.BUSY_SECONDS", 0.05)
    path = tmp_path / "x.db"
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    with pytest.raises(QcrdError, match="locked by another program"):
        open_writer(path)
    holder.execute("ROLLBACK")
    holder.close()


def test_readers_work_from_another_thread(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    open_writer(path).close()
    conn = open_reader(path)
    found: list[int] = []
    thread = threading.Thread(target=lambda: found.append(conn.execute("SELECT count(*) FROM runs").fetchone()[0]))
    thread.start()
    thread.join()
    assert found == [0]
    conn.close()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_really_cannot_be_written(tmp_path: Path) -> None:
    path = tmp_path / "sub" / "x.db"
    path.parent.mkdir()
    open_writer(path).close()
    path.parent.chmod(0o555)
    try:
        conn = open_reader(path)
        assert conn.execute("SELECT count(*) FROM runs").fetchone()[0] == 0
        conn.close()
        with pytest.raises(QcrdError, match="cannot write"):
            open_writer(path.parent / "y.db")
    finally:
        path.parent.chmod(0o755)


def test_reading_loads_nothing_heavy(tmp_path: Path) -> None:
    open_writer(tmp_path / "x.db").close()
    code = f"""
import sys
from pathlib import Path
from engine.store import guarded, queries
from engine.store.rationales import queries as rationale_queries, questions
from engine.store.runs import browse, run
from engine.store.connect import open_reader, open_writer
open_reader(Path({str(tmp_path / "x.db")!r})).close()
open_writer(Path({str(tmp_path / "x.db")!r})).close()
heavy = {{"torch", "transformers", "litellm", "datasets", "pandas", "sqlite_utils", "pydantic"}} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (sqlite3.SQLITE_FULL, "disk full while writing"),
        (sqlite3.SQLITE_IOERR_SHORT_READ, "input/output error"),
        (sqlite3.SQLITE_READONLY_DIRECTORY, "cannot write"),
        (sqlite3.SQLITE_CORRUPT_INDEX, "damaged"),
        (sqlite3.SQLITE_BUSY_SNAPSHOT, "locked"),
    ],
)
def test_each_failure_is_one_line(code: int, words: str) -> None:
    line = str(explain(_error("message", code), Path("x.db"), "writing"))
    assert words in line
    assert "x.db" in line
    assert "\n" not in line


LINUX = """/dev/vda / ext4 rw 0 0
server:/home /home nfs4 rw,vers=4.2 0 0
/dev/vdb /home/me/scratch xfs rw 0 0
//nas/team /mnt/my\\040team cifs rw 0 0
me@host: /home/me/remote fuse.sshfs rw 0 0
none /sandbox 9p rw,trans=fd 0 0
C:\\134 /mnt/c 9p rw,aname=drvfs;path=C:\\,trans=fd 0 0
"""
APPLE = """/dev/disk3s1s1 on / (apfs, sealed, local, read-only, journaled)
/dev/disk3s5 on /System/Volumes/Data (apfs, local, journaled)
//me@nas._smb._tcp.local/team on /Volumes/team (on) (smbfs, nodev, nosuid)
"""


@pytest.mark.parametrize(
    ("mounts", "path", "kind"),
    [
        (LINUX, "/var/x.db", None),
        (LINUX, "/home/me/x.db", "nfs4"),
        (LINUX, "/home/me/scratch/x.db", None),
        (LINUX, "/homes/x.db", None),
        (LINUX, "/mnt/my team/x.db", "cifs"),
        (LINUX, "/home/me/remote/x.db", "fuse.sshfs"),
        (LINUX, "/sandbox/x.db", None),
        (LINUX, "/mnt/c/x.db", "9p"),
        (APPLE, "/Users/me/x.db", None),
        (APPLE, "/Volumes/team (on)/x.db", "smbfs"),
        ("", "/x.db", None),
    ],
)
def test_network_filesystems_are_recognised(mounts: str, path: str, kind: str | None) -> None:
    assert network_filesystem(Path(path), mounts) == kind


def test_a_network_filesystem_is_refused_with_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(QcrdError, match=r"nfs4.*--db FILE or QCRD_DB"):
        refuse_network_filesystem(Path("/home/me/x.db"), LINUX)
    monkeypatch.setattr(
        "engine.store.filesystem.mounted_filesystems", lambda: f"s:/x {tmp_path.resolve()} lustre rw 0 0"
    )
    with pytest.raises(QcrdError, match="lustre"):
        open_writer(tmp_path / "x.db")
    assert not (tmp_path / "x.db").exists()


def test_a_script_is_split_at_its_statements_only() -> None:
    script = "CREATE TABLE a (x); -- one; two\nCREATE TABLE b (\n  y TEXT DEFAULT ';'\n);\n"
    assert [s.split()[2] for s in statements(script)] == ["a", "b"]


def _error(message: str, code: int) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError(message)
    error.sqlite_errorcode = code
    return error
