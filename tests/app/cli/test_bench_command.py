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


def test_a_teacher_is_measured_with_its_ledger_and_without(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["bench", "teacher", "--calls", "8", "--together", "4", "--delay-ms", "1"])
    assert ended.value.code == 0
    lines = capsys.readouterr().out.splitlines()
    assert "calls/s" in lines[0]
    assert "CPU ms a call" in lines[0]
    found = json.loads(lines[-1])
    assert (found["bench"], found["calls"], found["together"]) == ("teacher", 8, 4)
    assert list(found["arms"]) == ["ledger", "no ledger", "litellm", "httpx"]
    assert all(arm["calls_per_second"] > 0 for arm in found["arms"].values())
    assert found["arms"]["no ledger"]["to_no_ledger"]["wall"] == 1
    assert found["ledger_to_none"] == found["arms"]["ledger"]["to_no_ledger"]
    assert found["memory"]["grown"] == found["memory"]["at_the_end"] - found["memory"]["at_a_tenth"]


def test_an_unknown_shape_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["bench", "step", "--shape", "huge"])
    assert ended.value.code == 2
    assert "tiny" in capsys.readouterr().err
