"""Everything a user can get wrong: one clear line that says what to do, exit code 1 or 2, and nothing lost."""

import contextlib
import json
import os
import resource
import sqlite3
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from app.cli.main import main
from engine.spec.run import RunSpec
from engine.store.connect import open_writer
from engine.store.runs.run import create_run
from tests.app.cli.cli_processes import ask, work_here

SMALL = """
[teacher]
model = "replay:samples.jsonl"
samples = 1
attempts = 1
[method]
name = "positives"
[training]
steps = 2
iterations = 2
batch_size = 4
threads = 1
[evaluation]
every = 2
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch) -> Path:
    """Thirty questions, recorded outputs for them, and a spec that runs on both in a moment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("QCRD_DB", raising=False)
    write(tmp_path, rows())
    (tmp_path / "run.toml").write_text(SMALL)
    return tmp_path


def rows() -> list[dict[str, object]]:
    return [{"id": str(i), "question": f"what is {i} plus one ?", "answer": str(i + 1)} for i in range(30)]


def write(folder: Path, found: list[dict[str, object]]) -> None:
    recorded = [{**row, "samples": [f"<Explanation>: one more\n<Answer>: {i + 1}"]} for i, row in enumerate(found)]
    for name, lines in (("data.jsonl", found), ("samples.jsonl", recorded)):
        (folder / name).write_text("".join(json.dumps(line) + "\n" for line in lines))


@pytest.fixture
def call(folder: Path, capfd, monkeypatch):
    """Run a command in this process, its worker too: torch is loaded once for all tests. -> (code, stdout, stderr)"""

    work_here(monkeypatch)

    def run(*arguments: str) -> tuple[int, str, str]:
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        out, err = capfd.readouterr()
        return int(ended.value.code or 0), out, err

    return run


def only_line(err: str) -> str:
    """The command's last line, its one error; the worker's own output, which goes to its log, stands before it here."""
    line = err.splitlines()[-1]
    assert line.startswith("error: ")
    assert "Traceback" not in err
    return line


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["gone.toml"], "gone.toml: no such file; `qcrd init gone.toml`"),
        (["run.toml", "--set", "data.dataset=gone.jsonl"], "no such file: gone.jsonl"),
        (["run.toml", "--set", "training.stps=3"], "did you mean steps?"),
        (["run.toml", "--set", "method.name=qrcd"], "unknown method 'qrcd'; did you mean qcrd?"),
        (
            ["run.toml", "--set", "method.name=qcrd"],
            "method.negatives.lag = 5 must be smaller than training.iterations = 2",
        ),
        (["run.toml", "--db", "gone/x.db"], "there is no folder"),
        (["run.toml", "--db", "."], "is a folder"),
    ],
)
def test_what_can_be_told_at_once_makes_no_run(call, folder: Path, arguments: list[str], words: str) -> None:
    code, out, err = call("run", *arguments)
    assert code == 2
    assert words in only_line(err)
    assert len(err.splitlines()) == 1
    assert out == ""
    assert not (folder / "experiments.db").exists()


def test_a_wrong_column(call) -> None:
    for arguments in ([], ["--dry-run"]):
        columns = 'data.columns={question = "body"}'
        code, _, err = call("run", "run.toml", "--set", "data.dataset=data.jsonl", "--set", columns, *arguments)
        line = only_line(err)
        assert code == (2 if arguments else 1)
        assert "data.jsonl" in line
        assert "'body'" in line
        assert "question, answer" in line


def test_a_dataset_of_one_row(call, folder: Path) -> None:
    write(folder, rows()[:1])
    code, _, err = call("run", "run.toml", "--set", "data.dataset=data.jsonl")
    assert code == 1
    assert "data.jsonl: 1 row" in only_line(err)


def test_an_empty_answer_is_left_out_of_accuracy_and_said(call, folder: Path) -> None:
    found = rows()
    for row in found[:20]:
        row["answer"] = ""
    write(folder, found)
    code, _, err = call("run", "run.toml", "--set", "data.dataset=data.jsonl")
    assert code == 0, err
    database = folder / "experiments.db"
    assert ask(database, "SELECT count(*) FROM logs WHERE message LIKE '%no gold answer%'") > 0
    assert ask(database, "SELECT total FROM scores WHERE split = 'train' AND who = 'teacher vote'") < 25


@pytest.mark.parametrize(("setting", "fact"), [("cut", "questions cut"), ("skip", "questions skipped")])
def test_a_question_of_a_megabyte_is_cut_or_skipped_and_counted(call, folder: Path, setting: str, fact: str) -> None:
    found = rows()
    for row in found:
        row["question"] = f"{row['question']} " + ("word " * 200_000 if row["id"] == "0" else "")
    write(folder, found)
    lines = (folder / "data.jsonl").read_text().splitlines(keepends=True)
    (folder / "data").mkdir()
    for split, part in (("train", lines[:20]), ("validation", lines[20:25]), ("test", lines[25:])):
        (folder / "data" / f"{split}.jsonl").write_text("".join(part))
    code, _, err = call("run", "run.toml", "--set", "data.dataset=data", "--set", f"student.too_long={setting}")
    assert code == 0, err
    assert ask(folder / "experiments.db", f"SELECT value FROM facts WHERE name = '{fact}'") == 1


