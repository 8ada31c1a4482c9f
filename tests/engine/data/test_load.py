"""Loading: what a file becomes, and the one line that a bad one ends in."""

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.data import hub, splits
from engine.data.hashing import dataset_hash
from engine.data.load import load
from engine.data.rows import Row
from engine.errors import UsageError
from engine.records import Example
from engine.spec.run import RunSpec


def dataset(path, **data):
    return load(RunSpec.model_validate({"data": {"dataset": str(path), **data}}))


def lines(path: Path, *rows) -> Path:
    path.write_text("".join((r if isinstance(r, str) else json.dumps(r)) + "\n" for r in rows), encoding="utf-8")
    return path


def questions(n: int, start: int = 0):
    return [{"question": f"What is {i}?", "answer": str(i)} for i in range(start, start + n)]


def refused(path, *parts, **data):
    with pytest.raises(UsageError) as error:
        dataset(path, **data)
    message = str(error.value)
    assert "\n" not in message
    for part in parts:
        assert str(part) in message
    return message


def everything(made):
    return {e.id: e for part in made.splits.values() for e in part}


def test_one_file_is_divided_by_a_hash_of_the_id(tmp_path):
    path = lines(tmp_path / "q.jsonl", *questions(400))
    made = dataset(path)
    sizes = [len(made.splits[s]) for s in ("train", "validation", "test")]
    assert sum(sizes) == 400
    assert 290 < sizes[0] < 350
    assert min(sizes) > 20
    assert "by a hash of the id" in made.notes[0]
    assert everything(made)["row-7"] == Example("row-7", "What is 6?", "6")
    assert made.hash == dataset_hash(made.splits) == dataset(path).hash
    more = dataset(lines(tmp_path / "more.jsonl", *questions(500)))
    for split in ("train", "validation", "test"):
        assert set(made.splits[split]) <= set(more.splits[split]), "rows that are added move no other"
    assert dataset(path, seed=1).splits["test"] != made.splits["test"]


def test_a_folder_with_a_file_a_split(tmp_path):
    lines(tmp_path / "train.jsonl", *questions(90))
    (tmp_path / "test.csv").write_text("question,answer\r\nWhat is 1000?,1000\r\n", encoding="utf-8")
    made = dataset(tmp_path)
    assert made.splits["test"] == (Example("test-2", "What is 1000?", "1000"),)
    assert len(made.splits["train"]) + len(made.splits["validation"]) == 90
    assert 2 <= len(made.splits["validation"]) <= 22
    assert "no validation split" in made.notes[0]
    lines(tmp_path / "dev.jsonl", *questions(3, 200))
    made = dataset(tmp_path)
    assert [e.id for e in made.splits["validation"]] == ["validation-1", "validation-2", "validation-3"]
    assert made.notes == ()
    lines(tmp_path / "validation.jsonl", *questions(3, 300))
    refused(tmp_path, "two files for validation")


def test_every_format_gives_the_same_examples(tmp_path):
    rows = [*questions(30), {"question": 'Ümläut, "quoted"\nand a second line\u2028?', "answer": None}]
    plain = lines(tmp_path / "a.jsonl", *rows)
    zipped = tmp_path / "b.jsonl.gz"
    zipped.write_bytes(gzip.compress(plain.read_bytes()))
    crlf = tmp_path / "c.jsonl"
    crlf.write_bytes(b"\xef\xbb\xbf" + plain.read_bytes().replace(b"\n", b"\r\n") + b"\r\n  \r\n")
    csv = tmp_path / "d.csv"
    body = "".join('"{}","{}"\r\n'.format(r["question"].replace('"', '""'), r["answer"] or "") for r in rows)
    csv.write_bytes(b"\xef\xbb\xbf" + ("question,answer\r\n" + body).encode())
    import pyarrow as pa
    import pyarrow.parquet as pq

    parquet = tmp_path / "e.parquet"
    pq.write_table(pa.Table.from_pylist(rows), parquet)
    found = [sorted((e.question, e.answer or "") for e in everything(dataset(p)).values())
             for p in (plain, zipped, crlf, csv, parquet)]  # fmt: skip
    assert found.count(found[0]) == 5


