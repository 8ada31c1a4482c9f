"""What a worker says about its run arrives, once however often it is said, and can be taken back to a checkpoint."""

import math
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from engine.errors import QcrdError, UsageError
from engine.records import Dataset, Example, Prediction, Rationale, Reason, Visit, Voted
from engine.spec.run import RunSpec
from engine.store.connect import open_reader
from engine.store.queries import WORKED
from engine.store.rationales.questions import read_question
from engine.store.recorder import Recorder
from engine.store.runs.run import create_run
from engine.store.writer import Writer

EXAMPLES = tuple(Example(f"q{i}", f"question {i}", str(i) if i else None) for i in range(3))
DATA = Dataset("toy", {"train": EXAMPLES[:2], "validation": (), "test": EXAMPLES[2:]}, "ab" * 32)


def rationale(number: int, polarity: Any = "positive", source: str = "teacher", example: str = "q0") -> Rationale:
    return Rationale(number, example, f"text {number % 3}", "1", "strict", polarity, source, slot=number)


VOTED = [
    Voted(EXAMPLES[0], "1", 2, 3, False, (rationale(0), rationale(1)), (rationale(2, "negative", "minority"),)),
    Voted(EXAMPLES[1], None, 0, 0, False, (), (), (rationale(3, "unparsed", example="q1"),)),
]


def visit(number: int, **change: Any) -> Visit:
    values: dict[str, Any] = {
        "example": "q0", "quality": 0.5, "cross_entropy": 1.0, "weight": 0.2, "chosen": True, "active": True,
        "followed": True,
    }  # fmt: skip
    return Visit(number, **(values | change))


