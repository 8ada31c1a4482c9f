"""runs --where, star, archive, tag, note: what the command line says of runs is what the database holds."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from app.cli.main import main
from tests.seeded import build

Call = Callable[..., tuple[str, str, int]]


@pytest.fixture
def call(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Call:
    """Run a command in this process on a seeded database; stdout, stderr, exit code."""
    monkeypatch.setenv("QCRD_DB", str(build(tmp_path / "experiments.db")))

    def run(*arguments: str) -> tuple[str, str, int]:
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        out, err = capsys.readouterr()
        return out, err, int(str(ended.value.code or 0))

    return run


def listed(call: Call, *flags: str) -> list[int]:
    out, err, code = call("runs", "--json", *flags)
    assert code == 0, err
    return [row["id"] for row in json.loads(out)]


def test_where_and_sort(call: Call) -> None:
    assert listed(call, "--where", "method=qcrd acc>0.5") == [8, 6, 4]
    assert listed(call, "--where", "method=qcrd acc>0.5", "--sort", "acc") == [6, 4, 8]
    assert listed(call, "--where", "method=qcrd", "--sort", "explain", "--reverse")[:2] == [7, 8]
    assert listed(call, "--sort", "method.name", "--reverse", "--limit", "2") == [2, 1]
    out, err, code = call("runs", "--where", "metod=qcrd")
    assert (out, code) == ("", 2)
    assert err == "error: filter: metod=qcrd: no run has a 'metod': did you mean method?\n"
    out, err, code = call("runs", "--where", "acc>0.99")
    assert (out, err, code) == ("", "none of 9 runs\n", 0)


def test_marks_are_set_shown_and_taken_back(call: Call) -> None:
    assert call("star", "4", "arithmetic-dss") == ("", "", 0)
    assert call("tag", "4", "last", "-a", "paper", "--add", "#fig2") == ("", "", 0)
    assert call("note", "4", "the best so far [/]\x1b[2J") == ("", "", 0)
    assert call("archive", "1") == ("", "", 0)
    assert listed(call, "--where", "star") == [4, 2]
    assert listed(call, "--where", "tag:paper tag~FIG") == [9, 4]
    assert 1 not in listed(call)
    assert listed(call, "--where", "archived") == [1]
    assert 1 in listed(call, "--archived")
    assert call("note", "4")[0] == "the best so far [/][2J\n"
    assert "★ fig2 paper the best so far" in call("show", "4")[0]
    found = json.loads(call("show", "4", "--json")[0])["run"]
    assert (found["star"], found["archived"], found["tags"]) == (1, 0, "fig2 paper")
    out, err, _ = call("runs")
    assert re.search(r"★ fig2 paper", out)
    assert err == "1 archived: --archived shows them too\n"
    call("star", "4", "--undo")
    call("tag", "4", "--remove", "PAPER")
    call("note", "4", "")
    call("archive", "1", "--undo")
    assert listed(call, "--where", "star") == [2]
    assert listed(call, "--where", "tag:paper") == [9]
    assert 1 in listed(call)
    assert call("note", "4")[0] == ""


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("tag", "4"), "name a tag"),
        (("tag", "4", "-a", "two words"), "is no tag"),
        (("tag", "4", "-a", ""), "is no tag"),
        (("star", "77"), "there is no run '77'"),
        (("note", "4", "x" * 4001), "4001 characters long: at most 4000"),
    ],
)
def test_what_is_wrong_is_said(call: Call, arguments: tuple[str, ...], said: str) -> None:
    out, err, code = call(*arguments)
    assert (out, code) == ("", 2)
    assert said in err


def test_the_change_counter_grows_with_each_change(call: Call) -> None:
    for arguments in (("star", "4"), ("star", "5"), ("tag", "4", "-a", "x")):
        call(*arguments)
    out, _, _ = call("query", "SELECT run_id, change FROM run_marks ORDER BY change", "--json")
    assert json.loads(out) == [{"run_id": 5, "change": 2}, {"run_id": 4, "change": 3}]
