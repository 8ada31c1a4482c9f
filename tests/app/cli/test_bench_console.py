"""`qcrd bench console`, once and on a small database: the table, the goals, and one line of JSON."""

import json
from pathlib import Path

import pytest

from app.cli.main import main


def test_each_goal_has_its_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sizes = "--runs 6 --points 2000 --long-points 1000 --rationales 200".split()
    with pytest.raises(SystemExit) as ended:
        main(["bench", "console", "--quick", "--folder", str(tmp_path), *sizes])
    assert ended.value.code == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:3] == ["what", "goal", "measured"]
    assert len(lines) == 13
    assert all("✓" in line or "✗" in line for line in lines[1:-1])
    found = json.loads(lines[-1])
    assert found["bench"] == "console"
    assert found["heavy"] == []
    assert set(found["keys"]) == {"list", "rationales", "live"}
    assert found["memory"]["greatest"] >= found["memory"]["at_the_end"] > 0
    assert [path.suffix for path in tmp_path.iterdir() if path.suffix == ".db"] == [".db"]