class Desk:
    """A run with its recorder, and what is in the database."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.run_id = create_run(path, RunSpec(name="toy"))
        self.writer = Writer(path)
        self.recorder = Recorder(self.writer, self.run_id)
        self.reader = open_reader(path)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        self.writer.flush()
        return [tuple(row) for row in self.reader.execute(sql).fetchall()]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path / "x.db")
    yield desk
    desk.reader.close()
    desk.writer.close()


def test_points_keep_what_is_not_a_number(desk: Desk) -> None:
    desk.recorder.points(1, {"loss": 0.5, "quality": math.nan})
    desk.recorder.points(2, {"loss": math.inf, "quality": -math.inf})
    assert desk.rows("SELECT name, step, value, special FROM metric_points ORDER BY name, step") == [
        ("loss", 1, 0.5, None),
        ("loss", 2, None, "inf"),
        ("quality", 1, None, "nan"),
        ("quality", 2, None, "-inf"),
    ]


def test_everything_said_twice_is_there_once(desk: Desk) -> None:
    def say() -> None:
        r = desk.recorder
        r.dataset(DATA)
        r.declare_stages([("data", "examples"), ("train", "steps")])
        r.votes(VOTED, {"q0"}, {"q0": True})
        r.rationales([rationale(9, "negative", "self")])
        r.visits(5, 1, [visit(0), visit(2, quality=None), visit(1, followed=False)])
        r.predictions("test", "predict", 5, [Prediction("q2", "2", "2", True), Prediction("q1", "", None, None)])
        r.score("test", "student", "predict", 5, 1, 1)
        r.fact("vote", "ties", 0)
        r.points(5, {"loss": 1.0})
        r.provenance({"python": "3.11"})

    tables = ["datasets", "examples", "run_datasets", "stages", "votes", "rationales", "texts", "visits"]
    tables += ["last_visits", "predictions", "scores", "facts", "points", "series", "provenance"]
    say()
    once = {table: desk.rows(f"SELECT * FROM {table}") for table in tables}
    assert all(once.values())
    say()
    again = {table: desk.rows(f"SELECT * FROM {table}") for table in tables}
    changed = [
        t for t in tables if [r[:-1] for r in once[t]] != [r[:-1] for r in again[t]]
    ]  # the last column of points: at
    assert changed == []
    assert len(once["texts"]) == 3 + 2, "three texts of rationales and two of predictions, each once"
    assert desk.rows("SELECT example, position, correct, followed FROM votes") == [("q0", 0, 1, 1), ("q1", 1, None, 0)]
    assert len(once["visits"]) == 2
    assert len(once["last_visits"]) == 3


def test_two_examples_with_one_id_are_refused(desk: Desk) -> None:
    twice = Dataset("toy", {"train": EXAMPLES[:1], "validation": (), "test": EXAMPLES[:1]}, "cd" * 32)
    with pytest.raises(UsageError, match=r"'q0' is used twice \(in train and test\)"):
        desk.recorder.dataset(twice)


def test_a_resumed_run_forgets_what_lies_beyond_its_checkpoint(desk: Desk) -> None:
    r = desk.recorder
    other = Recorder(desk.writer, create_run(desk.path, RunSpec(name="other")))
    r.dataset(DATA)
    r.votes(VOTED, {"q0"})
    r.rationales([rationale(4, "negative", "self"), rationale(5, "negative", "self")])
    for step in (10, 20, 30):
        for recorder in (r, other):
            recorder.points(step, {"loss": float(step)})
        r.visits(step, step // 10, [visit(0), visit(step, followed=False)])
        r.predictions("validation", "explain", step, [Prediction("q1", "x", "x", False)])
        r.score("validation", "student", "explain", step, 1, 2)
    r.rewind(20, number=5)
    assert desk.rows("SELECT DISTINCT step FROM metric_points WHERE run_id = 1") == [(10,), (20,)]
    assert desk.rows("SELECT step FROM metric_points WHERE run_id = 2") == [(10,), (20,), (30,)]
    assert desk.rows("SELECT step FROM visits ORDER BY step") == [(10,), (20,)]
    assert desk.rows("SELECT number, step FROM last_visits ORDER BY number") == [(10, 10), (20, 20)]
    for table in ("predictions", "scores"):
        assert desk.rows(f"SELECT step FROM {table} ORDER BY step") == [(10,), (20,)]
    assert desk.rows("SELECT number FROM rationales ORDER BY number") == [(0,), (1,), (2,), (3,), (4,)]


def test_a_stage_counts_the_seconds_of_all_processes(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    r = desk.recorder
    r.declare_stages([("train", "steps")])

    def at(seconds: float, state: str | None = None) -> None:
        monkeypatch.setattr("engine.store.recorder.time", SimpleNamespace(time=lambda: seconds))
        if state:
            r.stage("train", state=state)

    at(990.0)
    first = r.start_session(1, "here", 0)
    at(1010.0, "running")
    at(1013.0, "waiting")
    at(1100.0, "running")
    at(1104.0)
    r.stage("train", done=5)
    r.heartbeat(first)  # killed after this
    at(2000.0)
    r.start_session(2, "here", 5)
    at(2000.0, "running")
    at(2006.0, "done")
    assert desk.rows("SELECT seconds, started_at FROM stages") == [(3.0 + 4.0 + 6.0, 2000.0)]
    r.log_time("train")
    assert desk.rows("SELECT stage, message FROM logs") == [("train", "train took 13.0 s")]
    at(3000.0)
    second = r.start_session(3, "here", 5)
    at(3000.0, "running")
    at(3005.0)
    r.heartbeat(second)  # what readers show is up to the last sign of life
    assert desk.rows(f"SELECT {WORKED} FROM stages") == [(18.0,)]


def test_stages_have_times_and_keep_their_state(desk: Desk) -> None:
    r = desk.recorder
    r.declare_stages([("data", "examples"), ("train", "steps")])
    r.stage("data", state="running", total=3)
    r.stage("data", done=2)
    r.stage("data", state="done", done=3)
    r.declare_stages([("data", "examples"), ("train", "steps")])
    assert desk.rows(
        "SELECT name, state, done, total, unit, started_at IS NULL, ended_at IS NULL FROM stages ORDER BY position"
    ) == [("data", "done", 3, 3, "examples", 0, 0), ("train", "waiting", 0, None, "steps", 1, 1)]
    r.stage("data", state="running", done=0)
    assert desk.rows("SELECT state, done, ended_at FROM stages WHERE name = 'data'") == [("running", 0, None)]


def test_the_status_and_its_times(desk: Desk) -> None:
    r = desk.recorder
    session = r.start_session(1, "elsewhere", 0)
    r.status("running")
    r.heartbeat(session)
    r.progress(7, 2)
    assert desk.rows("SELECT status, step, iteration, ended_at, error FROM run_summary") == [
        ("running", 7, 2, None, None)
    ]
    r.status("failed", "no such model")
    r.end_session(session, "failed")
    assert desk.rows("SELECT status, ended_at >= started_at, error FROM run_summary") == [
        ("failed", 1, "no such model")
    ]
    assert desk.rows("SELECT outcome FROM sessions") == [("failed",)]
    r.status("running")
    assert desk.rows("SELECT status, ended_at, error FROM run_summary") == [("running", None, None)]


def test_an_old_heartbeat_is_shown_as_stale(desk: Desk) -> None:
    desk.recorder.status("running")
    assert desk.rows("SELECT status FROM run_summary") == [("running",)]
    desk.writer.execute("UPDATE runs SET heartbeat_at = ?", (time.time() - 60,))
    assert desk.rows("SELECT status FROM run_summary") == [("stale",)]


def test_a_process_whose_run_was_taken_over_is_not_heard(desk: Desk) -> None:
    slept = desk.recorder
    slept.start_session(1, "elsewhere", 0)
    awake = Recorder(desk.writer, desk.run_id)
    awake.start_session(2, "elsewhere", 10)
    awake.progress(11, 1)
    slept.progress(5, 0)
    slept.status("failed", "slept")
    assert desk.rows("SELECT status, step FROM runs") == [("queued", 11)]


def test_a_dropped_rationale_says_why(desk: Desk) -> None:
    reasons: tuple[Reason, ...] = ("right", "band", "right")
    dropped = [
        Rationale(n, "q0", "t", "1", "strict", "dropped", "self", slot=n, reason=why) for n, why in enumerate(reasons)
    ]
    desk.recorder.rationales([*dropped, Rationale(3, "q0", "t", "1", "strict", "negative", "self", slot=3)])
    found = desk.rows("SELECT reason, count(*) FROM rationales GROUP BY reason ORDER BY reason")
    assert found == [(None, 1), ("band", 1), ("right", 2)]
    desk.recorder.votes([Voted(Example("q0", "?"), "1", 1, 1, False, (), ())], set())
    desk.writer.flush()
    question = read_question(desk.reader, desk.run_id, ["q0"], 0)
    assert question is not None
    assert question.dropped == (("right", 2), ("band", 1))


def test_hostile_text_is_stored_raw_and_half_a_surrogate_does_no_harm(desk: Desk) -> None:
    hostile = "\x1b[2J[/] \x00 \u202e\r\nend"
    desk.recorder.rationales([Rationale(0, "q0", hostile, None, "miss", "unparsed", "teacher")])
    desk.recorder.rationales([Rationale(1, "q0", "half \ud800", "\udfff", "miss", "unparsed", "teacher")])
    desk.recorder.log("info", "half \ud83d", detail="\ud83d")
    assert desk.rows("SELECT t.text FROM rationales r JOIN texts t ON t.id = r.text_id ORDER BY number") == [
        (hostile,),
        ("half \ufffd",),
    ]
    assert desk.rows("SELECT message, detail FROM logs") == [("half \ufffd", "\ufffd")]


def test_a_run_that_has_diverged_says_so(desk: Desk) -> None:
    with pytest.raises(QcrdError, match="diverged"):
        desk.recorder.visits(1, 0, [visit(0, cross_entropy=math.nan)])


def test_rows_of_a_run_that_does_not_exist_are_refused(desk: Desk) -> None:
    writer = Writer(desk.path)
    Recorder(writer, 99).fact("vote", "ties", 1)
    with pytest.raises(QcrdError, match="FOREIGN KEY"):
        writer.flush()
    with pytest.raises(QcrdError):
        writer.close()
    assert desk.reader.execute("SELECT count(*) FROM facts").fetchone()[0] == 0


def test_readers_are_not_needed_for_a_transaction(desk: Desk) -> None:
    """A reader that has read its rows holds nothing: the log can be taken back into the file."""
    desk.recorder.points(1, {"loss": 1.0})
    assert len(desk.rows("SELECT * FROM metric_points")) == 1
    busy = desk.writer.call(lambda conn: conn.execute("PRAGMA page_count").fetchone()[0]).result(timeout=30)
    assert busy > 0
    with sqlite3.connect(desk.path, isolation_level=None) as conn:
        assert conn.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0


def test_a_resumed_run_shows_the_stages_that_it_has(desk: Desk) -> None:
    r = desk.recorder
    r.declare_stages([("data", ""), ("base", "steps"), ("train", "steps"), ("export", "")])
    r.stage("train", state="running", total=9)
    r.stage("train", done=4)
    r.declare_stages([("data", ""), ("train", "steps"), ("export", "")])
    found = "SELECT position, name, state, done, total, unit FROM stages ORDER BY position"
    assert desk.rows(found) == [
        (0, "data", "waiting", 0, None, ""),
        (1, "train", "running", 4, 9, "steps"),
        (2, "export", "waiting", 0, None, ""),
    ]
