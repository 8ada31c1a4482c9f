"""What a run has leaves in forms that others read, byte for byte, and comes back as it was."""

import json
from pathlib import Path
from typing import Any

import pytest

from engine.exchange.exporting import export_rows, why_empty
from engine.exchange.files import write_rows
from engine.exchange.importing import import_samples
from engine.records import Dataset, Example, Rationale, Sample, Voted
from engine.spec.run import RunSpec
from engine.store.ledger.ledger import Ledger
from engine.store.rationales.notes import remark
from engine.store.recorder import Recorder
from engine.store.runs.run import create_run
from engine.store.writer import Writer

HOSTILE = "\x1b]52;c;aGk=\x07[/][@click=app.quit]\u2028\u202e\x85\r\n\x00 '\"\\ é 😀"
EXAMPLES = (
    Example("a", f"Q {HOSTILE}?", "1"),
    Example("b", "second?", None),
    Example("c'; --", "third?", "3"),
)
HELD_OUT = Example("v", "held out?", "4")


def spec(model: str = "openai/theirs", samples: int = 3) -> RunSpec:
    return RunSpec.model_validate(
        {
            "teacher": {"model": model, "api_base": "http://127.0.0.1:1/v1", "samples": samples},
            "method": {"name": "dss"},
        }
    )


def rationale(number: int, example: str, text: str, slot: int, source: str, iteration: int = 0) -> Rationale:
    polarity: Any = "positive" if source == "teacher" else "negative"
    return Rationale(number, example, text, str(slot), "strict", polarity, source, iteration, slot)


def a_run(path: Path, run_spec: RunSpec, voted: bool = True) -> int:
    """A run with three samples for each question, a vote, and a negative of the student's own."""
    run_id = create_run(path, run_spec)
    with Writer(path) as writer:
        recorder = Recorder(writer, run_id)
        recorder.dataset(Dataset("d", {"train": EXAMPLES, "validation": (HELD_OUT,), "test": ()}, "hash"))
        recorder.flush()
        everyone = (*EXAMPLES, HELD_OUT)
        Ledger(writer, run_id).record(
            run_spec.teacher.model,
            [Sample(e.id, slot, f"{e.id} {slot} {HOSTILE}") for e in everyone for slot in range(3)],
        ).result()
        if voted:
            made = []
            for i, e in enumerate(everyone):
                positives = tuple(rationale(3 * i + s, e.id, f"why {s} {HOSTILE}", s, "teacher") for s in (0, 2))
                negative = rationale(3 * i + 1, e.id, "not so", 1, "minority")
                votes = (negative,) if e.id != "b" else ()
                made.append(Voted(e, "0", 2, 3, False, positives, votes))
            recorder.votes(made, set(), {})
            recorder.rationales([rationale(100 + t, "a", f"own {t}", t, "self", iteration=5) for t in (0, 1)])
    return run_id


