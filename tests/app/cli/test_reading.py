"""runs, show, rationales, metrics, logs, query: the same facts for people and for programs, nothing hostile in them."""

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from app.cli.attach import look
from app.cli.main import main
from app.cli.progress import Lines
from app.cli.tables import RUNS
from engine.records import Dataset, Example, Prediction, Rationale, Visit, Voted
from engine.spec.run import RunSpec
from engine.store.queries import FAILED
from engine.store.recorder import Recorder
from engine.store.runs.live import LiveReader
from engine.store.runs.run import claim, create_run
from engine.store.writer import Writer
from screens.drawing.stages import stage_table
from tests.app.cli.cli_processes import ROOT, environment
from tests.seeded import build

HOSTILE = "\x1b[2J[/]\x1b]52;c;ZXZpbA==\x07[@click=app.quit]x[/]\u202eevil\x9b31m\r"
BAD = ("\x1b", "\x07", "\u202e", "\x9b", "\r")
READING = ["runs", "show", "rationales", "rationales --question q1", "metrics", "metrics last loss/total", "logs"]
READING += [
    "rationales --source minority --quality <0.3",
    "rationales --text wrong",
    "compare last",
    "query SELECT\x20*\x20FROM\x20texts",
]


@pytest.fixture(scope="module")
def database(tmp_path_factory) -> Path:
    """One finished run whose every text is hostile."""
    path = tmp_path_factory.mktemp("reading") / "experiments.db"
    run_id = create_run(path, RunSpec(name=f"mine {HOSTILE}"))
    session = claim(path, run_id)
    example = Example("q1", f"how many? {HOSTILE}", "9")
    positive = Rationale(0, "q1", f"right {HOSTILE}", "9", "strict", "positive", "teacher")
    negative = Rationale(1, "q1", f"wrong {HOSTILE}", f"17 {HOSTILE}", "strict", "negative", "minority", slot=1)
    voted = Voted(example, "9", 4, 5, False, (positive,), (negative,))
    with Writer(path) as writer:
        recorder = Recorder(writer, run_id)
        recorder.dataset(Dataset("d", {"train": (example,), "validation": (), "test": ()}, "f" * 64))
        recorder.declare_stages([("data", ""), ("train", "steps")])
        recorder.stage("train", state="done", done=10, total=10)
        recorder.votes([voted], {"q1"}, {"q1": True})
        visits = [
            Visit(0, "q1", 0.94, 0.31, 1.0, True, True, True),
            Visit(1, "q1", 0.11, 4.1, 0.0, True, False, True),
        ]
        recorder.visits(10, 1, visits)
        recorder.points(1, {"loss/total": 2.0, "accuracy/explain": float("nan")})
        recorder.points(2, {"loss/total": 1.0})
        recorder.predictions("test", "explain", 10, [Prediction("q1", HOSTILE, "9", True)])
        recorder.score("test", "student", "explain", 10, 64, 100)
        recorder.fact("vote", "ties", 6)
        recorder.log("error", f"it said {HOSTILE}", "data", detail=f"Traceback {HOSTILE}")
        recorder.progress(10, 1)
        recorder.status("done")
        recorder.end_session(session, "done")
    return path


@pytest.fixture
def call(database: Path, capsys, monkeypatch):
    """Run a reading command in this process; its stdout."""
    monkeypatch.setenv("QCRD_DB", str(database))

    def run(command: str, *flags: str) -> str:
        with pytest.raises(SystemExit) as ended:
            main(
                [*command.split(" "), *flags] if " " in command and "SELECT" not in command else _words(command, flags)
            )
        out, err = capsys.readouterr()
        assert ended.value.code == 0, err
        return out

    return run


def _words(command: str, flags: tuple[str, ...]) -> list[str]:
    name, _, rest = command.partition(" ")
    return [name, *([rest] if rest else []), *flags]


