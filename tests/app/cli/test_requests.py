"""qcrd requests: by state, of one run or all, and one request whole: the same facts as on the Teacher screen."""

import json
from pathlib import Path

import pytest

from app.cli.main import main
from tests.seeded import build
from tests.seeded_ledger import ledger


@pytest.fixture
def call(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    """Run `qcrd requests …`; its stdout and stderr."""
    monkeypatch.setenv("QCRD_DB", str(ledger(build(tmp_path / "x.db"))))

    def run(*arguments: str, code: int = 0) -> tuple[str, str]:
        with pytest.raises(SystemExit) as ended:
            main(["requests", *arguments])
        assert ended.value.code == code
        return capsys.readouterr()

    return run


def test_by_state_of_a_run_or_all(call) -> None:
    def ids(*arguments: str) -> list[int]:
        return [row["request"] for row in json.loads(call(*arguments, "--json")[0])]

    assert ids("8", "--state", "failed") == [41]
    assert ids("8", "--state", "sent") == [58, 59, 59, 60]
    assert ids("all", "--in-doubt") == [61]
    assert len(set(ids("all"))) == 64
    out, err = call("6", "--state", "in_doubt")
    assert "train-0000" in out
    assert "they can have cost $0.0007 at most" in err
    assert "run 1 has no requests failed" in call("1", "--state", "failed")[1]
    assert "choose one" in call("8", "--state", "sent", "--in-doubt", code=2)[1]


def test_one_whole(call) -> None:
    text, _ = call("--request", "5")
    assert "try 1" in text
    assert "timeout: no answer within 60 s" in text
    assert "Solve the problem step by step." in text
    assert '"id": "chatcmpl-5"' in text
    found = json.loads(call("--request", "5", "--json")[0])
    assert [m["role"] for m in found["messages"]] == ["system", "user", "assistant", "user"]
    assert json.loads(found["attempts"][1]["raw"])["id"] == "chatcmpl-5"
    assert len(call("--request", "5", "--csv")[0].splitlines()) == 3
    assert "there is no request 999" in call("--request", "999", code=2)[1]
