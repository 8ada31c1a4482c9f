"""What users bring: a student in a folder, data in Parquet, questions without gold answers, more answers a question."""

from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset, DatasetDict
from transformers import (
    AutoModelForSeq2SeqLM,
    AutoTokenizer,
    BertConfig,
    BertModel,
    PreTrainedTokenizerFast,
    T5ForConditionalGeneration,
)

from engine.data.arithmetic import generate
from engine.runs import pipeline, provenance, worker
from engine.spec.sections import ArithmeticConfig
from engine.store.runs.run import create_run
from engine.students import tiny
from tests.e2e.real_runs import FEW, SMALL, SMALL_QCRD, done, ended, read_jsonl, rows, run, spec_of, write_splits

SHORT: dict[str, Any] = {"student": {"max_rationale_tokens": 40}, "teacher": {"samples": 3}, "data": FEW}


def questions(train: int = 24, others: int = 8) -> dict[str, list[dict[str, Any]]]:
    """Questions that the built-in teacher can read, by split."""
    made = generate(0, ArithmeticConfig(train=train, validation=others, test=others, unseen=others)).splits
    return {
        split: [{"id": x.id, "question": x.question, "answer": x.answer} for x in made[split]]
        for split in ("train", "validation", "test")
    }


@pytest.fixture(scope="module")
def t5_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A T5 with dropout, as `save_pretrained` leaves it."""
    folder = tmp_path_factory.mktemp("model") / "my-t5"
    texts = [f"predict: explain: {row['question']} Answer: {row['answer']}" for row in questions(200)["train"]]
    words = tiny.build_tokenizer(texts)
    words.save_pretrained(folder)
    torch.manual_seed(0)
    T5ForConditionalGeneration(tiny.config(words, dropout=0.1)).save_pretrained(folder)
    return folder


def test_a_student_and_a_discriminator_from_a_folder_and_the_export_as_the_next_student(
    database: Path, t5_folder: Path
) -> None:
    method = {**SMALL_QCRD, "discriminator": {**SMALL_QCRD["discriminator"], "encoder": str(t5_folder)}}
    # so high a learning rate that six steps move every weight
    layers = (SHORT, {"data": {"limit": 12}, "method": method, "training": {"lr": 0.02}})
    first = done(database, *layers, {"student": {"model": str(t5_folder)}})
    exported = first.folder / "student"
    given = AutoModelForSeq2SeqLM.from_pretrained(t5_folder).state_dict()
    taken = AutoModelForSeq2SeqLM.from_pretrained(exported).state_dict()
    assert given.keys() == taken.keys()
    assert all(torch.isfinite(value).all() for value in taken.values())
    best = int(next(line for line in first.logs if "best on validation" in line).split("step ")[1].split()[0])
    moved = any(not torch.equal(given[name], taken[name]) for name in given)
    assert moved == (best > 0), "the export is the best checkpoint: step 0 is the student as it came"
    assert AutoTokenizer.from_pretrained(exported).get_vocab() == AutoTokenizer.from_pretrained(t5_folder).get_vocab()

    second = done(database, *layers, {"student": {"model": str(exported)}})
    # what the first run ends with is what the second begins with
    said = "SELECT example, head, text FROM predictions p JOIN texts t ON t.id = p.text_id"
    said += " WHERE run_id = ? AND split = 'followed' AND step = ? ORDER BY example, head"
    assert len(rows(database, said, first.id, best)) == 8
    assert rows(database, said, second.id, 0) == rows(database, said, first.id, best)


def test_a_model_of_another_kind_is_one_line(database: Path, tmp_path: Path, t5_folder: Path) -> None:
    bert = tmp_path / "other"
    config = BertConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, vocab_size=500
    )
    BertModel(config).save_pretrained(bert)
    AutoTokenizer.from_pretrained(t5_folder).save_pretrained(bert)
    student = {"student": {"model": str(bert)}, "method": {"name": "dss"}}
    as_student = run(database, SHORT, {"data": {"limit": 4}}, student)
    assert as_student.status == "failed"
    assert as_student.error is not None
    assert "student.model" in as_student.error
    assert "is a bert model" in as_student.error
    assert "\n" not in as_student.error
    # as an encoder of the discriminator it will do
    method = {**SMALL_QCRD, "discriminator": {"encoder": str(bert), "pretrain_steps": 2, "every": 2}}
    done(database, SHORT, {"data": {"limit": 4}, "method": method})


def test_a_worker_that_dies_while_it_saves_the_tokeniser_is_picked_up(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = PreTrainedTokenizerFast.save_pretrained

    def half(self: PreTrainedTokenizerFast, folder: Path, **options: Any) -> None:
        save(self, folder, **options)
        (Path(folder) / "tokenizer.json").write_text("{")
        raise SystemExit("killed")

    with monkeypatch.context() as patch:
        patch.setattr(PreTrainedTokenizerFast, "save_pretrained", half)
        died = run(database, SHORT, {"data": {"limit": 6}, "method": {"name": "dss"}})
    assert died.status == "failed"
    assert worker.work(database, died.id) == 0
    assert len(AutoTokenizer.from_pretrained(died.folder / "tokenizer")) > 30


@pytest.mark.parametrize("form", ["parquet", "save_to_disk"])
def test_data_in_parquet_or_saved_by_datasets(database: Path, tmp_path: Path, form: str) -> None:
    mine = DatasetDict({
        split: Dataset.from_list([{"number": r["id"], "body": r["question"], "label": r["answer"]} for r in found])
        for split, found in questions(10, 6).items()
    })  # fmt: skip
    folder = tmp_path / "mine"
    if form == "parquet":
        folder.mkdir()
        for split, part in mine.items():
            part.to_parquet(folder / f"{split}.parquet")
    else:
        mine.save_to_disk(folder)
    columns = {"id": "number", "question": "body", "answer": "label"}
    ended = done(database, SHORT, {"data": {"dataset": str(folder), "columns": columns}, "method": {"name": "dss"}})
    assert [ended.facts[f"data/examples/{split}"] for split in ("train", "validation", "test")] == [10, 6, 6]
    assert ended.scores["test", "student", "explain"][1] == 6
    assert rows(database, "SELECT count(*) FROM teacher_samples WHERE polarity = 'positive'")[0][0] > 10


def test_questions_without_gold_take_part_but_not_in_accuracy(database: Path, tmp_path: Path) -> None:
    mine = questions(12, 8)
    blanks: list[Any] = [None, "", "  "]
    for found in mine.values():
        for i, blank in enumerate(blanks):
            found[2 * i]["answer"] = blank
    folder = write_splits(tmp_path / "mine", mine)
    ended = done(database, SHORT, {"data": {"dataset": str(folder)}, "method": {"name": "positives"}})
    assert {total for (split, _, _), (_, total) in ended.scores.items() if split in ("validation", "test")} == {5}
    assert ended.facts["vote/vote total"] == 12 - 3
    assert ended.facts["vote/samples"] == 3 * 12
    assert rows(database, "SELECT count(*) FROM run_samples") == [(3 * (12 + 8),)]
    assert sum("have no gold answer: left out of accuracy" in line for line in ended.logs) == 3
    verdicts = "SELECT count(*), count(correct) FROM predictions WHERE split = 'test' AND head = 'explain'"
    assert rows(database, verdicts) == [(8, 5)]
    # the vote needs no gold: those questions are trained on like any other
    without = {mine["train"][2 * i]["id"] for i in range(len(blanks))}
    assert without & {example for (example,) in rows(database, "SELECT example FROM last_visits")}


def test_no_gold_at_all_runs_through_and_scores_nothing(database: Path, tmp_path: Path) -> None:
    mine = {split: [{**row, "answer": None} for row in found] for split, found in questions(12, 6).items()}
    folder = write_splits(tmp_path / "mine", mine)
    ended = done(database, SHORT, {"data": {"dataset": str(folder)}, "method": {"name": "dss"}})
    assert {total for _, total in ended.scores.values()} <= {0}
    agreed = rows(database, "SELECT count(*) FROM metric_points WHERE name = 'agreement/explain'")
    assert agreed[0][0] > 0, "the vote still selects the best checkpoint"


def test_several_answers_a_question_add_majority_and_pass(database: Path) -> None:
    layers = ({"data": {"limit": 12}, "method": {"name": "dss"}}, {"evaluation": {"samples": 3}})
    # a student that has learned a little, so that votes have something to disagree about
    ended = done(database, SHORT, *layers, {"training": {"steps": 60, "batch_size": 12, "lr": 5e-3}})
    for split in ("test", "unseen"):
        for head in ("predict", "explain"):
            majority, passed = (ended.scores[split, f"student {what}@3", head] for what in ("maj", "pass"))
            assert majority[1] == passed[1] == 12
            assert majority[0] <= passed[0]


def test_recorded_rows_with_an_empty_gold_answer(database: Path, tmp_path: Path, shared_data: Path) -> None:
    """Two of number theory's answers are empty in the source."""
    file = shared_data / "math_number_theory_gpt35x8.jsonl.gz"
    recorded = read_jsonl(file)
    empty = [row for row in recorded if not row["answer"].strip()]
    assert len(empty) == 2
    short = sorted((row for row in recorded if row["answer"].strip()), key=lambda row: len(str(row["samples"])))
    mine = [*short[:6], empty[0]], short[6:9], [*short[9:12], empty[1]]
    folder = write_splits(tmp_path / "mine", dict(zip(("train", "validation", "test"), mine, strict=True)))
    ended = done(
        database,
        {"data": {"dataset": str(folder), "answer": "latex"}},
        {"teacher": {"model": f"replay:{file}", "samples": 8}, "method": {"name": "positives"}},
        {"student": {"max_rationale_tokens": 64}},
    )
    assert ended.scores["test", "student", "explain"][1] == 3
    assert ended.facts["vote/vote total"] == 6


def test_a_run_is_not_resumed_on_changed_data_and_says_when_its_code_or_machine_changed(
    database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = questions(12, 4)
    folder = write_splits(tmp_path / "mine", mine)
    layers = (SMALL, SHORT, {"data": {"dataset": str(folder)}, "method": {"name": "positives"}})
    run_id = create_run(database, spec_of(*layers))

    def stopped_at_once(spec, path, run_id, recorder, orders) -> None:
        orders.request_stop()
        pipeline.run_stages(spec, path, run_id, recorder, orders)

    assert worker.work(database, run_id, stopped_at_once) == 130
    train = folder / "train.jsonl"
    whole = train.read_text()
    train.write_text("".join(whole.splitlines(keepends=True)[:-1]))
    found = ended(database, run_id, worker.work(database, run_id))
    assert (found.code, found.status) == (1, "failed")
    assert "has changed since this run began" in str(found.error)

    train.write_text(whole)
    collect = provenance.collect
    monkeypatch.setattr(provenance, "collect", lambda *of: {**collect(*of), "python": "2.7"})
    found = ended(database, run_id, worker.work(database, run_id))
    assert (found.code, found.status) == (0, "done")
    assert any("python was" in line and "is 2.7 now" in line for line in found.logs)
