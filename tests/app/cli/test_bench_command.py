"""`qcrd bench`: a table, then one line of JSON."""

import json

import pytest

from app.cli.main import main


def test_the_last_line_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["bench", "generate", "--shape", "tiny", "--batch", "2", "--repeats", "1", "--device", "cpu"]
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:2] == ["arm", "ms"]
    found = json.loads(lines[-1])
    assert found["bench"] == "generate"
    assert found["arms"]["ours"]["seconds"]["q1"] <= found["arms"]["ours"]["seconds"]["q3"]


def test_an_unknown_shape_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["bench", "step", "--shape", "huge"])
    assert ended.value.code == 2
    assert "tiny" in capsys.readouterr().err
