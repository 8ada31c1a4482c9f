"""qcrd try and qcrd export in this process, on a run that has a student."""

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from app.cli.main import main
from tests.engine.tiny_learned import QUESTION, make, spec_of

Called = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Called:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("QCRD_DB", raising=False)

    def run(*arguments: str, typed: str = "") -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return run


def test_a_question_is_answered_for_people_and_for_programs(tmp_path: Path, call: Called) -> None:
    make(tmp_path, spec_of({}))
    code, out, err = call("try", "last", QUESTION)
    assert code == 0
    rows = out.splitlines()
    assert [row.split()[0] for row in rows] == ["predict", "explain", "answer", "gold"]
    assert rows[3].split()[1:] == ["5", "·", "test-0"]
    assert "loading the student of step 7" in err
    code, out, _ = call("try", "1", "--id", "test-0", "--json")
    found = json.loads(out)
    assert (found["example"], found["gold"], found["question"], found["step"]) == ("test-0", "5", QUESTION, 7)
    assert found["explain"]["text"] == rows[1].removeprefix("explain").strip()
    assert 0 <= found["explain"]["quality"] <= 1
    assert found["predict"]["right"] in (True, False)


def test_every_line_of_stdin_is_a_question_and_answers_can_be_drawn(tmp_path: Path, call: Called) -> None:
    make(tmp_path, spec_of({}, "single-task"))
    code, out, err = call("try", "1", "--samples", "5", "--jsonl", typed="ben has two qwerty\n\nhe finds 3\n")
    assert code == 0
    first, second = map(json.loads, out.splitlines())
    assert second["question"] == "he finds 3"
    assert first["example"] is None
    assert sum(one["count"] for one in first["predict"]["given"]) == 5
    assert "explain" not in first  # the method has no such head
    assert err.count("loading the student") == 1
    assert "1 of 6 tokens of the question are unknown" in err
    code, out, _ = call("try", "1", "ben has two", "-n", "5")
    assert out.startswith("predict ")
    assert " of 5  " in out


def test_what_a_student_writes_is_cleaned(tmp_path: Path, call: Called, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, spec_of({}))
    hostile = "\x1b[2J[/]\x9b31m \u202e7"
    monkeypatch.setattr("engine.students.t5.T5Student.stream", lambda self, prompt, max_new: iter([hostile]))
    code, out, _ = call("try", "1", QUESTION)
    assert code == 0
    assert "[/]" in out
    assert not [c for c in out if (ord(c) < 32 and c != "\n") or 0x7F <= ord(c) < 0xA0 or c == "\u202e"]


def test_a_student_is_exported_and_what_is_wrong_is_a_line(tmp_path: Path, call: Called) -> None:
    make(tmp_path, spec_of({}))
    code, out, _ = call("export", "1", "out")
    assert (code, out.strip()) == (0, str(tmp_path / "out"))
    assert (tmp_path / "out" / "model.safetensors").is_file()
    code, _, err = call("export", "1", "out")
    assert code == 2
    assert "is there already" in err
    assert call("export", "1", "out", "--force")[0] == 0
    code, _, err = call("try", "7", "x")
    assert (code, err.count("\n")) == (2, 1)
    code, _, err = call("try", "1", "x", "--id", "test-0")
    assert (code, "either" in err) == (2, True)