def read(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".parquet":
        import pyarrow.parquet

        return list(pyarrow.parquet.read_table(path).to_pylist())
    return [json.loads(line) for line in path.read_bytes().split(b"\n") if line]


@pytest.mark.parametrize("name", ["o.jsonl", "o.jsonl.gz", "o.parquet"])
def test_samples_go_out_and_come_in_again_as_they_were(tmp_path: Path, name: str) -> None:
    database = tmp_path / "e.db"
    run_id = a_run(database, spec())
    given = list(export_rows(database, run_id, "qcrd"))
    assert [row["id"] for row in given] == ["a", "b", "c'; --", "v"]
    assert given[0]["samples"] == [f"a {slot} {HOSTILE}" for slot in range(3)]
    assert given[0]["question"] == EXAMPLES[0].question
    assert (given[0]["answer"], given[1]["answer"], given[3]["split"]) == ("1", None, "validation")
    assert (given[0]["polarities"], given[0]["vote"], given[0]["votes"]) == (
        ["positive", "negative", "positive"],
        "0",
        2,
    )
    assert write_rows(tmp_path / name, given) == 4
    if name != "o.jsonl.gz":
        assert read(tmp_path / name) == given
    # into another database, of whose spec a run then needs no call
    other = tmp_path / "other.db"
    found = import_samples(tmp_path / name, other, spec(), (*EXAMPLES, HELD_OUT))
    assert (found.new, found.broken, found.unmatched) == (12, 0, 0)
    from engine.teacher.sampling import sample

    second = create_run(other, spec())
    with Writer(other) as writer:
        Recorder(writer, second).dataset(
            Dataset("d", {"train": EXAMPLES, "validation": (HELD_OUT,), "test": ()}, "hash")
        )
        sample(spec(), (*EXAMPLES, HELD_OUT), Ledger(writer, second), NoOrders())
    again = list(export_rows(other, second, "qcrd"))
    assert [(r["id"], r["question"], r["answer"], r["samples"]) for r in again] == [
        (r["id"], r["question"], r["answer"], r["samples"]) for r in given
    ]


class NoOrders:
    def poll(self) -> None:
        pass


def test_preference_pairs_have_each_rationale_and_no_validation_question(tmp_path: Path) -> None:
    database = tmp_path / "e.db"
    run_id = a_run(database, spec())
    rows = list(export_rows(database, run_id, "preference"))
    # a: two positives, three negatives; b has no negative; c: two positives, one negative
    assert [row["id"] for row in rows] == ["a", "a", "a", "c'; --", "c'; --"]
    first = rows[0]
    assert first["prompt"] == [{"role": "user", "content": EXAMPLES[0].question}]
    assert first["chosen"] == [{"role": "assistant", "content": f"why 0 {HOSTILE} Answer: 0"}]
    assert first["rejected"] == [{"role": "assistant", "content": "not so Answer: 1"}]
    assert [row["rejected_source"] for row in rows] == ["minority", "self", "self", "minority", "minority"]
    assert [row["rejected_model"] for row in rows[:2]] == ["openai/theirs", None]
    assert [row["rejected_iteration"] for row in rows[:2]] == [0, 5]
    assert (first["chosen_answer"], first["vote"], first["votes"], first["samples"], first["gold"]) == (
        "0",
        "0",
        2,
        3,
        "1",
    )
    assert len({json.dumps(row["chosen"]) for row in rows[:3]}) == 2
    assert len({json.dumps(row["rejected"]) for row in rows[:3]}) == 3
    write_rows(tmp_path / "p.parquet", rows)
    assert read(tmp_path / "p.parquet") == rows


def test_what_people_remarked_goes_out(tmp_path: Path) -> None:
    database = tmp_path / "e.db"
    run_id = a_run(database, spec())
    remark(database, run_id, "a", note=HOSTILE)
    remark(database, run_id, "a", 1, flagged=True)
    row = next(export_rows(database, run_id, "qcrd"))
    assert (row["flagged"], row["notes"]) == ([False, True, False], [None] * 3)
    assert (row["question_flagged"], row["question_note"]) == (False, HOSTILE.strip())
    first = next(export_rows(database, run_id, "preference"))
    assert (first["chosen_flagged"], first["rejected_flagged"], first["chosen_note"]) == (False, True, None)
    assert first["question_note"] == HOSTILE.strip()


def test_kto_rows_are_labelled(tmp_path: Path) -> None:
    database = tmp_path / "e.db"
    rows = list(export_rows(database, a_run(database, spec()), "kto"))
    assert [(row["id"], row["label"]) for row in rows if row["completion_source"] != "self"] == [
        *(("a", True), ("a", False), ("a", True)),
        *(("b", True), ("b", True)),
        *(("c'; --", True), ("c'; --", False), ("c'; --", True)),
    ]
    assert rows[0]["completion"] == [{"role": "assistant", "content": f"why 0 {HOSTILE} Answer: 0"}]
    write_rows(tmp_path / "k.parquet", rows)
    assert read(tmp_path / "k.parquet") == rows


@pytest.mark.parametrize("model", ["replay:some.jsonl", "text-completion-openai/davinci-002"])
def test_texts_where_the_teacher_had_no_turns(tmp_path: Path, model: str) -> None:
    database = tmp_path / "e.db"
    rows = list(export_rows(database, a_run(database, spec(model)), "preference"))
    assert (rows[0]["prompt"], rows[0]["rejected"]) == (EXAMPLES[0].question, "not so Answer: 1")


def test_a_run_before_its_vote_has_samples_alone(tmp_path: Path) -> None:
    database = tmp_path / "e.db"
    run_id = a_run(database, spec(), voted=False)
    rows = list(export_rows(database, run_id, "qcrd"))
    assert len(rows) == 4
    assert rows[0]["polarities"] == [None, None, None]
    assert write_rows(tmp_path / "p.parquet", export_rows(database, run_id, "preference")) == 0
    assert not (tmp_path / "p.parquet").exists()
    assert "before its vote" in why_empty(database, run_id, "preference")
    empty = create_run(database, spec())
    assert list(export_rows(database, empty, "qcrd")) == []
    assert "no samples" in why_empty(database, empty, "qcrd")


def test_more_questions_than_are_read_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.exchange.exporting.QUESTIONS", 2)
    database = tmp_path / "e.db"
    run_id = a_run(database, spec())
    assert [row["id"] for row in export_rows(database, run_id, "qcrd")] == ["a", "b", "c'; --", "v"]
    assert len(list(export_rows(database, run_id, "kto"))) == 10


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    def failing() -> Any:
        yield {"id": "a"}
        raise OSError("disk full")

    for name in ("o.jsonl", "o.parquet"):
        with pytest.raises(OSError, match="disk full"):
            write_rows(tmp_path / name, failing())
    assert list(tmp_path.iterdir()) == []
