"""Recorded outputs of real teachers, from file to scores: SVAMP by PaLM, MATH by GPT-3.5."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from engine.answers.kinds import join
from engine.spec.template import to_toml
from engine.students import tiny
from tests import warm
from tests.e2e.real_runs import SMALL, SMALL_QCRD, Ended, done, ended, read_jsonl, rows, spec_of

SVAMP = "svamp_train.jsonl"
MATH = ("math_prealgebra_gpt35x8.jsonl.gz", "math_number_theory_gpt35x8.jsonl.gz")


def layers_of(file: Path) -> dict[str, Any]:
    """Dataset and teacher in one recorded file, with the method that the file is for."""
    math = file.name in MATH
    return {
        "name": file.name,
        "data": {"dataset": str(file), "answer": "latex" if math else "equation"},
        "teacher": {"model": f"replay:{file}", "samples": 8 if math else 1},
        "method": SMALL_QCRD if math else {"name": "dss"},
    }


def check(database: Path, run: Ended, file: Path) -> None:
    """What must hold of any of these runs."""
    sizes = {split: int(run.facts[f"data/examples/{split}"]) for split in ("train", "validation", "test")}
    for who in ("student", "untrained"):
        for head in ("predict", "explain"):
            assert run.scores["test", who, head][1] == sizes["test"] - without_gold(database, run, "test")

    asked = sizes["train"] + sizes["validation"]
    samples = 8 if file.name in MATH else 1
    trained = sizes["train"] * samples
    assert run.facts["vote/samples"] == trained
    parsed = sum(value for name, value in run.facts.items() if name.startswith("vote/rule/"))
    assert parsed == trained
    assert run.facts["vote/rule/miss"] / parsed < 0.05
    assert run.facts["vote/vote accuracy"] >= run.facts["vote/sample accuracy"]
    recorded = {row["id"]: row["samples"] for row in read_jsonl(file)}
    stored = rows(database, "SELECT example, slot, text FROM teacher_samples WHERE run_id = ?", run.id)
    assert len(stored) == asked * samples
    assert all(recorded[example][slot] == text for example, slot, text in stored)

    words = AutoTokenizer.from_pretrained(run.folder / "tokenizer")
    spec = json.loads(rows(database, "SELECT spec FROM runs WHERE id = ?", run.id)[0][0])["student"]
    trained = "FROM votes v JOIN examples x ON x.key = v.example JOIN run_datasets d USING (run_id, dataset_id)"
    trained += " WHERE v.run_id = ? AND x.split = 'train' AND v.answer IS NOT NULL"
    questions = rows(database, f"SELECT x.question {trained}", run.id)
    targets = "SELECT t.text, r.answer FROM rationales r JOIN texts t ON t.id = r.text_id WHERE r.run_id = ? AND"
    targets += (
        f" r.source != 'self' AND r.polarity IN ('positive', 'negative') AND r.example IN (SELECT example {trained})"
    )
    texts = [join(text, answer) for text, answer in rows(database, targets, run.id, run.id)]
    prompts = [f"explain: {question}" for (question,) in questions]
    for what, found, limit, line in (
        ("questions", prompts, spec["max_question_tokens"], "training questions longer than {} tokens: {}, cut"),
        ("rationales", texts, spec["max_rationale_tokens"], "rationales longer than {} tokens: {}, cut in the middle"),
    ):
        long = sum(len(ids) > limit for ids in words(found)["input_ids"])
        assert run.facts[f"train/{what} cut"] == long
        assert (line.format(limit, long) in run.logs) == (long > 0)
    assert run.facts["train/examples"] == len(questions)


def without_gold(database: Path, run: Ended, split: str) -> int:
    sql = "SELECT count(*) FROM examples JOIN run_datasets USING (dataset_id) WHERE run_id = ? AND split = ?"
    return int(rows(database, sql + " AND answer IS NULL", run.id, split)[0][0])


@pytest.mark.parametrize("name", MATH)
def test_math_with_eight_samples_and_qcrd(database: Path, shared_data: Path, name: str) -> None:
    file = shared_data / name
    run = done(
        database,
        layers_of(file),
        {"data": {"limit": 8}},
        {"student": {"max_question_tokens": 64, "max_rationale_tokens": 64}},
    )
    check(database, run, file)
    assert run.facts["train/rationales cut"] > 0
    assert run.facts["train/questions cut"] > 0
    assert run.facts["train/minority negatives"] > 0
    assert "auc/minority" in {name for (name,) in rows(database, "SELECT name FROM series")}
    assert rows(database, "SELECT count(*) FROM rationales WHERE source = 'self'")[0][0] > 0


def test_svamp_with_dss_from_the_command_line(database: Path, shared_data: Path) -> None:
    file = shared_data / SVAMP
    (database.parent / "svamp.toml").write_text(to_toml(spec_of(SMALL, layers_of(file))))
    variables = {k: v for k, v in os.environ.items() if k != "QCRD_DB"}

    def qcrd(*arguments: str) -> str:
        out, err = database.parent / f"{arguments[0]}.out", database.parent / f"{arguments[0]}.err"
        process = warm.start_command(arguments, database.parent, variables, out, err)
        process.join()
        assert process.exitcode == 0, err.read_text()
        return out.read_text()

    said = qcrd("run", "svamp.toml", "--set", "data.limit=30")
    assert "explain" in said
    assert "majority class" in said
    run = ended(database, 1, 0)
    assert (run.status, run.error) == ("done", None)
    check(database, run, file)
    assert run.facts["vote/sample accuracy"] > 0.6
    # PaLM runs on into the next few-shot question; no student may learn that
    learned = rows(database, "SELECT text FROM rationales r JOIN texts t ON t.id = r.text_id")
    assert not any("Q:" in text for (text,) in learned)
    shown = json.loads(qcrd("show", "last", "--json"))
    assert "svamp_train.jsonl" in json.dumps(shown)


@pytest.mark.parametrize("name", [SVAMP, *MATH])
def test_the_built_in_tokeniser_gives_real_text_back(shared_data: Path, name: str) -> None:
    """Line ends, LaTeX and accents, in texts that it was not made from as well."""
    texts = [text for row in read_jsonl(shared_data / name)[:300] for text in (row["question"], *row["samples"])]
    words = tiny.build_tokenizer(texts[:200])
    assert len(words) <= tiny.BPE_VOCABULARY
    back = words.batch_decode(words(texts)["input_ids"], skip_special_tokens=True)
    assert [text for text, same in zip(texts, back, strict=True) if text != same] == []


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", [SVAMP, *MATH])
def test_a_whole_recorded_file(database: Path, shared_data: Path, name: str) -> None:
    file = shared_data / name
    run = done(database, layers_of(file), {"student": {"max_question_tokens": 256, "max_rationale_tokens": 256}})
    check(database, run, file)
    assert sum(run.facts[f"data/examples/{split}"] for split in ("train", "validation", "test")) == len(
        read_jsonl(file)
    )
    if name == MATH[1]:
        assert sum(without_gold(database, run, split) for split in ("train", "validation", "test")) == 2
