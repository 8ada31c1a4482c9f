"""The runner of studies: what is left to run, and what its table says."""

import importlib.util
import json
import sys
from dataclasses import replace
from pathlib import Path
from threading import Lock
from types import SimpleNamespace

import pytest

from engine.evaluation.intervals import t_interval

ROOT = Path(__file__).resolve().parents[2]


def module(results: Path):
    spec = importlib.util.spec_from_file_location("study", ROOT / "studies" / "study.py")
    assert spec is not None
    assert spec.loader is not None
    found = importlib.util.module_from_spec(spec)

    sys.modules["study"] = found  # dataclasses look their module up
    spec.loader.exec_module(found)
    found.HERE = results
    return found


def line(arm: str, seed: int, right: int) -> str:
    scores = [{"split": "test", "head": "explain", "correct": right, "total": 1000}]
    return json.dumps({"arm": arm, "seed": seed, "commit": "c", "machine": "m", "seconds": 60, "scores": scores})


@pytest.fixture
def study(tmp_path: Path):
    (tmp_path / "results").mkdir()
    (tmp_path / "s.toml").write_text(
        'seeds = [1, 2, 3]\nreference = "a"\nset = []\n[arms]\na = []\nb = ["x=1"]\nc = []\n'
    )
    lines = [line("a", s, r) for s, r in ((1, 500), (2, 600), (3, 550))]
    lines += [line("b", s, r) for s, r in ((1, 530), (2, 620), (3, 590))] + [line("c", 1, 100), line("a", 9, 1)]
    (tmp_path / "results" / "s.jsonl").write_text("\n".join(lines) + "\n")
    found = module(tmp_path)
    return found, found.load(str(tmp_path / "s.toml"))


def test_what_is_finished_is_not_run_again(study) -> None:
    _, loaded = study
    assert loaded.missing() == [("c", 2), ("c", 3)]


def test_a_dropped_arm_is_run_with_the_first_seed_alone(study) -> None:
    _, loaded = study
    assert replace(loaded, dropped=["c"]).missing() == []
    assert replace(loaded, dropped=["c"], seeds=[4, 1]).missing() == [("a", 4), ("b", 4), ("c", 4)]


def test_the_table_pairs_by_seed_and_corrects_for_the_number_of_comparisons(study) -> None:
    found, loaded = study
    rows = {row.split(" | ")[0].removeprefix("| "): row for row in found.table(loaded).splitlines()}
    low, high = t_interval([3.0, 2.0, 4.0], 0.975) or (0.0, 0.0)  # two comparisons
    assert f"| +3.0 ({low:+.1f} to {high:+.1f}) | 1.0 |" in rows["b"]
    assert "| 55.0 (" in rows["a"]
    assert "| – | – | 60 |" in rows["a"]
    assert "| -40.0 | – | 60 |" in rows["c"]
    low, high = t_interval([3.0, 2.0, 4.0], 0.99) or (0.0, 0.0)
    assert f"| +3.0 ({low:+.1f} to {high:+.1f}) | 1.0 |" in found.table(replace(loaded, tests=5))


def test_all_arms_begin_from_the_base_and_other_bases_are_other_runs(study, tmp_path: Path) -> None:
    found, without = study
    text = (tmp_path / "s.toml").read_text()
    names = set()
    for base in ('["seed=9"]', '["seed=8"]'):
        (tmp_path / "s.toml").write_text(f"base = {base}\n{text}")
        loaded = found.load(str(tmp_path / "s.toml"))
        names.add(loaded.base_folder.name)
        assert f"student.model=./studies/{loaded.base_folder.name}" in loaded.sets("b", 1)
    assert len(names) == 2
    assert not any("student.model" in one for one in without.sets("b", 1))


def test_a_bases_student_is_kept_once_its_run_is_done(study, tmp_path: Path, monkeypatch) -> None:
    found, _ = study
    (tmp_path / "s.toml").write_text('base = ["seed=9"]\n' + (tmp_path / "s.toml").read_text())
    loaded = found.load(str(tmp_path / "s.toml"))
    monkeypatch.setattr(found, "trained", lambda *_: None)
    assert not found.make_base(loaded)
    assert not loaded.base_folder.exists()
    export = tmp_path / "runs" / "1" / "student"
    export.mkdir(parents=True)
    (export / "config.json").write_text("{}")
    monkeypatch.setattr(found, "trained", lambda *_: {"folder": "runs/1"})
    assert found.make_base(loaded)
    assert (loaded.base_folder / "config.json").exists()


def test_votes_are_counted_once_the_seeds_judge_is_there(study, tmp_path: Path, monkeypatch) -> None:
    found, _ = study
    (tmp_path / "s.toml").write_text(
        (tmp_path / "s.toml").read_text() + '[votes]\njudge = "c"\nevaluate = ["--samples", "8"]\n'
    )
    loaded = found.load(str(tmp_path / "s.toml"))
    assert loaded.unvoted() == [("a", 1), ("b", 1)]  # the judge has one seed yet

    asked: list[list[str]] = []
    rows = [
        {"samples": n, "count": 0.5, "weighted": 0.5 + n / 100, "difference": n / 100, "count_low": 0.4} for n in (4, 8)
    ]

    def qcrd(_, *arguments: str) -> SimpleNamespace:
        asked.append(list(arguments))
        return SimpleNamespace(returncode=0, stdout=json.dumps(rows))

    monkeypatch.setattr(found, "qcrd", qcrd)
    monkeypatch.setattr(found, "ask", lambda _, sql: [{"id": 7 if "'a seed" in sql else 9}])
    assert found.count_votes(loaded, "a", 1, Lock())
    assert asked == [["evaluate", "7", "--vote", "asc", "--ranking", "9", "--samples", "8", "--json"]]
    assert loaded.unvoted() == [("b", 1)]
    assert len(loaded.finished()) == 7
    assert "| a | 1 | 50.0 | 58.0 | +8.0 |" in found.table(loaded)
    assert "| count of 8 | ASC of 8 |" in found.table(loaded)
    again = replace(loaded, evaluate=["--samples", "4"])
    assert again.unvoted() == [("a", 1), ("b", 1)]  # asked otherwise, they are counted anew
