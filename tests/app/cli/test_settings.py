"""`qcrd settings`."""

import json
from pathlib import Path

import pytest

from app.cli.main import _run


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
