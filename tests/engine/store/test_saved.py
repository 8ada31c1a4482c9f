"""Saved queries: shipped ones run, one's own are files that hide them, and nothing is lost by a second save."""

from pathlib import Path

import pytest

from engine.errors import UsageError
from engine.store.guarded import query
from engine.store.saved import find, folder, save, saved
from tests.seeded import build


@pytest.fixture(autouse=True)
def _own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


def test_the_shipped_ones_run_and_say_what_they_answer(tmp_path: Path) -> None:
    database = build(tmp_path / "x.db")
    every = saved()
    assert len(every) >= 5
    for one in every:
        assert one.shipped
        assert one.about
        assert query(database, one.sql).columns, one.name
    assert query(database, find("best-runs").sql).rows[0][1] == "arithmetic-qcrd"
    assert query(database, find("silenced-negatives").sql).rows


def test_ones_own_hide_shipped_ones_and_are_not_overwritten_unasked() -> None:
    path = save("best-runs", "SELECT 1", force=False)
    assert path == folder() / "best-runs.sql"
    assert (find("best-runs").sql, find("best-runs").shipped) == ("SELECT 1", False)
    with pytest.raises(UsageError, match="already"):
        save("best-runs", "SELECT 2", force=False)
    save("best-runs", "-- two\nSELECT 2", force=True)
    assert find("best-runs").about == "two"
    assert [p.name for p in folder().iterdir()] == ["best-runs.sql"]


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", "a b", "x" * 61, "a\n"])
def test_a_name_is_no_path(name: str) -> None:
    with pytest.raises(UsageError, match="name"):
        save(name, "SELECT 1", force=False)
    with pytest.raises(UsageError, match="best-runs"):
        find(name)


def test_an_empty_query_is_not_kept() -> None:
    with pytest.raises(UsageError, match="empty"):
        save("nothing", " \n", force=False)
