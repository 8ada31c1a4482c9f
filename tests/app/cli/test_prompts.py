"""try-prompt, misses, reparse: what is asked once serves the run, and reading again changes nothing in the database."""

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from app.cli.main import main
from tests.app.cli.cli_processes import work_here
from tests.engine.teacher.openai_server import serve

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Call:
    """Run a command in this process, in tmp_path: exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)
    work_here(monkeypatch)

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as caught:
            main(arguments)
        out = capsys.readouterr()
        return int(str(caught.value.code or 0)), out.out, out.err

    return run


def spec(folder: Path, url: str, more: str = "") -> str:
    (folder / "p.toml").write_text('system = "Think\\u001b[2J."\n')
    (folder / "s.toml").write_text(
        f'name = "mine"\n[data]\n{more}\n[data.arithmetic]\ntrain = 4\nvalidation = 1\ntest = 1\nunseen = 1\n'
        f'[teacher]\nmodel = "openai/scripted"\napi_base = "{url}"\nsamples = 2\nconcurrency = 1\nprompt = "p.toml"\n'
        '[vote]\ntie = "first"\n'
    )
    return "s.toml"


def reply(question: str, number: int) -> str:
    """No rule but one of the user's finds the answer of every other."""
    return "So \x1b]52;c;ZXZpbA==\x07 it is.\nResult is seven (7)" if number % 2 else "So it is. Answer: 8"


def test_a_trial_shows_everything_and_the_job_pays_for_the_rest_alone(tmp_path: Path, call: Call) -> None:
    with serve(reply=reply) as server:
        file = spec(tmp_path, server.url)
        code, out, _ = call("try-prompt", file, "--json", "--examples", "2", "--set", "teacher.input_usd_per_million=1",
                            "--set", "teacher.output_usd_per_million=2")  # fmt: skip
        found = json.loads(out)
        assert code == 0
        assert (found["calls"], found["reused"], found["style"]) == (2, 0, "chat")
        assert found["price_usd"] == pytest.approx(2 * (20 * 1e-6 + 10 * 2e-6))
        first, second = found["tried"]
        assert [m["role"] for m in first["messages"]] == ["system", "user"]
        assert first["messages"][1]["content"] == first["question"]
        assert (first["answer"], first["rule"], first["output_tokens"]) == ("8", "strict", 10)
        assert first["right"] is (float(first["gold"]) == 8)
        assert (second["answer"], second["rule"]) == ("7", "last-number")

        code, out, _ = call("try-prompt", file, "--examples", "3")
        assert code == 0
        assert "\x1b" not in out
        assert "\x07" not in out
        assert "by rule strict" in out
        assert "1 call, price unknown; answers in the database already: 2" in out
        assert len(server.requests) == 3
        code, out, err = call("sample", file)
        assert code == 0, err
        assert server.choices_sold == 5 * 2  # four training questions and one of validation, two samples each


def test_a_trial_that_ends_at_a_budget_is_given_again_and_not_resumed(tmp_path: Path, call: Call) -> None:
    with serve(reply=reply) as server:
        file = spec(tmp_path, server.url)
        code, _, err = call("try-prompt", file, "--examples", "2", "--set", "teacher.budget_calls=1")
        assert code == 130
        assert "raise the limit and give the command again" in err
        assert "qcrd resume" not in err
        code, _, err = call("resume", "last")
        assert code == 2
        assert "is a prompt trial" in err
        assert len(server.requests) == 1  # a worker would have bought the whole job


def test_misses_are_shown_and_another_rule_is_tried_without_a_call(tmp_path: Path, call: Call) -> None:
    with serve(reply=lambda q, n: "So it is.\nResult is seven" if n % 2 else "So it is. Answer: 8") as server:
        file = spec(tmp_path, server.url, 'answer = "number"')
        assert call("try-prompt", file, "--examples", "4")[0] == 0
        asked = len(server.requests)
        code, out, _ = call("misses", "--json")
        found = json.loads(out)
        assert code == 0
        assert found["rules"]["strict"] == found["rules"]["miss"] == 2
        assert found["tried"] == ["strict", "hash-marks", "the-answer-is", "boxed", "last-number"]
        assert found["missed"][0]["text"] == "So it is.\nResult is seven"
        assert found["missed"][0]["finish"] == "stop"
        code, out, _ = call("misses", "--limit", "1")
        assert "Result is seven" in out
        assert "1 more: --limit shows them" in out
        before = dump(tmp_path)
        number = r"data.answer_pattern=Result (is) seven"
        code, out, _ = call("reparse", "--json", "--set", number)
        assert json.loads(out)["after"]["rule/miss"] == 2, "what the group holds must be an answer of its kind"
        rule = "data.answer_pattern=it (?=is)|([0-9])|(?:Result is seven)"
        code, out, _ = call("reparse", "--json", "--set", rule, "--set", "selection.min_words=9")
        found = json.loads(out)
        assert found["questions"] == 4
        assert (found["before"]["rule/miss"], found["after"]["dropped/too short"]) == (2, 2)
        assert found["changed"] == []
        assert dump(tmp_path) == before
        assert len(server.requests) == asked


def test_another_rule_changes_votes(tmp_path: Path, call: Call) -> None:
    with serve(reply=lambda q, n: "So it is.\nResult: 7 of 9") as server:
        assert call("try-prompt", spec(tmp_path, server.url), "--examples", "2")[0] == 0
    code, out, err = call("reparse", "--set", r"data.answer_pattern=(?m)^Result: (.*)$")
    assert code == 0, err
    assert "the vote changes on 2 of 2 questions; nothing is stored" in out
    assert "9 -> 7" in out


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("training.lr=1", "stored samples can be tried with other"),
        ("data.answer_pattern=x", "0 groups"),
        ("data.answer_patern=(x)", "did you mean answer_pattern"),
    ],
)
def test_what_cannot_be_tried_is_said(tmp_path: Path, call: Call, given: str, said: str) -> None:
    with serve(reply=reply) as server:
        call("try-prompt", spec(tmp_path, server.url), "--examples", "1")
    code, _, err = call("reparse", "--set", given)
    assert code == 2
    assert said in err


def test_no_teacher_no_prompt(tmp_path: Path, call: Call) -> None:
    code, _, err = call("try-prompt", spec(tmp_path, "http://127.0.0.1:1/v1"), "--set", "method.name=finetune")
    assert code == 2
    assert "asks no teacher" in err
    assert not (tmp_path / "experiments.db").exists()


def dump(folder: Path) -> list[str]:
    with closing(sqlite3.connect(folder / "experiments.db")) as conn:
        return list(conn.iterdump())