@pytest.mark.parametrize("command", READING)
def test_each_form_has_the_same_rows_and_no_control_characters(call, command: str) -> None:
    table = call(command)
    document = json.loads(call(command, "--json"))
    lines = [json.loads(line) for line in call(command, "--jsonl").splitlines()]
    text = call(command, "--csv")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert lines == (document if isinstance(document, list) else [document])
    if isinstance(document, list):
        assert len(rows) == len(document) > 0
        assert list(rows[0]) == list(document[0])
    for out in (table, text, call(command, "--json"), call(command, "--jsonl")):
        assert out.strip()
        for bad in BAD:
            assert bad not in out


def test_an_accuracy_on_validation_is_told_apart_from_one_on_test(call) -> None:
    column = next(c for c in RUNS if c.title == "on")
    assert [column.value({"accuracy_split": split}) for split in ("validation", "test", None)] == ["val", "test", "–"]
    header, row = call("runs").splitlines()
    assert row.split().count("test") == header.split().count("on") == 1


def test_progress_tells_questions_that_failed_from_those_that_are_done(tmp_path, capsys) -> None:
    path = tmp_path / "experiments.db"
    run_id = create_run(path, RunSpec())
    claim(path, run_id)
    with Writer(path) as writer:
        recorder = Recorder(writer, run_id)
        recorder.declare_stages([("sample", "questions"), ("train", "steps")])
        recorder.stage("sample", state="running", done=359, total=2500)
        for failed, words in ((0, "sample 359/2500 questions"), (3, "sample 359/2500 questions, 3 failed")):
            recorder.fact("sample", FAILED, failed)
            recorder.flush()
            live = look(path, LiveReader(run_id))
            shown = Lines()
            shown.update(live)
            assert capsys.readouterr().err.splitlines()[-1].endswith(words)
            assert ("3 failed" in str(stage_table(live))) == (failed == 3)


def test_json_keeps_the_raw_text(call) -> None:
    (pair,) = json.loads(call("rationales", "--json"))
    assert pair["positive"] == f"right {HOSTILE}"
    assert pair["negative_answer"] == f"17 {HOSTILE}"


def test_tables_show_intervals_and_markup_as_it_is(call) -> None:
    assert "0.64 ±0.10" in call("runs")
    shown = call("show")
    assert "0.64 ±0.10" in shown
    assert "ties" in shown
    pair = call("rationales")
    assert "s 0.94" in pair
    assert "silent" in pair
    assert "[@click=app.quit]x[/]" in pair
    assert "wrong" in call("rationales --question q1")
    assert "Traceback" in call("logs")


def test_what_is_no_number_is_a_dash_and_null(call) -> None:
    row = next(line for line in call("metrics").splitlines() if line.startswith("accuracy/explain"))
    assert row.split() == ["accuracy/explain", "1", "–"]
    nan = [row for row in json.loads(call("metrics", "--json")) if row["name"] == "accuracy/explain"]
    assert nan == [{"name": "accuracy/explain", "step": 1, "value": None, "special": "nan"}]


def test_named_metrics_are_all_their_points(call) -> None:
    assert [row["value"] for row in json.loads(call("metrics last loss/total", "--json"))] == [2.0, 1.0]
    assert [row["value"] for row in json.loads(call("metrics last loss/total", "--json", "--limit", "1"))] == [1.0]


def test_a_query_says_where_it_was_cut_and_keeps_columns_apart(call, capsys) -> None:
    sql = "query SELECT 1 AS a, 2 AS a, x'ff' AS b, NULL AS c UNION ALL SELECT 3, 4, 5, 6"
    assert json.loads(call(sql, "--json", "--limit", "1")) == [{"a": 1, "a_2": 2, "b": "ff", "c": None}]
    assert call("query SELECT 1 AS one WHERE 0", "--csv") == "one\n"


