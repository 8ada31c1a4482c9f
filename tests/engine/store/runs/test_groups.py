"""Groups: made once, all or none, worked on by one queue; and what a comparison reads of their runs."""

import os
import socket
import time
from contextlib import closing
from pathlib import Path

import pytest

from engine.errors import QcrdError, UsageError
from engine.evaluation.sampled import Sampled
from engine.records import Dataset, Example, Prediction
from engine.spec.methods import Dss, Finetune
from engine.spec.run import RunSpec
from engine.store.connect import open_reader, open_writer
from engine.store.ledger.ledger import Ledger
from engine.store.ledger.rows import Asked
from engine.store.recorder import Recorder
from engine.store.runs.groups import (
    Group,
    beat_group,
    claim_group,
    create_group,
    find_group,
    last_group,
    read_group,
    stop_group,
)
from engine.store.runs.results import Cost, group_run_ids, paired_verdicts, read_results
from engine.store.runs.run import claim
from engine.store.writer import Writer
from engine.teacher.outcome import Answer, Completion

SPECS = [RunSpec(method=Dss()), RunSpec(method=Finetune()), RunSpec(method=Dss(), seed=1)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "x.db"


def look(path: Path, group_id: int = 1) -> Group:
    with closing(open_reader(path)) as conn:
        return read_group(conn, group_id)


def test_the_same_runs_are_the_same_group(path: Path) -> None:
    assert create_group(path, SPECS) == (1, True)
    assert create_group(path, SPECS) == (1, False)
    assert create_group(path, SPECS[:2]) == (2, True)
    group = look(path)
    assert [(r.id, r.method, r.seed, r.status) for r in group.runs] == [
        (1, "dss", 0, "queued"),
        (2, "finetune", 0, "queued"),
        (3, "dss", 1, "queued"),
    ]
    assert [r.buying for r in group.runs] == [True, False, True]
    assert (group.alive, group.done) == (False, 0)
    with closing(open_reader(path)) as conn:
        assert group_run_ids(conn, 2) == [4, 5]
        assert find_group(conn, "g2") == last_group(conn) == 2
        assert find_group(conn, "2") is None
        with pytest.raises(UsageError, match="no group g3"):
            find_group(conn, "g3")
        with pytest.raises(UsageError, match="no group g3"):
            read_group(conn, 3)
        assert conn.execute("SELECT group_id FROM run_summary WHERE id = 5").fetchone()[0] == 2


def test_a_group_that_cannot_be_made_leaves_nothing(path: Path) -> None:
    (path.parent / "runs").mkdir()
    create_group(path, SPECS[:1])
    with pytest.raises(AttributeError):
        create_group(path, [*SPECS, None])  # type: ignore[list-item]
    from engine.store.runs.run import create_runs

    def fails(*_: object) -> None:
        raise QcrdError("no")

    with pytest.raises(QcrdError):
        create_runs(path, SPECS, fails)
    assert [p.name for p in (path.parent / "runs").iterdir()] == ["1"]
    assert len(look(path).runs) == 1


def test_one_queue_at_a_time(path: Path) -> None:
    create_group(path, SPECS)
    claim_group(path, 1)
    claim_group(path, 1)  # its own
    stop_group(path, 1)
    assert look(path).alive
    assert look(path).stop
    with closing(open_writer(path)) as conn:
        conn.execute("UPDATE run_groups SET host = 'elsewhere'")
    with pytest.raises(UsageError, match=r"process \d+ on elsewhere"):
        claim_group(path, 1)
    with closing(open_writer(path)) as conn:
        conn.execute("UPDATE run_groups SET heartbeat_at = heartbeat_at - 60")
    claim_group(path, 1)
    assert not look(path).stop
    beat_group(path, 1, ended=True)
    assert not look(path).alive
    with pytest.raises(UsageError, match="no group g9"):
        claim_group(path, 9)


def test_a_run_buys_until_its_sampling_has_ended(path: Path) -> None:
    create_group(path, SPECS)
    claim(path, 1)
    with Writer(path) as writer:
        recorder = Recorder(writer, 1)
        recorder.declare_stages([("data", ""), ("sample", "questions"), ("train", "steps")])
        recorder.stage("sample", state="running")
        recorder.flush()
        run = look(path).runs[0]
        assert (run.alive, run.buying, run.stage, run.pid) == (True, True, "sample", os.getpid())
        recorder.stage("sample", state="done")
        recorder.flush()
        assert not look(path).runs[0].buying
    with closing(open_writer(path)) as conn:
        conn.execute("UPDATE runs SET heartbeat_at = ?", (time.time() - 60,))
    assert not look(path).runs[0].alive


@pytest.fixture
def finished(path: Path) -> Path:
    """Two runs of two methods: the first bought three samples, the second uses two of them and bought one."""
    create_group(path, SPECS[::2])
    examples = tuple(Example(f"q{i}", f"question {i}", "1") for i in range(4))
    data = Dataset("toy", {"train": (), "validation": (), "test": examples}, "ab" * 32)
    with Writer(path) as writer:
        for run_id, right in ((1, (1, 1, 0, 0)), (2, (1, 0, 1, 1))):
            recorder, ledger = Recorder(writer, run_id), Ledger(writer, run_id)
            recorder.dataset(data)
            recorder.declare_stages([("train", "steps")])
            verdicts = [Prediction(x.id, "t", "1", bool(v)) for x, v in zip(examples, right, strict=True)]
            recorder.predictions("test", "explain", 9, [Prediction("q0", "older", "2", False)])
            recorder.score("test", "student pass@2", "explain", 9, 0.5, 4, (0.0, 0.5))
            recorder.forget_answers("test")
            recorder.predictions("test", "explain", 6, verdicts)
            recorder.sampled("test", "explain", 6, {"q0": Sampled(8, 3, True)})
            recorder.score("test", "student", "explain", 6, sum(right), 4)
            recorder.score("test", "student pass@8", "explain", 6, 1.5, 4, (0.1, 0.9))
            recorder.score("test", "untrained", "explain", 6, 0, 4)
            slots = (0, 1, 2) if run_id == 1 else (3,)
            sent = ledger.begin(Asked("sample", "q0", "m", b"", slots), 1).result()
            bought = [(bytes([slot]), slot, Completion(f"s{slot}", "stop", 10, None)) for slot in slots]
            ledger.finish(sent, "m", Answer((), model="m-1"), 0.5, bought, ["q0"]).result()
            recorder.status("done")
        Ledger(writer, 2).use([("q0", 0, 1), ("q0", 1, 2), ("q1", 0, 1)]).result()
    return path


def test_what_a_comparison_reads(finished: Path) -> None:
    with closing(open_reader(finished)) as conn:
        first, second = read_results(conn, group_run_ids(conn, 1))
        assert {key: score.value for key, score in second.scores.items()} == {
            ("explain", ""): 0.75,
            ("explain", "pass@8"): 0.375,
        }
        assert (second.scores["explain", "pass@8"].low, second.scores["explain", "pass@8"].high) == (0.1, 0.9)
        assert first.cost == Cost(calls=1, bought=3, reused=0, input_tokens=30, price_usd=0.5)
        assert second.cost == Cost(1, bought=1, reused=2, input_tokens=10, reused_input_tokens=20, price_usd=0.5)
        assert first.spec["method"]["name"] == "dss"
        assert paired_verdicts(conn, 1, 2, "explain") == (1, 1, 2, 0)
        assert paired_verdicts(conn, 2, 1, "explain") == (1, 2, 1, 0)
        assert paired_verdicts(conn, 1, 2, "predict") is None
        rows = conn.execute(
            "SELECT example, correct, samples, samples_correct, majority_correct, gold FROM test_answers"
            " WHERE run_id = 1 ORDER BY example"
        ).fetchall()
        assert tuple(rows[0]) == ("q0", 1, 8, 3, 1, "1")
        assert [row["correct"] for row in rows] == [1, 1, 0, 0]


def test_runs_on_other_questions_are_not_paired(finished: Path) -> None:
    with closing(open_writer(finished)) as conn:
        conn.execute("INSERT INTO datasets (hash, name) VALUES ('cd', 'other')")
        conn.execute("UPDATE run_datasets SET dataset_id = 2 WHERE run_id = 2")
    with closing(open_reader(finished)) as conn:
        assert paired_verdicts(conn, 1, 2, "explain") is None


def test_a_queue_on_this_machine_that_is_dead_is_seen_to_be(path: Path) -> None:
    create_group(path, SPECS)
    claim_group(path, 1)
    with closing(open_writer(path)) as conn:
        conn.execute("UPDATE run_groups SET pid = ?, host = ?", (2**22 + 1, socket.gethostname()))
    assert not look(path).alive
