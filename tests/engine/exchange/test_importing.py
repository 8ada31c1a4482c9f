"""Recorded outputs become the samples that a spec's teacher would be asked for: a run then asks nobody."""

import gzip
import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from engine.errors import UsageError
from engine.exchange import lines
from engine.exchange.importing import Imported, import_samples
from engine.records import Example
from engine.spec.run import RunSpec
from engine.spec.teachers import TeacherConfig
from engine.store.ledger.ledger import Ledger
from engine.store.writer import Writer
from engine.teacher.sampling import sample

EXAMPLES = [Example("a", "How many apples?"), Example("b", "How many\npears?"), Example("c", "And plums?")]
NOBODY = "http://127.0.0.1:1/v1"
"""Nothing listens there: whoever asks fails."""


class NoOrders:
    def poll(self) -> None:
        pass


def spec(samples: int = 2, **teacher: Any) -> RunSpec:
    return RunSpec(
        teacher=TeacherConfig.model_validate(
            {"model": "openai/theirs", "api_base": NOBODY, "samples": samples, "attempts": 1, **teacher}
        )
    )


def write(path: Path, *rows: object) -> Path:
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def take(path: Path, run_spec: RunSpec | None = None, examples: list[Example] = EXAMPLES, **options: Any) -> Imported:
    return import_samples(path, path.parent / "e.db", run_spec or spec(), examples, **options)


def run_of(folder: Path, run_spec: RunSpec, examples: list[Example], run: int = 1) -> dict[str, list[str]]:
    """The texts that a run of the spec uses."""
    with Writer(folder / "e.db") as writer:
        writer.execute(
            "INSERT INTO runs (id, name, status, method, dataset, teacher, student, seed, spec, folder, created_at, "
            "steps, iterations) VALUES (?, 'r', 'running', 'dss', 'd', 't', 's', 0, '{}', '', 0, 1, 1)",
            (run,),
        )
        found = sample(run_spec, examples, Ledger(writer, run), NoOrders())
    return {key: [s.text for s in samples] for key, samples in found.items()}


def rows(folder: Path, query: str) -> list[tuple[Any, ...]]:
    db = sqlite3.connect(folder / "e.db")
    try:
        return db.execute(query).fetchall()
    finally:
        db.close()


def test_a_run_of_the_spec_asks_for_nothing_that_was_imported(tmp_path: Path) -> None:
    file = write(
        tmp_path / "o.jsonl",
        {"id": "a", "question": "How many apples?", "samples": ["one", "two", "three"], "model": "theirs-v2"},
        "",
        {"id": "x", "question": " How many pears? ", "samples": ["four", "four"]},
        {"id": "b", "question": "And plums?", "samples": ["five \x1b]52;c;aGk=\x07[/]\u2028", "six"]},
    )
    found = take(file)
    assert (found.new, found.known, found.spare, found.rows) == (7, 0, 1, 3)
    assert found.questions == {"a", "b", "c"}
    assert found.models == {"theirs-v2": 3}
    assert run_of(tmp_path, spec(), EXAMPLES) == {
        "a": ["one", "two"],
        "b": ["four", "four"],
        "c": ["five \x1b]52;c;aGk=\x07[/]\u2028", "six"],
    }
    assert rows(tmp_path, "SELECT count(*) FROM attempts") == [(0,)]
    (origin,) = rows(tmp_path, "SELECT file, length(hash), layout FROM imports")
    assert origin == (str(file), 64, "qcrd")
    assert rows(tmp_path, "SELECT line, model, count(*) FROM imported_samples GROUP BY 1, 2 ORDER BY 1") == [
        (1, "theirs-v2", 3),
        (3, None, 2),
        (4, None, 2),
    ]


def test_raising_samples_uses_what_lies_beyond(tmp_path: Path) -> None:
    take(write(tmp_path / "o.jsonl", {"id": "a", "question": "How many apples?", "samples": ["1", "2", "3"]}))
    assert run_of(tmp_path, spec(samples=3), EXAMPLES[:1]) == {"a": ["1", "2", "3"]}


def test_importing_again_adds_nothing_and_another_file_only_what_is_new(tmp_path: Path) -> None:
    row = {"id": "a", "question": "How many apples?"}
    file = write(tmp_path / "o.jsonl", {**row, "samples": ["x", "x", "y"]})
    assert take(file).new == 3
    again = take(file)
    assert (again.new, again.known) == (0, 3)
    # the same outputs one a line, one of them once more, and a new one
    more = write(tmp_path / "m.jsonl", *({**row, "samples": [text]} for text in ("y", "x", "x", "x", "z")))
    other = take(more)
    assert (other.new, other.known) == (2, 3)
    assert run_of(tmp_path, spec(samples=5), EXAMPLES[:1]) == {"a": ["x", "x", "y", "x", "z"]}
    assert take(more).new == take(file).new == 0