def test_a_query_shows_all_digits_and_may_come_from_stdin(call, monkeypatch) -> None:
    assert "0.123456789" in call("query SELECT 0.123456789 AS x, 100000.5 AS y")
    assert "100000.5" in call("query SELECT 0.123456789 AS x, 100000.5 AS y")
    monkeypatch.setattr("sys.stdin", io.StringIO("SELECT 1 AS one,\n 2 AS two"))
    assert json.loads(call("query -", "--json")) == [{"one": 1, "two": 2}]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["show", "7"], "there is no run '7'"),
        (["show", "mime"], "there is no run 'mime'"),
        (["metrics", "last", "loss/totl"], "loss/total"),
        (["rationales", "--question", "zz"], "no rationales of a question 'zz'"),
        (["rationales", "--quality", "good"], "write quality=0.2..0.6"),
        (["rationales", "-q", "q1", "--flagged"], "leave it away to look for flagged=yes"),
        (["annotate", "last", "q1"], "nothing to remark"),
        (["annotate", "last", "q1", "7", "--flag"], "no rationale 7"),
        (["query", "DROP TABLE runs"], "a query can only read"),
        (["query", "SELECT nam FROM runs"], "no such column"),
        (["query"], "--saved NAME"),
        (["query", "--saved", "mime"], "no saved query 'mime'"),
        (["query", "SELECT 1", "--to", "x.txt"], "must end in .csv"),
        (["runs", "--json", "--csv"], "--json and --csv: choose one"),
        (["logs", "-f", "--csv"], "--jsonl"),
        (["runs", "--limit", "0"], "--limit"),
        (["compare", "last", "--overlap"], "--overlap wants two runs or more"),
        (["rums"], "No such command 'rums'"),
        (["runs", "--db", "/nowhere/x.db"], "no database at /nowhere/x.db"),
    ],
)
def test_asked_wrongly_is_one_line_and_exit_code_2(database: Path, capsys, monkeypatch, arguments, words) -> None:
    monkeypatch.setenv("QCRD_DB", str(database))
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    out, err = capsys.readouterr()
    assert ended.value.code == 2
    assert out == ""
    assert len(err.splitlines()) == 1
    assert err.startswith("error: ")
    assert words in err


def test_overlap_tells_what_each_two_runs_solve(tmp_path: Path, capsys, monkeypatch) -> None:
    monkeypatch.setenv("QCRD_DB", str(build(tmp_path / "experiments.db")))
    with pytest.raises(SystemExit):
        main(["compare", "2", "4", "--overlap", "--json"])
    assert json.loads(capsys.readouterr().out)[0] == {
        "first": 2,
        "second": 4,
        "head": "explain",
        "questions": 20,
        "both": 1,
        "first_alone": 7,
        "second_alone": 12,
        "union": 20,
        "iou": 0.05,
    }


