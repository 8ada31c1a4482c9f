"""qcrd evaluate: its table and rows, what it says beside them, and what it refuses; drawn in this process."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from app.cli.main import main
from engine.errors import Interrupted
from engine.runs import evaluation_client
from engine.runs.evaluation import carry_out
from engine.runs.evaluation_client import Made, Step, Wanted
from tests.engine.runs.test_evaluation import spec_of
from tests.engine.tiny_judges import ranking_run
from tests.engine.tiny_learned import make

Called = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Called:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("QCRD_DB", raising=False)

    def evaluate(
        database: Path, wanted: Wanted, say: Callable[[Step], None], stop: Callable[[], int] = lambda: 0
    ) -> Made:
        return carry_out(database, wanted, say, lambda: None)

    monkeypatch.setattr(evaluation_client, "evaluate", evaluate)

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(["evaluate", *arguments])
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return run


def test_a_count_and_weighted_votes_are_told_to_people_and_programs(tmp_path: Path, call: Called) -> None:
    database, _, _ = make(tmp_path, spec_of())
    ranker = ranking_run(database, spec_of())
    code, out, err = call("1", "--samples", "3", "--limit", "6")
    assert code == 0
    lines = out.splitlines()
    assert lines[0].split() == ["samples", "count", "questions"]
    assert [line.split()[0] for line in lines[1:]] == ["1", "2", "3"]
    assert "accuracy of votes over 6 of 6 questions, with 95 % intervals" in err
    assert "the same with --samples 6 draws 3 more of each" in err
    code, out, err = call("1", "--samples", "3", "--limit", "6", "--vote", "asc", "--weight", "1+2s", "--json")
    assert f"judged by run {ranker}" in err
    found = json.loads(out)
    assert [(row["samples"], row["vote"], row["weight"], row["judge"]) for row in found] == [
        (n, "asc", "1+2s", ranker) for n in (1, 2, 3)
    ]
    assert found[0]["difference"] == 0
    for row in found:
        assert row["difference"] == pytest.approx(row["weighted"] - row["count"])
        assert row["difference_low"] <= row["difference"] <= row["difference_high"]
    code, out, _ = call("1", "-n", "2", "--limit", "6", "--vote", "discriminator")
    assert "discriminator, weight s" in out
    assert code == 0


def test_what_it_refuses(tmp_path: Path, call: Called, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, spec_of("dss"))
    for arguments, words in (
        (("1", "--vote", "asc"), "no ranking model was trained on the data of run 1"),
        (("1", "--vote", "discriminator"), "run 1 is of dss: name another with --ranking RUN2"),
        (("1", "--vote", "asc", "--weight", "2"), "--weight 2: one of 1 s 1+s 1+2s"),
        (("7",), "there is no run '7'"),
    ):
        code, out, err = call(*arguments)
        assert (code, out) == (2, "")
        assert words in err

    def stopped(*_: object) -> Made:
        raise Interrupted("stopped; what was drawn is stored, the same command goes on")

    monkeypatch.setattr(evaluation_client, "evaluate", stopped)
    code, out, err = call("1")
    assert (code, out) == (130, "")
    assert "the same command goes on" in err
