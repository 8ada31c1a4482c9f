"""What the console reads: curves that grow and go back, stale runs, one question at one visit."""

import math
import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.store.rationales.questions import read_keys, read_question
from engine.store.runs.browse import read_run, read_runs, with_clock
from engine.store.runs.curves import CURVE_POINTS, SKETCH_POINTS, Curve, thin
from engine.store.runs.live import LiveReader
from engine.store.schema.views import STALE_AFTER
from tests.seeded import NOW, build


@pytest.fixture
def con(tmp_path: Path) -> sqlite3.Connection:
    return sqlite3.connect(build(tmp_path / "experiments.db"))


def test_runs_come_newest_first_with_their_scores(con: sqlite3.Connection) -> None:
    runs = read_runs(con)
    assert [run.id for run in runs] == list(range(9, 0, -1))
    done = read_run(con, 4)
    assert done is not None
    assert done.explain is not None
    assert done.explain.value == 0.641
    assert done.accuracy_split == "test"
    assert read_run(con, 77) is None


def test_a_run_is_stale_only_while_a_worker_should_be_alive(con: sqlite3.Connection) -> None:
    run = read_run(con, 8)
    assert run is not None
    assert run.heartbeat_at is not None
    assert with_clock(run, run.heartbeat_at + STALE_AFTER - 1).status == "running"
    assert with_clock(run, run.heartbeat_at + STALE_AFTER + 1).status == "stale"
    assert with_clock(replace(run, status="done"), NOW * 2).status == "done"
    assert with_clock(replace(run, status="paused"), NOW * 2).status == "stale"


def test_curves_grow_and_follow_a_resumed_run_back(con: sqlite3.Connection) -> None:
    reader = LiveReader(8)
    first = reader.read(con)
    assert first is not None
    loss = first.curve("loss/predict")
    assert loss is not None
    assert loss.steps[-1] == 1310
    key = con.execute("SELECT id FROM series WHERE run_id = 8 AND name = 'loss/predict'").fetchone()[0]
    con.execute("INSERT INTO points VALUES (?, 1320, NULL, 'nan', 0)", (key,))
    second = reader.read(con)
    assert second is not None
    grown = second.curve("loss/predict")
    assert grown is not None
    assert grown.steps == (*loss.steps, 1320)
    assert math.isnan(grown.values[-1])
    assert second.curve("active_share") is first.curve("active_share")  # what did not change is not copied
    con.execute("DELETE FROM points WHERE series_id = ? AND step > 1200", (key,))
    con.execute(
        "INSERT INTO sessions (run_id, pid, host, started_at, last_at, first_step) VALUES (8, 1, 'h', 0, 0, 1200)"
    )
    third = reader.read(con)
    assert third is not None
    back = third.curve("loss/predict")
    assert back is not None
    assert back.steps[-1] == 1200


def test_curves_end_at_one_moment_though_the_run_writes_meanwhile(tmp_path: Path) -> None:
    class Meanwhile(sqlite3.Connection):
        written = 1310

        def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
            if sql.startswith("SELECT step, CASE"):  # before each curve is read, all have a point more
                self.written += 10
                writing.execute(more, (self.written,))
                writing.commit()
            return super().execute(sql, *values)

    writing = sqlite3.connect(build(tmp_path / "experiments.db"))
    more = "INSERT INTO points SELECT id, ?, 0.5, NULL, 0 FROM series WHERE run_id = 8"
    con: Any = sqlite3.connect(tmp_path / "experiments.db", factory=Meanwhile)
    live = LiveReader(8).read(con)
    assert live is not None
    assert con.written > 1330
    assert max(c.steps[-1] for c in live.curves) == 1310


def test_a_long_curve_is_sketched_then_read_to_its_extremes(con: sqlite3.Connection) -> None:
    key = con.execute("INSERT INTO series (run_id, name) VALUES (1, 'loss/long') RETURNING id").fetchone()[0]
    values = [math.sin(i / 700) + (i == 777) - 3 * (i == 15_001) for i in range(-20, 20_000)]
    rows = [(key, i, None, "nan") if 5000 <= i < 5200 else (key, i, values[i + 20], None) for i in range(-20, 20_000)]
    con.executemany("INSERT INTO points VALUES (?, ?, ?, ?, 7)", rows)

    def curve(of: LiveReader) -> Curve:
        live = of.read(con)
        found = None if live is None else live.curve("loss/long")
        assert found is not None
        assert list(found.steps) == sorted(set(found.steps))
        assert (found.steps[0], found.steps[-1]) == (-20, 19_999)
        assert all(math.isnan(v) if 5000 <= s < 5200 else v == values[s + 20]
                   for s, v in zip(found.steps, found.values, strict=True))  # fmt: skip
        return found

    reader = LiveReader(1)
    sketch = curve(reader)
    assert SKETCH_POINTS <= len(sketch.steps) <= SKETCH_POINTS + 1
    assert reader.sketchy
    whole = curve(reader)
    assert not reader.sketchy
    assert len(whole.steps) <= CURVE_POINTS
    size = math.ceil(20_020 / (CURVE_POINTS // 4))
    for start in range(0, 20_020, size):
        real = [v for i, v in enumerate(values[start : start + size], start - 20) if not 5000 <= i < 5200]
        if real:
            assert {min(real), max(real)} <= set(whole.values)
    assert any(math.isnan(v) for v in whole.values)
    con.execute("INSERT INTO points VALUES (?, 20000, 0.5, NULL, 7)", (key,))
    live = reader.read(con)
    assert live is not None
    assert live.curve("loss/long").steps == (*whole.steps, 20_000)  # type: ignore[union-attr]


@given(st.lists(st.one_of(st.floats(-5, 5), st.just(math.nan)), max_size=200), st.integers(2, 50))
def test_thinning_keeps_order_extremes_and_the_end(values: list[float], keep: int) -> None:
    steps = thin(values, keep)
    kept = [values[i] for i in steps]
    assert steps == sorted(set(steps))
    assert len(steps) <= keep + 3
    real = [v for v in values if not math.isnan(v)]
    if real:
        assert {min(real), max(real)} <= set(kept)
    if values:
        assert steps[-1] == len(values) - 1


def test_a_question_at_its_last_and_at_an_earlier_visit(con: sqlite3.Connection) -> None:
    keys = read_keys(con, 8)
    assert len(keys) == 40
    last = read_question(con, 8, keys, 0)
    assert last is not None
    assert last.step == last.visits[-1] == 1300
    assert [(c.source, c.copies, c.chosen) for c in last.positives] == [("teacher", 2, True), ("teacher", 1, False)]
    assert [(c.source, c.chosen, c.active) for c in last.negatives] == [
        ("self", True, True),
        ("minority", False, False),
    ]
    assert last.delta == 3.0
    assert last.unparsed == 1
    early = read_question(con, 8, keys, 0, last.visits[1])
    assert early is not None
    assert early.iteration == 2
    assert [c.source for c in early.negatives] == ["minority"]
    assert early.earlier == 1
    assert len(early.history) == len(last.visits)
    assert early.student_step is None


def test_a_question_that_is_not_followed_has_its_last_visit(con: sqlite3.Connection) -> None:
    keys = read_keys(con, 4)
    question = read_question(con, 4, keys, 39)
    assert question is not None
    assert not question.followed
    assert len(question.visits) == 1
    assert question.positives[0].chosen
    assert read_question(con, 4, keys, 40) is None
    assert read_keys(con, 1) == ()