def test_an_unexpected_error_is_one_line_and_its_traceback_is_there_on_demand(database, capsys, monkeypatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("nought")

    monkeypatch.setattr("engine.store.queries.runs", broken)
    monkeypatch.setenv("QCRD_DB", str(database))
    with pytest.raises(SystemExit) as ended:
        main(["runs"])
    assert ended.value.code == 1
    err = capsys.readouterr().err
    assert err.startswith("error: ZeroDivisionError: nought")
    assert "--debug" in err
    assert len(err.splitlines()) == 1
    with pytest.raises(ZeroDivisionError):
        main(["--debug", "runs"])


def test_no_reading_command_loads_anything_heavy(database: Path) -> None:
    heavy = ["torch", "transformers", "litellm", "datasets", "pandas", "textual", "sqlite_utils", "numpy"]
    program = """
import json, sys
from app.cli.main import main
for command in json.loads(sys.argv[1]):
    try:
        main(command)
    except SystemExit as ended:
        assert ended.code == 0, command
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})), file=sys.stderr)
"""
    commands = [["--help"], *([*_split(c), *form] for c in READING for form in ([], ["--json"], ["--csv"]))]
    found = subprocess.run(
        [sys.executable, "-c", program, json.dumps(commands)],
        env=environment(stub=False, QCRD_DB=str(database)),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = json.loads(found.stderr.splitlines()[-1])
    assert [name for name in heavy if name in loaded] == []


def test_help_loads_nothing_but_typer(database: Path) -> None:
    program = "import sys\nfrom app.cli.main import main\ntry: main(['--help'])\nexcept SystemExit: pass\n"
    program += "print(sorted({n.partition('.')[0] for n in sys.modules}), file=sys.stderr)"
    found = subprocess.run(
        [sys.executable, "-c", program],
        env=environment(stub=False),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "rationales" in found.stdout
    for name in ("pydantic", "rich", "sqlite3", "textual", "torch"):
        assert f"'{name}'" not in found.stderr


def _split(command: str) -> list[str]:
    return _words(command, ()) if "SELECT" in command else command.split(" ")


def test_a_pipe_that_is_closed_early_is_no_error(database: Path) -> None:
    rows = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000) SELECT i FROM n"
    process = subprocess.Popen(
        [sys.executable, "-m", "app.cli.main", "query", rows, "--csv"],
        env=environment(stub=False, QCRD_DB=str(database)),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"i\n"
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == b""
    assert process.wait() == 0


def test_a_narrow_terminal_and_no_colour_are_respected(database: Path) -> None:
    import os
    import pty

    terminal, end = pty.openpty()
    subprocess.run(
        [sys.executable, "-m", "app.cli.main", "runs"],
        env=environment(stub=False, QCRD_DB=str(database), COLUMNS="40", NO_COLOR="1", TERM="xterm"),
        cwd=ROOT,
        stdout=end,
        check=True,
    )
    os.close(end)
    text = os.read(terminal, 65536).decode()
    os.close(terminal)
    assert max(len(line.rstrip()) for line in text.replace("\x1b[1m", "").replace("\x1b[0m", "").splitlines()) <= 40
    assert "\x1b[3" not in text


def test_rationales_that_are_so(call, database: Path) -> None:
    def numbers(options: str) -> list[int]:
        return [row["number"] for row in json.loads(call(f"rationales last {options}", "--json"))]

    assert numbers("--polarity negative") == numbers("--silent") == numbers("--answer wrong") == [1]
    assert numbers("--quality >0.5") == numbers("--text right") == numbers("--chosen --answer right") == [0]
    assert numbers("--active") == numbers("--flagged") == numbers("--source self") == []
    assert numbers("--not-chosen") == []
    found = call("rationales --source minority")
    assert "q1 · gold 9" in found
    assert "CE 4.10" in found


def test_remarks_are_kept_and_shown(call, database: Path) -> None:
    call("annotate last q1 1 --flag")
    main_note = f"look {HOSTILE}"
    with pytest.raises(SystemExit) as left:
        main(["annotate", "last", "q1", "--note", main_note, "--db", str(database)])
    assert left.value.code == 0
    (row,) = json.loads(call("rationales --flagged", "--json"))
    assert (row["number"], row["flagged"], row["question_note"]) == (1, 1, main_note.strip())
    (pair,) = json.loads(call("rationales", "--json"))
    assert (pair["negative_flagged"], pair["positive_flagged"], pair["question_note"]) == (1, 0, main_note.strip())
    shown = call("rationales")
    assert "⚑" in shown
    assert "✎ look [2J" in shown
    assert not any(bad in shown for bad in BAD)
    call("annotate last q1 1 --unflag")
    assert json.loads(call("rationales --flagged", "--json")) == []


def test_saved_queries_are_listed_asked_and_kept(call, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    assert "best-runs" in {row["name"] for row in json.loads(call("queries", "--json"))}
    assert json.loads(call("query --saved methods", "--json"))[0]["method"]
    assert json.loads(call("query SELECT 7 AS seven", "--save", "mine", "--json")) == [{"seven": 7}]
    assert json.loads(call("query --saved mine", "--json")) == [{"seven": 7}]
    out = tmp_path / "out.json"
    assert call("query --saved mine --to", str(out)) == ""
    assert json.loads(out.read_text()) == [{"seven": 7}]