def test_columns_are_mapped_and_gold_may_be_missing(tmp_path):
    rows = [{"key": f"k{i}", "body": f"q {i}", "label": label} for i, label in
            enumerate([1, 2.5, "3/4", None, "", "  ", float("nan"), "x"])]  # fmt: skip
    path = lines(tmp_path / "q.jsonl", *rows)
    made = dataset(path, columns={"id": "key", "question": "body", "answer": "label"})
    assert {i: e.answer for i, e in everything(made).items()} == {
        "k0": "1", "k1": "2.5", "k2": "3/4", "k3": None, "k4": None, "k5": None, "k6": None, "k7": "x"
    }  # fmt: skip
    assert any("no gold answer" in n for n in made.notes)
    assert any("no plain numbers" in n and "k7" in n for n in made.notes)
    assert all(e.answer is None for e in everything(
        dataset(path, columns={"question": "body", "answer": ""})).values())  # fmt: skip


def test_a_missing_column_names_the_nearest(tmp_path):
    path = lines(tmp_path / "q.jsonl", *({"Question": f"q{i}", "gold": "1"} for i in range(9)))
    refused(path, path, "no column 'question'", "Question, gold", "did you mean 'Question'?")
    refused(path, "no column 'answer'", 'columns = {answer = ""}', columns={"question": "Question"})
    refused(path, "no column 'goold'", "'gold'", columns={"question": "Question", "answer": "goold"})
    refused(path, "no column 'uid'", columns={"question": "Question", "answer": "gold", "id": "uid"})


GOOD = '{"question": "q", "answer": 1}'


@pytest.mark.parametrize(
    ("bad", "part"),
    [
        ('{"question": "q", "answer"', "not JSON"),
        ("[1, 2]", "must be a JSON object"),
        ("[" * 100_000, "not JSON"),
        ('{"answer": 1}', "no column 'question'"),
        ('{"question": "", "answer": 1}', "question is empty"),
        ('{"question": null, "answer": 1}', "question is empty"),
        ('{"question": " \\n ", "answer": 1}', "question is empty"),
        ('{"question": ["q"], "answer": 1}', "must be text"),
        ('{"question": "q", "answer": {"a": 1}}', "must be text"),
        ('{"question": "q", "answer": true}', "must be text"),
        ('{"question": "\\ud800", "answer": 1}', "not valid text"),
        ('{"question": "q", "answer": 1' + "1" * 5000 + "}", ""),
        ('{"question": "a\0b", "answer": 1}', "not JSON"),
    ],
)
def test_a_bad_row_is_named_by_its_line(tmp_path, bad, part):
    path = lines(tmp_path / "q.jsonl", GOOD, "", bad, *questions(9))
    refused(path, f"{path}:3", part)


@pytest.mark.parametrize(
    ("data", "where", "part"),
    [
        (b"question,answer\nq,1\nq,1,2\n", ":3", "3 fields"),
        (b'question,answer\nq,1\n"q,1\n', ":3", "not CSV"),
        (b"question,question\nq,1\n", ":1", "twice"),
        (b"question,answer\nq,1\n,1\n", ":3", "empty"),
        (b"question,answer\nq,1\n\xff,1\n", ":3", "UTF-8"),
        (b"question,answer\n", "", "no rows"),
        (b"", "", "no rows"),
    ],
)
def test_a_bad_csv_is_named_by_its_line(tmp_path, data, where, part):
    path = tmp_path / "q.csv"
    path.write_bytes(data)
    refused(path, f"{path}{where}", part)


