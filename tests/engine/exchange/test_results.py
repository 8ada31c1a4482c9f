"""A query's rows in a file: each form reads back as what was found; nothing is overwritten or left half written."""

import csv
import json
import threading
from pathlib import Path

import pyarrow.parquet
import pytest

from engine.errors import UsageError
from engine.exchange.results import export, unique
from engine.spec.run import RunSpec
from engine.store.runs.run import create_run

SQL = (
    "SELECT 1 AS whole, 0.5 AS part, 'a,\"b' AS text, NULL AS none, x'ff' AS bytes, 1 AS mixed, 1 AS whole"
    " UNION ALL SELECT 2, 3, '', NULL, NULL, 'two', 4 ORDER BY 1"
)
NAMES = ["whole", "part", "text", "none", "bytes", "mixed", "whole_2"]


@pytest.fixture
def database(tmp_path: Path) -> Path:
    create_run(tmp_path / "x.db", RunSpec())
    return tmp_path / "x.db"


def test_each_form_holds_the_rows(database: Path, tmp_path: Path) -> None:
    files = {end: tmp_path / f"out.{end}" for end in ("csv", "json", "jsonl", "parquet")}
    for path in files.values():
        assert export(database, SQL, path, force=False) == 2
    rows = [[1, 0.5, 'a,"b', None, "ff", 1, 1], [2, 3, "", None, None, "two", 4]]
    expected = [dict(zip(NAMES, row, strict=True)) for row in rows]
    assert json.loads(files["json"].read_text()) == expected
    assert [json.loads(line) for line in files["jsonl"].read_text().splitlines()] == expected
    with files["csv"].open(newline="") as file:
        assert list(csv.reader(file)) == [NAMES, *([str(v if v is not None else "") for v in row] for row in rows)]
    table = pyarrow.parquet.read_table(files["parquet"])
    assert [str(t) for t in table.schema.types] == ["int64", "double", "string", "int64", "binary", "string", "int64"]
    found = table.to_pylist()
    assert found[0] == expected[0] | {"bytes": b"\xff", "mixed": "1"}
    assert found[1] == expected[1]
    assert sorted(p.name for p in tmp_path.iterdir() if p.name.startswith((".", "out"))) == sorted(
        p.name for p in files.values()
    )


@pytest.mark.parametrize("end", ["csv", "json", "jsonl", "parquet"])
def test_no_rows_are_a_file_too(database: Path, tmp_path: Path, end: str) -> None:
    path = tmp_path / f"none.{end}"
    assert export(database, "SELECT 1 AS one WHERE 0", path, force=False) == 0
    assert path.exists()


def test_what_is_refused(database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there = tmp_path / "there.csv"
    there.write_text("mine")
    with pytest.raises(UsageError, match="already"):
        export(database, "SELECT 1", there, force=False)
    with pytest.raises(UsageError, match="must end in"):
        export(database, "SELECT 1", tmp_path / "x.txt", force=False)
    with pytest.raises(UsageError, match="its folder"):
        export(database, "SELECT 1", tmp_path / "no" / "x.csv", force=False)
    with pytest.raises(UsageError, match="no such column"):
        export(database, "SELECT x", there, force=True)
    stopped = threading.Event()
    stopped.set()
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"
    with pytest.raises(UsageError, match="stopped"):
        export(database, endless, there, force=True, stop=stopped)
    monkeypatch.setattr("engine.exchange.results.MOST_BYTES", 100)
    with pytest.raises(UsageError, match="narrow it"):
        export(database, "SELECT hex(randomblob(60)) UNION ALL SELECT hex(randomblob(60))", there, force=True)
    assert there.read_text() == "mine"
    assert export(database, "SELECT 1", there, force=True) == 1
    assert there.read_text() == "1\n1\n"


def test_no_name_is_there_twice() -> None:
    assert unique(["a", "a", "a_2", "a"]) == ["a", "a_2", "a_2_2", "a_3"]
