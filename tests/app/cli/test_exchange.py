"""import-samples and export-samples as commands: reports for people and programs, errors as one line."""

import json
from pathlib import Path

from engine.spec.run import RunSpec
from engine.store.recorder import Recorder
from engine.store.runs.run import create_run
from engine.store.writer import Writer
from tests.app.cli.cli_processes import Command

SPEC = """
[data]
dataset = "questions.jsonl"
[teacher]
model = "openai/theirs"
api_base = "http://127.0.0.1:1/v1"
samples = 2
[method]
name = "dss"
"""


def prepare(folder: Path) -> None:
    (folder / "run.toml").write_text(SPEC)
    lines = [json.dumps({"id": f"q{i}", "question": f"what is {i}?", "answer": str(i)}) for i in range(30)]
    (folder / "questions.jsonl").write_text("\n".join(lines))
    outputs = [
        {"id": f"q{i}", "question": f"what is {i}?", "samples": [f"\x1b[2J it is {i}", "2"], "model": "m[/]"}
        for i in range(31)
    ]
    (folder / "outputs.jsonl").write_text("\n".join(json.dumps(row) for row in outputs) + "\n{\n")


def test_what_was_imported_is_told(tmp_path: Path, qcrd: Command) -> None:
    prepare(tmp_path)
    first = qcrd("import-samples", "outputs.jsonl", "--spec", "run.toml", stub=False)
    assert first.returncode == 0, first.stderr
    assert first.stdout.startswith("5")  # of 30, those that are not in the test split: twice as many samples
    assert "samples of openai/theirs for" in first.stdout
    assert "the file names m[/] as the writer of" in first.stderr
    assert "outputs.jsonl:31: q30" in first.stderr
    assert "1 line cannot be used:\n  outputs.jsonl:32: not a JSON object" in first.stderr
    again = qcrd("import-samples", "outputs.jsonl", "--spec", "run.toml", "--json", stub=False)
    found = json.loads(again.stdout)
    assert (found["new"], found["known"], found["teacher"]) == (0, 2 * found["questions"], "openai/theirs")


def test_errors_are_one_line(tmp_path: Path, qcrd: Command) -> None:
    prepare(tmp_path)
    wrong = qcrd("import-samples", "run.toml", "--spec", "run.toml", stub=False)
    assert wrong.returncode == 2
    assert "cannot tell its layout" in wrong.stderr
    assert wrong.stderr.count("\n") == 1
    nobody = qcrd("import-samples", "outputs.jsonl", "--spec", "run.toml", "--set", "method.name=finetune", stub=False)
    assert nobody.returncode == 2
    assert "asks no teacher" in nobody.stderr


def test_an_export_goes_to_a_file_or_to_stdout(tmp_path: Path, qcrd: Command) -> None:
    from tests.engine.exchange.test_exporting import HOSTILE, a_run, spec

    a_run(tmp_path / "experiments.db", spec())
    out = qcrd("export-samples", "last", "-")
    assert out.returncode == 0, out.stderr
    assert out.stdout.isascii()
    assert "\x1b" not in out.stdout
    assert json.loads(out.stdout.splitlines()[0])["samples"][0] == f"a 0 {HOSTILE}"
    pairs = qcrd("export-samples", "1", "pairs.jsonl", "--format", "preference")
    assert (pairs.returncode, pairs.stderr) == (0, "5 rows in pairs.jsonl\n")
    assert set(json.loads((tmp_path / "pairs.jsonl").read_text().splitlines()[0])) >= {"prompt", "chosen", "rejected"}
    there = qcrd("export-samples", "1", "pairs.jsonl")
    assert there.returncode == 2
    assert "--force overwrites it" in there.stderr
    unknown = qcrd("export-samples", "1", "pairs.txt")
    assert (unknown.returncode, "must end in .jsonl" in unknown.stderr) == (2, True)


def test_a_run_without_samples_says_so(tmp_path: Path, qcrd: Command) -> None:
    run_id = create_run(tmp_path / "experiments.db", RunSpec())
    with Writer(tmp_path / "experiments.db") as writer:
        Recorder(writer, run_id).status("running")
    empty = qcrd("export-samples", "1", "o.parquet")
    assert (empty.returncode, empty.stderr) == (2, "error: run 1 has no samples of a teacher yet\n")
    assert not (tmp_path / "o.parquet").exists()