@pytest.fixture
def refusing() -> Iterator[str]:
    """A server that knows nobody's key; its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = b'{"error": {"message": "Incorrect API key provided: sk-very-secret", "code": "invalid_api_key"}}'
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(401)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
    thread.join()
    server.server_close()


def test_an_unreachable_server_and_a_wrong_key(call, folder: Path, refusing: str, monkeypatch) -> None:
    monkeypatch.setenv("TEACHER_KEY", "sk-very-secret")
    settings = ["data.dataset=data.jsonl", "teacher.model=openai/some", "teacher.api_key_env=TEACHER_KEY"]
    arguments = [word for setting in settings for word in ("--set", setting)]
    code, _, err = call("run", "run.toml", *arguments, "--set", f"teacher.api_base={refusing}")
    assert code == 1
    line = only_line(err)
    assert "TEACHER_KEY" in line
    assert "401" in line
    assert "sk-very-secret" not in err
    code, _, err = call("run", "run.toml", *arguments, "--set", "teacher.api_base=http://127.0.0.1:9/v1")
    assert code == 1
    line = only_line(err)
    assert "cannot reach" in line
    assert "127.0.0.1:9" in line
    stored = (folder / "experiments.db").read_bytes() + (folder / "experiments.db-wal").read_bytes()
    assert b"sk-very-secret" not in stored


def test_no_database_another_version_and_another_program_s(call, folder: Path) -> None:
    code, _, err = call("runs")
    assert code == 2
    assert "no database at" in only_line(err)
    database = folder / "experiments.db"
    create_run(database, RunSpec())
    with contextlib.closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA user_version = 99")
    for command in (["runs"], ["run", "run.toml"], ["resume", "1"]):
        code, _, err = call(*command)
        assert code == 2
        assert "schema version 99" in only_line(err)
    with contextlib.closing(sqlite3.connect(folder / "other.db")) as connection:
        connection.execute("CREATE TABLE cookies (x)")
    (folder / "text.db").write_text("not a database at all, but long enough to look like a header of one\n" * 20)
    for name in ("other.db", "text.db"):
        before = (folder / name).read_bytes()
        for command in (["runs"], ["run", "run.toml"]):
            code, _, err = call(*command, "--db", name)
            assert code == 2
            assert name in only_line(err)
        assert (folder / name).read_bytes() == before


def test_a_database_on_a_network_filesystem(call, folder: Path, monkeypatch) -> None:
    table = f"server:/home {folder.resolve()} nfs4 rw 0 0\n"
    monkeypatch.setattr("engine.store.filesystem.mounted_filesystems", lambda: table)
    for arguments in ([], ["--dry-run"]):
        code, _, err = call("run", "run.toml", *arguments)
        assert code == (2 if arguments else 1)
        assert "network filesystem (nfs4)" in err
        assert "--db" in err
    assert not (folder / "experiments.db").exists()


def test_a_folder_that_cannot_be_written(call, folder: Path) -> None:
    place = folder / "locked"
    place.mkdir()
    place.chmod(0o500)
    if os.access(place, os.W_OK):  # root may write anywhere but here
        place = Path("/proc")
    if not os.access(place, os.W_OK) or place == Path("/proc"):
        code, _, err = call("run", "run.toml", "--db", str(place / "x.db"))
        assert code == 1
        assert "cannot write to" in only_line(err)
    code, _, err = call("init", "/proc/qcrd.toml")
    assert code == 2
    assert "cannot be written" in only_line(err)


def test_a_full_disk_loses_nothing_that_was_stored(qcrd, tmp_path: Path) -> None:
    (tmp_path / "run.toml").write_text("[training]\nsteps = 400\niterations = 400\n")
    database = tmp_path / "experiments.db"
    assert qcrd("run", "run.toml", "--name", "quick").returncode == 0
    with contextlib.closing(open_writer(database)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def small_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (12_000, 12_000))

    done = qcrd("run", "run.toml", "--name", "quick", preexec_fn=small_files)
    assert done.returncode == 1
    line = only_line(done.stderr)
    assert "disk" in line or "space" in line or "died" in line
    assert ask(database, "PRAGMA integrity_check") == "ok"
    assert ask(database, "SELECT status FROM runs WHERE id = 1") == "done"
    assert qcrd("show", "1").returncode == 0


def test_init_overwrites_nothing_unasked(call, folder: Path) -> None:
    assert call("init", "new.toml")[0] == 0
    text = (folder / "new.toml").read_text()
    (folder / "new.toml").write_text("mine")
    code, _, err = call("init", "new.toml")
    assert code == 2
    assert "--force" in only_line(err)
    assert (folder / "new.toml").read_text() == "mine"
    assert call("init", "new.toml", "--force")[0] == 0
    assert (folder / "new.toml").read_text() == text


def test_a_real_run_in_processes_of_its_own(qcrd, folder: Path) -> None:
    """No stub: torch, the whole pipeline, and what each reading command makes of it."""
    done = qcrd("run", "run.toml", "--set", "data.dataset=data.jsonl", stub=False)
    assert done.returncode == 0, done.stderr
    assert "untrained student" in done.stdout
    for command in (["runs"], ["show"], ["metrics"], ["rationales"], ["logs"]):
        found = qcrd(*command, "--json", stub=False)
        assert found.returncode == 0, found.stderr
        assert json.loads(found.stdout)
    assert (folder / "runs" / "1").is_dir()