def test_files_that_are_none(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lines(tmp_path / "questions.jsonl", *questions(9))
    refused("question.jsonl", "there is no file question.jsonl", "did you mean questions.jsonl?")
    refused("./nothing.csv", "there is no file")
    refused("aritmetic", 'did you mean "arithmetic"?')
    refused("x" * 5000, "no preset")
    (tmp_path / "q.jsonl.gz").write_bytes(gzip.compress(b"x" * 1000)[:-9])
    refused("q.jsonl.gz", "not a whole gzip file")
    (tmp_path / "r.jsonl.gz").write_bytes(b"plain")
    refused("r.jsonl.gz", "gzip")
    (tmp_path / "q.parquet").write_bytes(b"PAR1 or not")
    refused("q.parquet", "not a Parquet file")
    (tmp_path / "q.txt").write_text("x")
    refused("q.txt", ".jsonl")
    (tmp_path / "folder").mkdir()
    refused("folder", "no file for a split")


def test_an_id_is_used_once(tmp_path):
    rows = [{"id": i, **q} for i, q in zip([1, 2, 3, 2, 5], questions(5), strict=True)]
    path = lines(tmp_path / "q.jsonl", *rows)
    refused(path, f"{path}:4", "'2'", f"{path}:2")


def test_too_few_rows_say_how_many_are_needed(tmp_path):
    refused(lines(tmp_path / "one.jsonl", *questions(1)), "1 row ", "at least 3")
    refused(lines(tmp_path / "two.jsonl", *questions(2)), "2 rows ", "at least 3")
    (tmp_path / "f").mkdir()
    lines(tmp_path / "f" / "train.jsonl", *questions(1))
    lines(tmp_path / "f" / "test.jsonl", *questions(1, 5))
    refused(tmp_path / "f", "at least 2")


@given(st.integers(3, 40), st.integers(0, 5), st.integers(0, 99))
def test_every_split_has_rows_whatever_the_hash(n, seed, offset):
    rows = [Example(str(i + offset), "q") for i in range(n)]
    made, _ = splits.complete("d", {"train": rows}, seed)
    assert all(made.values())
    assert sorted(e.id for part in made.values() for e in part) == sorted(e.id for e in rows)


def test_limit_and_share(tmp_path):
    path = lines(tmp_path / "q.jsonl", *questions(400))
    whole = dataset(path)
    assert dataset(path, limit=10).splits["test"] == whole.splits["test"][:10]
    half, tenth = (set(dataset(path, train_share=s).splits["train"]) for s in (0.5, 0.1))
    assert tenth < half < set(whole.splits["train"])
    assert abs(len(half) / len(whole.splits["train"]) - 0.5) < 0.1
    assert dataset(path, train_share=0.5).splits["test"] == whole.splits["test"]
    assert len(dataset(path, train_share=1e-9).splits["train"]) == 1
    assert dataset(path, limit=10).hash != whole.hash


def test_choices_are_options_shown_with_the_question(tmp_path):
    rows = [
        {"question": "Where?", "choices": ["bank", "river"], "answer": "B"},
        {"question": "Where, bank or river?", "choices": ["bank", "river"], "answer": "river"},
        {"question": "Why?", "choices": "x|y", "answer": None},
        {"question": "How?", "choices": {"text": ["so", "thus"], "label": ["A", "B"]}, "answer": "(a)"},
    ]
    made = everything(dataset(lines(tmp_path / "q.jsonl", *rows), answer="choice"))
    assert made["row-1"] == Example("row-1", "Where?\nAnswer Choices:\n(a) bank\n(b) river", "river", ("bank", "river"))
    assert made["row-2"].question == "Where, bank or river?"
    assert made["row-3"].choices == ("x", "y")
    assert made["row-4"].answer == "so"
    bad = {"question": "?", "choices": ["bank", "river"], "answer": "sea"}
    refused(lines(tmp_path / "b.jsonl", *rows, bad), ":5", "'sea'", "bank, river", answer="choice")
    bad = {"question": "?", "choices": ["bank", "bank"], "answer": "bank"}
    refused(lines(tmp_path / "c.jsonl", *rows, bad), ":5", "different", answer="choice")


def test_learning_from_gold_needs_gold(tmp_path):
    path = lines(tmp_path / "q.jsonl", *({"question": f"q{i}", "answer": None} for i in range(9)))
    assert dataset(path).splits["train"]
    refused(path, "no training question has a gold answer", labels="gold")
    with pytest.raises(UsageError, match="no training question has a gold answer"):
        load(RunSpec.model_validate({"data": {"dataset": str(path)}, "method": {"name": "finetune"}}))


def test_a_megabyte_of_question_is_kept(tmp_path):
    path = lines(tmp_path / "q.jsonl", *questions(9), {"question": "why " * 262_144, "answer": "1"})
    assert max(len(e.question) for e in everything(dataset(path)).values()) > 1_000_000
    body = "question,answer\n" + "".join(f"q{i},1\n" for i in range(9)) + "why " * 262_144 + ",1\n"
    (tmp_path / "q.csv").write_text(body)
    assert max(len(e.question) for e in everything(dataset(tmp_path / "q.csv")).values()) > 1_000_000


def test_the_generator():
    made = load(RunSpec.model_validate({"data": {"limit": 20}}))
    assert all(len(part) == 20 for part in made.splits.values())
    assert {"train", "validation", "test"} <= made.splits.keys()
    refused("arithmetic", 'data.answer = "number"', answer="latex")


def test_recorded_files(shared_data):
    svamp = dataset(shared_data / "svamp_train.jsonl", answer="equation")
    assert len(everything(svamp)) == 800
    assert everything(svamp)["svamp-train-0000"].answer == "( 84.0 / 2.0 )"
    theory = dataset(shared_data / "math_number_theory_gpt35x8.jsonl.gz", answer="latex")
    assert sum(e.answer is None for e in everything(theory).values()) == 2


def test_folders_that_datasets_saved(tmp_path):
    import datasets

    part = datasets.Dataset.from_list([{**q, "id": f"a{i}"} for i, q in enumerate(questions(20))])
    part.save_to_disk(str(tmp_path / "one"))
    made = dataset(tmp_path / "one")
    assert len(everything(made)) == 20
    label = datasets.ClassLabel(names=["yes", "no"])
    both = datasets.Dataset.from_dict(
        {"question": ["a?", "b?", "c?"], "answer": [0, 1, -1]},
        features=datasets.Features({"question": datasets.Value("string"), "answer": label}),
    )
    datasets.DatasetDict({"train": both, "validation": both, "test": both}).save_to_disk(str(tmp_path / "two"))
    made = dataset(tmp_path / "two", answer="text")
    assert made.splits["test"] == (
        Example("test-1", "a?", "yes"), Example("test-2", "b?", "no"), Example("test-3", "c?", None)
    )  # fmt: skip


HUB = {
    "ChilleD/SVAMP": {"Body": "He had 3. He lost 1", "Question": "How many?", "Equation": "( 3.0 - 1.0 )",
                      "Answer": "2.0"},
    "tau/commonsense_qa": {"id": "x", "question": "Where?", "choices": {"label": ["A", "B"], "text": ["bank", "sea"]},
                           "answerKey": "B"},
    "facebook/anli": {"premise": "It rains.", "hypothesis": "It is dry.", "label": "contradiction"},
    "esnli/esnli": {"premise": "It rains.", "hypothesis": "It is dry.", "label": 2},
    "openai/gsm8k": {"question": "How many?", "answer": "3 - 1 = <<3-1=2>>2\n#### 2"},
    "EleutherAI/hendrycks_math": {"problem": "Half?", "solution": "It is $\\boxed{\\frac{1}{2}}$.", "level": "Level 1"},
}  # fmt: skip


@pytest.fixture
def recorded_hub(monkeypatch):
    """The hub, with ten rows a split of the shape that each preset expects."""

    def read_hub(name, config=None, revision=None, splits=None):
        row = HUB[name]
        key = (lambda s, i: {"id": f"{s}{i}"}) if "id" in row else (lambda s, i: {})
        return {mine: [Row(f"{name} {s} row {i}", i, {**row, **key(s, i)}) for i in range(1, 11)]
                for s, mine in splits.items()}  # fmt: skip

    monkeypatch.setattr(hub, "read_hub", read_hub)


NLI = "premise: It rains. hypothesis: It is dry."
THREE = ("entailment", "neutral", "contradiction")


@pytest.mark.parametrize(
    ("name", "kind", "question", "answer", "choices"),
    [
        ("svamp", "number", "He had 3. He lost 1. How many?", "2.0", ()),
        ("svamp", "equation", "He had 3. He lost 1. How many?", "( 3.0 - 1.0 )", ()),
        ("cqa", "choice", "Where?\nAnswer Choices:\n(a) bank\n(b) sea", "sea", ("bank", "sea")),
        ("anli1", "choice", NLI, "contradiction", THREE),
        ("esnli", "choice", NLI, "contradiction", THREE),
        ("gsm8k", "number", "How many?", "2", ()),
        ("math", "latex", "Half?", "\\frac{1}{2}", ()),
    ],
)
def test_presets(recorded_hub, name, kind, question, answer, choices):
    made = dataset(name, answer=kind)
    assert all(made.splits[s] for s in ("train", "validation", "test"))
    example = made.splits["test"][0]
    assert (example.question, example.answer, example.choices) == (question, answer, choices)
    wrong = "text"
    refused(name, f'data.answer = "{kind}"' if name != "svamp" else '"number" or "equation"', answer=wrong)
    refused(name, "does not apply to the preset", answer=kind, columns={"question": "x"})


def test_a_preset_that_changed_is_named_by_its_row(recorded_hub, monkeypatch):
    monkeypatch.setitem(HUB, "openai/gsm8k", {"question": "How many?"})
    refused("gsm8k", "openai/gsm8k train row 1", "'answer'")


def test_an_unreachable_hub_is_one_line(monkeypatch):
    import datasets

    def fail(*args, **kwargs):
        raise ConnectionError("Couldn't reach it\nand a long trace")

    monkeypatch.setattr(datasets, "load_dataset", fail)
    refused("owner/name", "'owner/name'", "Couldn't reach it", "network")


def test_a_hub_id_may_name_a_config(monkeypatch):
    import datasets

    asked = []

    def answer(*args, **kwargs):
        asked.append(args)
        return datasets.DatasetDict({"train": datasets.Dataset.from_list(questions(9))})

    monkeypatch.setattr(datasets, "load_dataset", answer)
    assert len(everything(dataset("owner/name:main"))) == 9
    assert asked == [("owner/name", "main")]
