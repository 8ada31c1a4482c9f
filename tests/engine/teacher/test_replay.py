"""Recorded teachers: looked up by id and question, stored like any others, bad files named by line."""

import gzip
import json
import sqlite3
from pathlib import Path

import pytest

from engine.errors import UsageError
from engine.records import Example
from engine.spec.run import RunSpec
from engine.spec.teachers import TeacherConfig
from engine.store.ledger.ledger import Ledger
from engine.store.writer import Writer
from engine.teacher.replay import read_recorded, replay
from engine.teacher.sampling import sample


def write(path: Path, *rows: object) -> str:
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return f"replay:{path}"


def test_by_id_then_by_question_and_never_an_id_of_another_question(tmp_path: Path) -> None:
    model = write(
        tmp_path / "r.jsonl",
        {"id": "0", "question": "one?", "samples": ["a", "b", "c"]},
        "",
        {"id": 1, "question": "two?", "samples": ["d"]},
        {"question": "three?", "samples": []},
    )
    examples = [
        Example("0", " one?\n"),
        Example("1", "one?"),
        Example("x", "two?"),
        Example("y", "three?"),
        Example("z", "?"),
    ]
    found = replay(read_recorded(model), examples, 2)
    texts = {e: [s.text for s in samples] for e, samples in found.samples.items()}
    assert texts == {"0": ["a", "b"], "1": ["a", "b"], "x": ["d"], "y": [], "z": []}
    assert (found.missing, found.short) == (2, 1)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "not a JSON object"),
        ("[1]", "not a JSON object"),
        ('{"samples": []}', '"question" is missing'),
        ('{"question": "q"}', '"samples" is missing'),
        ('{"question": "q", "samples": [1]}', '"samples" is missing or no list of texts'),
        ("[" * 100_000, "not a JSON object"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str, said: str) -> None:
    model = write(tmp_path / "r.jsonl", {"id": "0", "question": "q", "samples": ["a"]}, line)
    with pytest.raises(UsageError, match=said) as caught:
        read_recorded(model)
    assert "r.jsonl:2" in str(caught.value)


def test_a_missing_an_empty_and_a_cut_file_are_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot read .*none\.jsonl: No such file"):
        read_recorded(f"replay:{tmp_path}/none.jsonl")
    with pytest.raises(UsageError, match=r"empty\.jsonl has no rows"):
        read_recorded(write(tmp_path / "empty.jsonl"))
    cut = tmp_path / "cut.jsonl.gz"
    cut.write_bytes(gzip.compress(b'{"question": "q", "samples": ["' + bytes(range(65, 91)) * 500 + b'"]}\n')[:-20])
    with pytest.raises(UsageError, match=r"cut\.jsonl\.gz:1: not a whole gzip file"):
        read_recorded(f"replay:{cut}")
    plain = tmp_path / "plain.jsonl.gz"
    plain.write_text("{}")
    with pytest.raises(UsageError, match=r"plain\.jsonl\.gz:1: not a whole gzip file"):
        read_recorded(f"replay:{plain}")
    latin = tmp_path / "latin.jsonl"
    latin.write_bytes(b'{"question": "q\xe9"}')
    with pytest.raises(UsageError, match=r"latin\.jsonl:1: not UTF-8"):
        read_recorded(f"replay:{latin}")


def test_a_file_for_another_dataset_is_an_error(tmp_path: Path) -> None:
    model = write(tmp_path / "r.jsonl", {"id": "0", "question": "q", "samples": ["a"]})
    with pytest.raises(UsageError, match=r"no output for any of the 1"):
        replay(read_recorded(model), [Example("0", "another question")], 5)


@pytest.mark.parametrize(
    ("name", "k", "examples", "samples"),
    [
        ("svamp_train.jsonl", 5, 800, 800),
        ("math_prealgebra_gpt35x8.jsonl.gz", 8, 1205, 9640),
        ("math_number_theory_gpt35x8.jsonl.gz", 4, 869, 3476),
    ],
)
def test_recorded_outputs_of_real_teachers_go_through_the_store(
    shared_data: Path, tmp_path: Path, name: str, k: int, examples: int, samples: int
) -> None:
    recorded = read_recorded(f"replay:{shared_data / name}")
    asked = [Example(key, question) for key, (question, _) in recorded.by_id.items()]
    assert len(asked) == examples
    spec = RunSpec(teacher=TeacherConfig(model=f"replay:{shared_data / name}", samples=k))
    said: list[str] = []
    with Writer(tmp_path / "e.db") as writer:
        writer.execute(
            "INSERT INTO runs (id, name, status, method, dataset, teacher, student, seed, spec, folder, created_at, "
            "steps, iterations) VALUES (1, 'r', 'running', 'dss', 'd', 't', 's', 0, '{}', '', 0, 1, 1)"
        )
        found = sample(spec, asked, Ledger(writer, 1), _NoOrders(), say=lambda _, line: said.append(line))
        assert sample(spec, asked, Ledger(writer, 1), _NoOrders()) == found
    assert sum(len(v) for v in found.values()) == samples
    assert (said == []) == (samples == k * examples)
    db = sqlite3.connect(tmp_path / "e.db")
    stored = db.execute(
        "SELECT u.example, u.slot, t.text FROM run_samples u JOIN samples s ON s.id = u.sample_id "
        "JOIN texts t ON t.id = s.text_id"
    ).fetchall()
    assert sorted(stored) == sorted((s.example_id, s.slot, s.text) for v in found.values() for s in v)
    assert db.execute("SELECT count(*) FROM attempts").fetchone() == (0,)
    db.close()


class _NoOrders:
    def poll(self) -> None:
        pass
