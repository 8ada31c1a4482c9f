"""The ranking model's run and votes weighed by it: from data to export, after a breakdown, and on real samples."""

import random
from pathlib import Path
from typing import Any

import pytest

from app.cli.main import main
from engine.errors import UsageError
from engine.evaluation.accuracy_curve import curve
from engine.judge import ranking
from engine.runs import ranking as run_ranking
from engine.runs import worker
from engine.runs.evaluation import carry_out
from engine.runs.evaluation_client import Wanted
from engine.runs.learned import place
from engine.spec.load import load_grid
from engine.store.connect import open_reader
from engine.store.runs.evaluations import JudgeKey, read_ballots
from engine.store.runs.run import create_run
from tests.e2e.real_runs import FEW, SMALL, done, rows, spec_of

RANKING: dict[str, Any] = {
    "name": "ranks",
    "data": {"limit": 24, **FEW},
    "teacher": {"samples": 4},
    "method": {"name": "ranking", "epochs": 2, "batch_size": 4},
    "training": {"checkpoint_every": 2},
}


def test_a_ranking_run_ends_in_a_model_and_a_breakdown_leaves_it_bit_for_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calm, disturbed = (tmp_path / name / "experiments.db" for name in ("calm", "disturbed"))
    for database in (calm, disturbed):
        database.parent.mkdir()
        create_run(database, spec_of(SMALL, RANKING))
    assert worker.work(calm, 1) == 0
    assert [(name, state) for name, state in rows(calm, "SELECT name, state FROM stages ORDER BY position")] == [
        (name, "done") for name in ("data", "sample", "vote", "train", "evaluate", "export")
    ]
    ((step, steps, iteration, iterations),) = rows(calm, "SELECT step, steps, iteration, iterations FROM runs")
    assert (step, iteration, iterations) == (steps, 2, 2)
    names = {name for (name,) in rows(calm, "SELECT DISTINCT name FROM metric_points")}
    assert names == {"loss/ranking", "lr", "grad_norm", "ranked_right", "auc/minority", "auc/augmented"}
    assert rows(calm, "SELECT DISTINCT who FROM scores WHERE split = 'validation'") == [("ranking model",)]
    folder = calm.parent / "runs" / "1" / "ranking"
    assert "weight_decay = 1e-05" in (folder / "README.md").read_text()
    model = ranking.load(folder)
    assert 0 < model.judge([model.pair("ben has 2 apples.", "2 first. Answer: 2")])[0] < 1
    with pytest.raises(UsageError, match="trained a ranking model, which answers nothing"):
        place(calm, 1)

    with pytest.raises(SystemExit) as refused:
        main(["compare", "1", "1", "--db", str(calm)])
    assert refused.value.code == 2

    calls, real = 0, run_ranking.ranking_loss

    def breaks_down(*given: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls in (4, steps + 1):
            raise RuntimeError("the power is gone")
        return real(*given)

    monkeypatch.setattr(run_ranking, "ranking_loss", breaks_down)
    assert worker.work(disturbed, 1) != 0
    assert worker.work(disturbed, 1) != 0
    assert not (disturbed.parent / "runs" / "1" / "ranking").exists()
    assert worker.work(disturbed, 1) == 0
    again = disturbed.parent / "runs" / "1" / "ranking"
    for file in ("head.safetensors", "encoder/model.safetensors"):
        assert (again / file).read_bytes() == (folder / file).read_bytes()
    for sql in ("SELECT name, step, value FROM metric_points ORDER BY 1, 2", "SELECT stage, name, value FROM facts"):
        assert rows(calm, sql) == rows(disturbed, sql)


def test_ranking_is_no_method_to_compare(tmp_path: Path) -> None:
    file = tmp_path / "run.toml"
    file.write_text('[method]\nname = "dss"\n')
    with pytest.raises(UsageError, match="ranking trains a ranking model, which has no head to compare"):
        load_grid(file, [], "dss,ranking", "2")
    with pytest.raises(ValueError, match="trains in one process"):
        spec_of({"method": {"name": "ranking"}, "compute": {"processes": 2}})
    with pytest.raises(ValueError, match="'student' is no encoder of a ranking model"):
        spec_of({"method": {"name": "ranking", "encoder": "student"}})


def base() -> dict[str, Any]:
    """The base of LoRA students here: random weights, which nothing is asked of."""
    return {"model": "builtin/llama-tiny", "pretrain_steps": 0, "max_question_tokens": 96, "max_rationale_tokens": 96}


@pytest.mark.slow
def test_on_real_samples_nat_nce_and_votes_weighed_by_a_ranking_model(tmp_path: Path, shared_data: Path) -> None:
    """Killed at random, and gone on with, in whatever stage it is."""
    database = tmp_path / "experiments.db"
    file = shared_data / "math_number_theory_gpt35x8.jsonl.gz"
    layers: dict[str, Any] = {
        "data": {"dataset": str(file), "answer": "latex", "limit": 24},
        "teacher": {"model": f"replay:{file}", "samples": 8},
        "student": base(),
        "training": {"steps": 4, "iterations": 2, "checkpoint_every": 2},
    }
    nat = done(database, layers, {"method": {"name": "nat", "negative_steps": 4}})
    nce = done(database, layers, {"method": {"name": "nce", "negative_steps": 4, "nat_steps": 4}})
    ranker = done(database, layers, {"method": {"name": "ranking", "epochs": 1, "batch_size": 8}})
    assert rows(database, "SELECT count(*) FROM stages WHERE name = 'negative' AND state = 'done'") == [(2,)]
    draw = random.Random(0)
    for run in (nat, nce):
        wanted = Wanted(run.id, samples=4, limit=6, judge=ranker.id)
        tries = 0

        def dies() -> None:
            if draw.random() < 0.4:
                raise RuntimeError("killed")

        while True:
            tries += 1
            try:
                made = carry_out(database, wanted, lambda step: None, dies if tries < 6 else lambda: None)
                break
            except RuntimeError as error:
                assert str(error) == "killed"  # noqa: PT017
        with open_reader(database) as con:
            key = JudgeKey(ranker.id, made.judge_step or 0)
            found = read_ballots(con, made.evaluation, made.questions, 4, key)
        points = curve(found.ballots, 4, "1+2s")
        assert [p.samples for p in points] == [1, 2, 4]
        assert all(0 <= p.weighted.low <= p.weighted.value <= p.weighted.high <= 1 for p in points)
        assert points[0].difference.value == 0
