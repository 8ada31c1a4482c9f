"""What reading commands and the console are told about a run."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.errors import UsageError
from engine.records import Dataset, Example, Prediction, Rationale, Visit, Voted
from engine.spec.run import RunSpec
from engine.store import queries
from engine.store.connect import open_reader
from engine.store.rationales import queries as rationale_queries
from engine.store.recorder import Recorder
from engine.store.runs.run import create_run
from engine.store.writer import Writer

EXAMPLES = tuple(Example(f"q{i}", f"question {i}", str(i)) for i in range(3))


def rationale(number: int, example: str, polarity: Any, source: str, iteration: int = 0) -> Rationale:
    return Rationale(number, example, f"text {number}", str(number), "strict", polarity, source, iteration, number)


def visit(number: int, example: str, *, chosen: bool = False, followed: bool = True, active: bool = True) -> Visit:
    return Visit(number, example, number / 10, float(number), 0.5, chosen, active, followed)


@pytest.fixture
def conn(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """Two runs; in the second q0 is followed and visited twice, q1 is not and was visited once, q2 never."""
    path = tmp_path / "x.db"
    with Writer(path) as writer:
        for name in ("arithmetic", "arithmetic"):
            recorder = Recorder(writer, create_run(path, RunSpec(name=name)))
            recorder.dataset(Dataset("toy", {"train": EXAMPLES, "validation": (), "test": ()}, "ab" * 32))
            recorder.points(1, {"loss": 2.0, "accuracy": 0.1})
            recorder.log("info", f"begun {recorder.run_id}")
        recorder.votes(
            [
                Voted(EXAMPLES[0], "0", 2, 3, False, (rationale(0, "q0", "positive", "teacher"),
                      rationale(1, "q0", "positive", "teacher")), (rationale(2, "q0", "negative", "minority"),)),
                Voted(EXAMPLES[1], "1", 1, 1, False, (rationale(3, "q1", "positive", "teacher"),), ()),
                Voted(EXAMPLES[2], None, 0, 0, False, (), (), (rationale(4, "q2", "unparsed", "teacher"),)),
            ],
            {"q0"},
        )  # fmt: skip
        recorder.rationales([rationale(5, "q0", "negative", "self", 1)])
        recorder.visits(10, 1, [visit(0, "q0", chosen=True), visit(1, "q0"), visit(2, "q0", chosen=True)])
        recorder.visits(20, 2, [visit(0, "q0"), visit(1, "q0", chosen=True), visit(2, "q0"),
                                visit(5, "q0", chosen=True, active=False)])  # fmt: skip
        recorder.visits(30, 3, [visit(3, "q1", chosen=True, followed=False)])
        for step in (10, 20):
            recorder.predictions("followed", "explain", step, [Prediction("q0", "so 0", "0", step == 20)])
            recorder.score("validation", "student", "explain", step, step // 10, 2)
        recorder.score("test", "student", "explain", 15, 1, 4)
        recorder.score("test", "majority class", "", 0, 1, 4)
        recorder.fact("vote", "ties", 0)
        recorder.fact("judge", "auc/self", 0.75)
        recorder.declare_stages([("data", "examples")])
        recorder.provenance({"python": "3.11"})
    conn = open_reader(path)
    yield conn
    conn.close()


def plain(rows: list[sqlite3.Row], *columns: str) -> list[tuple[Any, ...]]:
    return [tuple(row[c] for c in columns) for row in rows]


def test_a_run_is_found_by_id_name_and_last(conn: sqlite3.Connection) -> None:
    assert queries.find_run(conn, 1)["id"] == 1
    assert queries.find_run(conn, "1")["id"] == 1
    assert queries.find_run(conn, "last")["id"] == 2
    assert queries.find_run(conn, "arithmetic")["id"] == 2, "the newest of that name"
    with pytest.raises(UsageError, match=r"no run 'arithmatic': did you mean arithmetic\?"):
        queries.find_run(conn, "arithmatic")
    for unknown in ("99", "9" * 30, "zzz", "٣", ""):
        with pytest.raises(UsageError, match="no run"):
            queries.find_run(conn, unknown)


def test_a_number_can_be_a_name(tmp_path: Path) -> None:
    path = tmp_path / "y.db"
    create_run(path, RunSpec(name="2024"))
    conn = open_reader(path)
    assert queries.find_run(conn, "2024")["id"] == 1
    conn.close()


def test_no_run_at_all(tmp_path: Path) -> None:
    with Writer(tmp_path / "y.db"):
        pass
    conn = open_reader(tmp_path / "y.db")
    with pytest.raises(UsageError, match="no run yet"):
        queries.find_run(conn, "last")
    conn.close()


def test_the_summary_prefers_the_test_set(conn: sqlite3.Connection) -> None:
    row = queries.runs(conn)[0]
    assert (row["id"], row["explain_accuracy"], row["accuracy_split"]) == (2, 0.25, "test")
    assert row["explain_accuracy_low"] < 0.25 < row["explain_accuracy_high"]
    assert row["predict_accuracy"] is None
    assert plain(queries.runs(conn, 1), "id") == [(2,)]


def test_scores_facts_stages_provenance(conn: sqlite3.Connection) -> None:
    assert plain(queries.scores(conn, 2), "split", "who", "head", "step") == [
        ("test", "majority class", "", 0),
        ("test", "student", "explain", 15),
        ("validation", "student", "explain", 20),
    ]
    assert len(queries.scores(conn, 2, last=False)) == 4
    assert plain(queries.facts(conn, 2), "stage", "name", "value") == [("judge", "auc/self", 0.75), ("vote", "ties", 0)]
    assert plain(queries.facts(conn, 2, "vote"), "name") == [("ties",)]
    assert plain(queries.stages(conn, 2), "name", "state", "unit") == [("data", "waiting", "examples")]
    assert plain(queries.provenance(conn, 2), "key", "value") == [("python", "3.11")]
    assert queries.sessions(conn, 2) == []


def test_metrics(conn: sqlite3.Connection) -> None:
    assert queries.series_names(conn, 1) == ["accuracy", "loss"]
    assert plain(queries.metrics(conn, 1), "name", "step", "value") == [("accuracy", 1, 0.1), ("loss", 1, 2.0)]
    with pytest.raises(UsageError, match="no metric 'los': there are loss"):
        queries.metrics(conn, 1, "los")


def test_the_last_metrics_and_the_extremes(tmp_path: Path) -> None:
    path = tmp_path / "y.db"
    run = create_run(path, RunSpec())
    with Writer(path) as writer:
        recorder = Recorder(writer, run)
        for step in range(1000):
            value = float("nan") if step == 500 else 9.0 if step == 333 else -9.0 if step == 666 else step % 7
            recorder.points(step, {"loss": value})
    conn = open_reader(path)
    assert plain(queries.metrics(conn, run, "loss", last=2), "step", "special") == [(998, None), (999, None)]
    curve = queries.decimated(conn, run, "loss", 10)
    assert len(curve) <= 30
    assert {(333, 9.0), (666, -9.0), (500, None)} <= set(curve)
    assert [step for step, _ in curve] == sorted(step for step, _ in curve)
    whole = queries.decimated(conn, run, "loss", 100_000)
    assert len(whole) == 1000
    assert queries.decimated(conn, run, "none", 10) == []
    conn.close()


def test_pairs(conn: sqlite3.Connection) -> None:
    rows = rationale_queries.pairs(conn, 2)
    columns = (
        "step",
        "example",
        "positive",
        "negative",
        "negative_source",
        "active",
        "positive_quality",
        "gold",
        "vote",
    )
    assert plain(rows, *columns) == [
        (30, "q1", "text 3", None, None, None, 0.3, "1", "1"),
        (20, "q0", "text 1", "text 5", "self", 0, 0.1, "0", "0"),
        (10, "q0", "text 0", "text 2", "minority", 1, 0.0, "0", "0"),
    ]
    assert plain(rationale_queries.pairs(conn, 2, "q0", newest_first=False), "step") == [(10,), (20,)]
    assert plain(rationale_queries.pairs(conn, 2, limit=1), "step") == [(30,)]
    assert rationale_queries.pairs(conn, 1) == []


def test_questions_are_those_that_were_visited(conn: sqlite3.Connection) -> None:
    columns = ("example", "positives", "negatives", "last_step", "followed", "question", "samples")
    assert plain(rationale_queries.questions(conn, 2), *columns) == [
        ("q0", 2, 2, 20, 1, "question 0", 3),
        ("q1", 1, 0, 30, 0, "question 1", 1),
    ]


def test_the_rationales_of_a_question_at_a_visit(conn: sqlite3.Connection) -> None:
    columns = ("number", "polarity", "source", "step", "chosen", "active")
    assert plain(rationale_queries.rationales_of(conn, 2, "q0"), *columns) == [
        (0, "positive", "teacher", 20, 0, 1),
        (1, "positive", "teacher", 20, 1, 1),
        (2, "negative", "minority", 20, 0, 1),
        (5, "negative", "self", 20, 1, 0),
    ]
    assert plain(rationale_queries.rationales_of(conn, 2, "q0", 10), *columns) == [
        (0, "positive", "teacher", 10, 1, 1),
        (1, "positive", "teacher", 10, 0, 1),
        (2, "negative", "minority", 10, 1, 1),
        (5, "negative", "self", None, None, None),
    ]
    assert plain(rationale_queries.rationales_of(conn, 2, "q2"), *columns) == [
        (4, "unparsed", "teacher", None, None, None)
    ]
    assert rationale_queries.steps_of(conn, 2, "q0") == [10, 20]
    assert rationale_queries.steps_of(conn, 2, "q1") == [30]
    assert plain(rationale_queries.student_answers(conn, 2, "q0"), "step", "answer", "correct") == [
        (10, "0", 0),
        (20, "0", 1),
    ]


def test_the_log_is_followed_by_id(conn: sqlite3.Connection) -> None:
    lines = queries.log_tail(conn, 2)
    assert plain(lines, "message") == [("begun 2",)]
    assert queries.log_tail(conn, 2, after_id=lines[-1]["id"]) == []


def test_data_version_changes_with_a_commit(conn: sqlite3.Connection) -> None:
    before = queries.data_version(conn)
    assert queries.data_version(conn) == before
    path = Path(conn.execute("PRAGMA database_list").fetchone()["file"])
    create_run(path, RunSpec())
    assert queries.data_version(conn) != before


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM rationale_pairs WHERE run_id = 1",
        "SELECT * FROM rationale_pairs WHERE run_id = 1 AND example = 'q0' ORDER BY step",
        "SELECT count(*) FROM rationale_pairs WHERE run_id = 1 AND iteration = 3",
        "SELECT * FROM rationale_visits WHERE run_id = 1 AND example = 'q0'",
        "SELECT * FROM metric_points WHERE run_id = 1 AND name = 'loss' ORDER BY step DESC LIMIT 9",
        "SELECT * FROM teacher_samples WHERE run_id = 1",
        "SELECT * FROM run_summary WHERE id = 1",
    ],
)
def test_a_view_asked_for_one_run_looks_at_no_other(conn: sqlite3.Connection, sql: str) -> None:
    plan = [row["detail"] for row in conn.execute(f"EXPLAIN QUERY PLAN {sql}")]
    own = {"SCAN rationale_pairs"}  # the rows of this run, gathered to be counted
    assert [step for step in plan if step.startswith(("SCAN", "MATERIALIZE")) and step not in own] == []
    assert any(step.startswith("SEARCH") for step in plan)
