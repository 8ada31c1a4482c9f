"""`qcrd upgrade`: a database of an older version is readable afterwards, and whole."""

from pathlib import Path

import pytest

from app.cli.main import _run
from engine.store.connect import open_writer
from engine.store.schema import migrations
from engine.store.schema.tables import SCHEMA_VERSION, STEPS


def test_an_older_database_is_named_upgraded_and_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    database = tmp_path / "experiments.db"
    with monkeypatch.context() as before:  # as the version before would have made it
        before.setattr(migrations, "STEPS", dict(list(STEPS.items())[:-1]))
        before.setattr(migrations, "SCHEMA_VERSION", SCHEMA_VERSION - 1)
        open_writer(database).close()
    assert _run(["runs", "--db", str(database)]) == 2
    assert "`qcrd upgrade" in capsys.readouterr().err
    assert _run(["upgrade", "--db", str(database)]) == 0
    assert (
        f"was of schema version {SCHEMA_VERSION - 1}, and is now of schema version {SCHEMA_VERSION}"
        in capsys.readouterr().err
    )
    assert _run(["runs", "--db", str(database)]) == 0
    capsys.readouterr()
    assert _run(["upgrade", "--db", str(database)]) == 0
    assert f"is of schema version {SCHEMA_VERSION}" in capsys.readouterr().err


def test_nothing_is_made_where_there_is_no_database(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(["upgrade", "--db", str(tmp_path / "x.db")]) == 2
    assert "there is no database at" in capsys.readouterr().err
    assert not (tmp_path / "x.db").exists()