def test_rows_of_one_question_far_apart_count_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.exchange.importing.ROWS", 1)
    row = {"id": "a", "question": "How many apples?", "samples": ["same"]}
    file = write(tmp_path / "o.jsonl", row, row, row)
    assert take(file).new == 3
    assert take(file).new == 0


def test_what_was_bought_keeps_its_slots(tmp_path: Path) -> None:
    from tests.engine.teacher.openai_server import serve

    with serve(reply=lambda question, number: f"bought {number}") as server:
        asked = spec(api_base=server.url)
        run_of(tmp_path, asked, EXAMPLES[:1])
        found = take(
            write(tmp_path / "o.jsonl", {"id": "a", "question": "How many apples?", "samples": ["new", "bought 1"]}),
            asked,
        )
        assert (found.new, found.known, found.spare) == (1, 1, 1)
        wider = spec(samples=3, api_base=server.url)
        assert run_of(tmp_path, wider, EXAMPLES[:1], run=2) == {"a": ["bought 0", "bought 1", "new"]}
        assert len(server.requests) == 1


def test_an_id_of_another_question_is_no_match(tmp_path: Path) -> None:
    file = write(
        tmp_path / "o.jsonl",
        {"id": "a", "question": "Something else?", "samples": ["no"]},
        {"id": 7, "question": "And plums?", "samples": ["yes", "  "]},
    )
    found = take(file)
    assert (found.new, found.empty, found.unmatched) == (1, 1, 1)
    assert found.unmatched_named == [f"{file}:1: a"]


def test_broken_lines_are_named_skipped_and_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "LONGEST_LINE", 2000)
    good = {"id": "a", "question": "How many apples?", "samples": ["one"]}
    file = tmp_path / "o.jsonl"
    parts = [
        b"{",
        json.dumps(good).encode(),
        b"[" * 1500,
        b'{"question": "q\xff", "samples": []}',
        b'{"question": "q"}',
        b'"' + b"x" * 9000 + b'"',
        b'{"n": ' + b"9" * 5000 + b"}",
        json.dumps({**good, "samples": ["two"]}).encode(),
        b"x" * 2001,
    ]
    file.write_bytes(b"\n".join(parts))
    found = take(file)
    assert (found.new, found.rows, found.broken) == (2, 2, 7)
    assert [name.removeprefix(str(file)) for name in found.broken_named] == [
        ":1: not a JSON object",
        ":3: not a JSON object",
        ":4: not UTF-8 text",
        ':5: "samples" is missing or no list of texts',
        ":6: longer than 0 MiB",
    ]


def test_a_cut_gzip_file_gives_what_it_has(tmp_path: Path) -> None:
    row = {"id": "a", "question": "How many apples?"}
    text = "".join(json.dumps({**row, "samples": [str(i)]}) + "\n" for i in range(3000))
    file = tmp_path / "o.jsonl.gz"
    file.write_bytes(gzip.compress(text.encode())[:-4000])
    found = take(file)
    assert found.broken == 1
    assert "not a whole gzip file" in found.broken_named[0]
    assert found.new + found.left == found.rows > 0


def test_nothing_of_use_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none of its 1 rows .* 3 questions"):
        take(write(tmp_path / "o.jsonl", {"id": "q", "question": "q", "samples": ["a"]}))
    with pytest.raises(UsageError, match="cannot tell its layout, its columns are text"):
        take(write(tmp_path / "p.jsonl", {"text": "q"}))
    with pytest.raises(UsageError, match="it has no row that can be read"):
        take(write(tmp_path / "empty.jsonl"))
    with pytest.raises(UsageError, match=r"cannot read .*none\.jsonl: No such file"):
        take(tmp_path / "none.jsonl")
    with pytest.raises(UsageError, match="is no whole Parquet file"):
        take(write(tmp_path / "p.parquet", "PAR"))
    with pytest.raises(UsageError, match="reads a file itself"):
        take(write(tmp_path / "o.jsonl", {}), RunSpec(teacher=TeacherConfig(model="replay:x.jsonl")))
    assert not (tmp_path / "imports").exists()


@pytest.mark.parametrize(
    "row",
    [
        {"instruction": "How many apples?", "generation": "one", "model_name": "m", "distilabel_metadata": {}},
        {"instruction": "How many apples?", "generation": ["one", None], "model_name": "m"},
        {"instruction": "How many apples?", "generations": ["one"], "model_names": ["m"]},
        {"instruction": "How many apples?", "grouped_generation": ["one"], "grouped_model_name": ["m"]},
        {
            "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "How many apples?"}],
            "generation": "one",
            "model_name": "m",
        },
        {
            "messages": [
                {"role": "user", "content": [{"type": "text", "text": "How many apples?"}]},
                {"role": "assistant", "content": "one"},
            ],
            "model_name": "m",
        },
    ],
)
def test_distilabel(tmp_path: Path, row: dict[str, Any]) -> None:
    found = take(write(tmp_path / "o.jsonl", row, {"instruction": "And plums?", "generation": None}))
    assert (found.layout, found.new, found.rows, found.broken) == ("distilabel", 1, 2, 0)
    assert found.models == {"m": 1}
    assert rows(tmp_path, "SELECT t.text FROM samples s JOIN texts t ON t.id = s.text_id") == [("one",)]


