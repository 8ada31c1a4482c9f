"""docs/schema.md says what is there, and its queries run."""

import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.spec.run import RunSpec
from engine.store.connect import open_reader
from engine.store.guarded import query
from engine.store.runs.run import create_run

DOC = (Path(__file__).parents[4] / "docs" / "schema.md").read_text(encoding="utf-8")
QUERIES = re.findall(r"```sql\n(.*?)```", DOC, re.DOTALL)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "x.db"
    create_run(path, RunSpec())
    return path


@pytest.fixture
def conn(path: Path) -> Iterator[sqlite3.Connection]:
    conn = open_reader(path)
    yield conn
    conn.close()


def test_there_are_examples() -> None:
    assert len(QUERIES) >= 12


@pytest.mark.parametrize("sql", QUERIES)
def test_every_example_runs(path: Path, sql: str) -> None:
    assert query(path, sql).columns


@pytest.mark.parametrize(
    "view",
    [
        "run_summary",
        "metric_points",
        "rationale_pairs",
        "teacher_samples",
        "teacher_requests",
        "teacher_spend",
        "test_answers",
        "drawn_votes",
    ],
)
def test_the_columns_of_each_view_are_named(conn: sqlite3.Connection, view: str) -> None:
    section = DOC.partition(f"### {view}\n")[2].partition("\n#")[0]
    named = [c.strip() for row in re.findall(r"^\| ([^|]+) \|", section, re.MULTILINE) for c in row.split(",")]
    assert sorted(set(named) - {"column"}) == sorted(r["name"] for r in conn.execute(f"PRAGMA table_info({view})"))


def test_every_table_is_named(conn: sqlite3.Connection) -> None:
    section = DOC.partition("## Tables\n")[2]
    named = {c.strip() for row in re.findall(r"^\| ([^|]+) \|", section, re.MULTILINE) for c in row.split(",")} - {
        "table"
    }
    tables = {r["name"] for r in conn.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    assert named == {t for t in tables if not t.startswith(("sqlite_", "_sqlite"))}


@pytest.mark.parametrize(
    ("view", "columns"),
    [
        (
            "run_summary",
            "predict_accuracy explain_accuracy predict_accuracy_low explain_accuracy_high status method seconds",
        ),
        ("metric_points", "run_id name step value"),
        (
            "rationale_pairs",
            "run_id iteration step question positive negative positive_quality negative_cross_entropy active",
        ),
        ("teacher_samples", "run_id text"),
    ],
)
def test_what_was_promised_stays(conn: sqlite3.Connection, view: str, columns: str) -> None:
    assert set(columns.split()) <= {r["name"] for r in conn.execute(f"PRAGMA table_info({view})")}
