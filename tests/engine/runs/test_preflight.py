"""What `--dry-run` finds before anything is spent."""

import json
from pathlib import Path

import pytest
from transformers import GPT2Config, OPTConfig

from engine.runs.costs import all_together
from engine.runs.preflight import check
from engine.runs.report import Report
from engine.spec.load import read_spec


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Twenty questions with recorded outputs for all but two of them."""
    rows = [{"id": str(i), "question": f"what is {i} plus one ?", "answer": str(i + 1)} for i in range(20)]
    path = tmp_path / "data.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    recorded = [{**row, "samples": ["<Answer>: 1"] * 2} for row in rows[2:]]
    (tmp_path / "samples.jsonl").write_text("".join(json.dumps(row) + "\n" for row in recorded))
    return path


def checked(tmp_path: Path, *overrides: str) -> Report:
    spec = read_spec({}, overrides, where="test", folder=tmp_path)
    return check(spec, tmp_path / "experiments.db")


def lines(report: Report) -> str:
    return "\n".join(f"{label}: {text}" for label, text in report.lines)


def test_the_built_in_experiment_has_no_problem_and_says_what_it_takes(tmp_path: Path) -> None:
    report = checked(tmp_path)
    assert report.problems == []
    text = lines(report)
    assert "data: arithmetic: 4000 train, 500 validation, 2000 test, 1000 unseen" in text
    assert "22,500 wanted, 0 of them are in the database already, 22,500 to buy" in text
    assert "0 of 4000 longer than student.max_question_tokens = 512" in text
    assert "an estimate" in text
    assert "490 MB for Python and its libraries" in text
    assert not (tmp_path / "experiments.db").exists()


def test_questions_over_the_limit_are_counted(tmp_path: Path) -> None:
    assert "4000 of 4000 longer than student.max_question_tokens = 8: cut" in lines(
        checked(tmp_path, "student.max_question_tokens=8")
    )
    report = checked(tmp_path, "student.max_question_tokens=8", "student.too_long=skip")
    assert any("every question is longer" in problem for problem in report.problems)


def test_recorded_outputs_are_held_against_the_questions(tmp_path: Path, data: Path) -> None:
    report = checked(tmp_path, f"data.dataset={data}", "teacher.model=replay:samples.jsonl")
    assert report.problems == []
    assert "18 questions with recorded outputs" in lines(report)


def test_a_wrong_column_a_missing_key_and_a_missing_folder_are_all_told_at_once(
    tmp_path: Path, data: Path, monkeypatch
) -> None:
    monkeypatch.delenv("TEACHER_KEY", raising=False)
    overrides = [f"data.dataset={data}", 'data.columns={question = "body"}', "teacher.api_key_env=TEACHER_KEY"]
    spec = read_spec({}, [*overrides, "teacher.model=openai/some"], where="test", folder=tmp_path)
    report = check(spec, tmp_path / "gone" / "experiments.db")
    database, column, key = report.problems
    assert "there is no folder" in database
    assert "body" in column
    assert "TEACHER_KEY" in key


def test_a_key_is_shown_by_its_name_alone(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("TEACHER_KEY", "sk-very-secret")
    report = checked(tmp_path, "teacher.api_key_env=TEACHER_KEY", "teacher.model=openai/some")
    assert report.problems == []
    assert "TEACHER_KEY" in lines(report)
    assert "sk-very-secret" not in lines(report)


def test_a_causal_student_and_its_adapters_are_counted(tmp_path: Path) -> None:
    whole = checked(tmp_path, "student.model=builtin/llama-tiny", "data.limit=50")
    adapters = checked(tmp_path, "student.model=builtin/llama-tiny", "data.limit=50", "student.lora.r=2")
    assert whole.problems == adapters.problems == []
    assert "pre-trained first: 1,200 steps on generated text" in lines(whole)
    counted = [next(text for label, text in report.lines if label == "student") for report in (whole, adapters)]
    # 4 layers: 4 matrices of 64 x 64 and 3 of 64 x 192 each; rank 2
    assert counted[1].removeprefix(counted[0]) == (
        f", {4 * 2 * (4 * 128 + 3 * 256):,} more in adapters: they alone are trained"
    )


def test_a_student_of_no_kind_or_that_reads_too_little_is_a_problem(tmp_path: Path) -> None:
    OPTConfig().save_pretrained(tmp_path / "opt")
    GPT2Config(n_positions=512).save_pretrained(tmp_path / "gpt2")
    (problem,) = checked(tmp_path, f"student.model={tmp_path / 'opt'}").problems
    assert "is a opt model; only the T5 kind (t5, mt5) and the causal kinds llama, qwen2, qwen3, gpt2" in problem
    (problem,) = checked(tmp_path, f"student.model={tmp_path / 'gpt2'}").problems
    assert "reads 512 tokens at once, student.max_question_tokens + student.max_rationale_tokens are 1024" in problem


def test_a_folder_without_a_model_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (problem,) = checked(tmp_path, f"student.model={tmp_path / 'model'}").problems
    assert "student.model" in problem
    assert "\n" not in problem


def test_a_hub_id_that_cannot_be_had_is_a_problem_at_once(tmp_path: Path, monkeypatch) -> None:
    import httpx
    from huggingface_hub import HfApi

    def unreachable(*_: object, **__: object) -> None:
        raise httpx.ConnectError("no such host")

    monkeypatch.setattr(HfApi, "model_info", unreachable)
    (problem,) = checked(tmp_path, "student.model=owner/never-existed").problems
    assert "owner/never-existed" in problem
    assert "no such host" in problem


def test_the_judge_is_in_the_bill_and_a_small_budget_is_warned_of(tmp_path: Path, data: Path) -> None:
    prices = [f"{who}.{way}_usd_per_million=1" for who in ("teacher", "selection.judge") for way in ("input", "output")]
    own = "openai/mine", "http://127.0.0.1:1/v1"
    ends = [f"{who}.{key}={value}" for who in ("teacher", "selection.judge")
            for key, value in zip(("model", "api_base"), own, strict=True)]  # fmt: skip
    report = checked(
        tmp_path, f"data.dataset={data}", *prices, *ends, "teacher.samples=2", "teacher.budget_calls=3", "until=vote"
    )
    assert report.problems == []
    teacher, judge = report.estimates
    assert judge.calls == teacher.samples > 0
    assert judge.most_usd
    text = lines(report)
    assert f"calls: up to {judge.calls}:" in text
    assert f"total: from ${teacher.usd.low if teacher.usd else 0:,.4g} to " in text
    assert "warning: teacher.budget_calls = 3 is too little" in text
    # a grid's runs ask the same and judge the same, and what asks nobody is free
    given = (f"data.dataset={data}", *prices, *ends, "teacher.samples=2")
    specs = [
        read_spec({}, [*given, f"method.name={method}", f"seed={seed}", "data.seed=0"], where="test", folder=tmp_path)
        for method in ("dss", "qcrd", "finetune")
        for seed in (0, 1)
    ]
    together = all_together(specs, tmp_path / "experiments.db")
    assert together.estimates == [teacher, judge]
    assert [line for line in together.lines if line[0] == "total"] == [x for x in report.lines if x[0] == "total"]
