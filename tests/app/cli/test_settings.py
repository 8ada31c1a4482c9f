"""`qcrd settings`."""

import json
import sqlite3
from pathlib import Path

import pytest

from app.cli.main import _run
from tests.seeded import build


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("QCRD_CONFIG", str(tmp_path))
    return tmp_path / "console.json"


def test_shown_set_and_set_back(config: Path, capsys) -> None:
    assert _run(["settings", "--json"]) == 0
    found = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert found["theme"]["value"] == "dark"
    assert found["keys.live.pause"]["value"] == "p"
    config.write_text('{"theirs": 1, "runs": {"sort": "name"}}')
    assert _run(["settings", "theme", "ansi"]) == 0
    assert _run(["settings", "keys.live.pause", "P,f6"]) == 0
    assert json.loads(config.read_text())["theirs"] == 1  # another version's
    assert json.loads(config.read_text())["runs"] == {"sort": "name"}
    assert json.loads(config.read_text())["keys"] == {"live.pause": "P,f6"}
    capsys.readouterr()
    assert _run(["settings", "keys.live.pause"]) == 0
    out, err = capsys.readouterr()
    assert "P F6" in out
    assert str(config) in err
    assert _run(["settings", "keys.live.pause", ""]) == 0
    assert _run(["settings", "theme", ""]) == 0
    assert json.loads(config.read_text())["keys"] == {}
    assert json.loads(config.read_text())["look"]["theme"] == "dark"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["them", "light"], "there is no setting 'them': did you mean theme?"),
        (["live.smoth"], "did you mean live.smooth?"),
        (["theme", "ligth"], "it is one of dark, light, safe-dark, safe-light, ansi, did you mean light?"),
        (["keys.live.pause", "x"], "live.pause: x is live.stop already; p stands"),
        (["keys.live.pause", "ctrl+s"], "terminals take it"),
        (["repaints", "60"], "it is one of 4, 2, 1"),
    ],
)
def test_asked_wrongly_is_one_line_and_nothing_is_written(config: Path, capsys, words: list[str], told: str) -> None:
    assert _run(["settings", *words]) == 2
    out, err = capsys.readouterr()
    assert told in err
    assert not out
    assert len(err.splitlines()) == 1
    assert not config.exists()


def test_a_broken_file_is_not_overwritten(config: Path, capsys) -> None:
    config.write_text('{"keys": {"live.pause": "P",}}')
    assert _run(["settings", "theme", "light"]) == 2
    assert "mend or delete it" in capsys.readouterr().err
    assert config.read_text() == '{"keys": {"live.pause": "P",}}'


def test_a_checkpoint_can_be_asked_for(tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    database = build(tmp_path / "experiments.db")
    assert _run(["checkpoint", "4", "--db", str(database)]) == 2
    assert "run 4 is done: there is nothing to checkpoint" in capsys.readouterr().err
    monkeypatch.setattr("app.cli.attach.worker_is_gone", lambda live: False)
    assert _run(["checkpoint", "8", "--db", str(database)]) == 0
    assert "run 8 writes a checkpoint" in capsys.readouterr().err
    con = sqlite3.connect(database)
    assert con.execute("SELECT run_id, name FROM orders").fetchall() == [(8, "checkpoint")]
    con.close()