def test_an_openai_batch_by_ids_and_by_its_request_file(tmp_path: Path) -> None:
    def result(name: str, *texts: str, status: int = 200) -> dict[str, Any]:
        choices = [
            {"index": i, "message": {"role": "assistant", "content": t}, "finish_reason": "length"}
            for i, t in enumerate(texts)
        ]
        body = {"model": "m-2026", "choices": choices}
        return {
            "id": "r",
            "custom_id": name,
            "response": {"status_code": status, "request_id": "x", "body": body},
            "error": None,
        }

    file = write(
        tmp_path / "out.jsonl",
        result("a", "one", "two"),
        result("job-1", "three"),
        result("job-2", "four"),
        result("c", status=500),
        {"id": "r", "custom_id": "c", "response": None, "error": {"code": "expired"}},
    )
    alone = take(file)
    assert (alone.layout, alone.new, alone.unmatched, alone.broken) == ("openai-batch", 2, 2, 2)
    assert "the batch has no answer to it (HTTP 500)" in alone.broken_named[0]
    asked = write(
        tmp_path / "in.jsonl",
        *(
            {
                "custom_id": f"job-{i}",
                "url": "/v1/chat/completions",
                "body": {
                    "model": "m",
                    "messages": [{"role": "user", "content": "shot"}, {"role": "user", "content": question}],
                },
            }
            for i, question in ((1, "How many pears?"), (2, "And plums?"))
        ),
    )
    both = take(file, requests=asked)
    assert (both.new, both.known, both.unmatched) == (2, 2, 0)
    assert both.models == {"m-2026": 4}
    assert run_of(tmp_path, spec(samples=1), EXAMPLES) == {"a": ["one"], "b": ["three"], "c": ["four"]}
    assert rows(tmp_path, "SELECT DISTINCT finish FROM samples") == [("length",)]


def test_of_several_teachers_each_gets_what_the_file_says_is_its(tmp_path: Path) -> None:
    both = spec(samples=4, others=({"model": "openai/second", "share": 0.5, "api_base": NOBODY},))
    row = {"id": "a", "question": "How many apples?"}
    texts = {"theirs": [f"theirs {i}" for i in range(9)], "second-2026-01-01": [f"second {i}" for i in range(9)]}
    file = write(tmp_path / "o.jsonl", *({**row, "samples": s, "model": model} for model, s in texts.items()))
    assert take(file, both, EXAMPLES[:1]).new == 18
    assert take(file, both, EXAMPLES[:1]).new == 0
    found = run_of(tmp_path, both, EXAMPLES[:1])["a"]
    assert len(found) == 4
    stored = rows(
        tmp_path, "SELECT DISTINCT s.model, substr(t.text, 1, 6) FROM samples s JOIN texts t ON t.id = text_id"
    )
    assert sorted(stored) == [("openai/second", "second"), ("openai/theirs", "theirs")]


def test_hidden_reasoning_comes_along(tmp_path: Path) -> None:
    message = {"role": "assistant", "content": "7", "reasoning_content": "3 + 4"}
    write(
        tmp_path / "b.jsonl",
        {"custom_id": "a", "response": {"status_code": 200, "body": {"choices": [{"message": message}]}}},
    )
    take(tmp_path / "b.jsonl")
    take(
        write(
            tmp_path / "q.jsonl", {"id": "b", "question": "How many pears?", "samples": ["8"], "reasoning": ["5 + 3"]}
        )
    )
    stored = "SELECT t.text, h.text FROM samples s JOIN texts t ON t.id = s.text_id JOIN texts h ON h.id = reasoning_id"
    assert sorted(rows(tmp_path, stored)) == [("7", "3 + 4"), ("8", "5 + 3")]


def test_parquet(tmp_path: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    table = pyarrow.table({"id": ["a", "b"], "question": [e.question for e in EXAMPLES[:2]], "samples": [["1"], ["2"]]})
    pyarrow.parquet.write_table(table, tmp_path / "o.parquet")
    assert take(tmp_path / "o.parquet").new == 2
    assert run_of(tmp_path, spec(samples=1), EXAMPLES[:2]) == {"a": ["1"], "b": ["2"]}


def test_real_outputs(shared_data: Path, tmp_path: Path) -> None:
    with gzip.open(shared_data / "math_number_theory_gpt35x8.jsonl.gz", "rt") as opened:
        given = [next(opened) for _ in range(200)]
    file = tmp_path / "o.jsonl.gz"
    file.write_bytes(gzip.compress("".join(given).encode()))
    examples = [Example(row["id"], row["question"], row["answer"]) for row in map(json.loads, given)]
    found = take(file, spec(samples=8), examples)
    assert (len(found.questions), found.unmatched, found.broken, found.spare) == (200, 0, 0, 0)
    assert found.new + found.empty == 1600
    assert take(file, spec(samples=8), examples).new == 0
