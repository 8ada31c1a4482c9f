"""run, attach, pause, resume, stop: what the commands and their signals do to a run that is a process of its own."""

import os
import pty
import re
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.app.cli.cli_processes import ask


@pytest.fixture
def database(tmp_path: Path) -> Path:
    (tmp_path / "run.toml").write_text("[training]\nsteps = 400\niterations = 400\n")
    return tmp_path / "experiments.db"


def wait_for(true: Callable[[], object], what: str) -> None:
    give_up = time.monotonic() + 60
    while not true():
        assert time.monotonic() < give_up, what
        time.sleep(0.02)


def wait_for_step(database: Path, run_id: int = 1) -> None:
    wait_for(
        lambda: ask(database, f"SELECT count(*) FROM runs WHERE id = {run_id} AND step > 0"),
        "the run takes a step",
    )


def status(database: Path, run_id: int = 1) -> str:
    return str(ask(database, f"SELECT status FROM runs WHERE id = {run_id}"))


def error_lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("error: ")]


def test_a_run_ends_with_its_accuracies_on_stdout(qcrd, database: Path) -> None:
    done = qcrd("run", "run.toml", "--name", "quick")
    assert done.returncode == 0, done.stderr
    assert re.search(r"student +explain +0\.64 ±0\.10", done.stdout)
    assert re.search(r"student +predict +0\.50 ±0\.10", done.stdout)
    assert re.search(r"majority class +0\.10 ±0\.07", done.stdout)
    assert re.search(r"teacher vote .*0\.89 ±0\.08", done.stdout)
    assert "1 positive (teacher)" in done.stdout
    assert "0.75 against minority" in done.stdout
    assert "`qcrd` opens the console" in done.stdout
    assert "two questions are cut" in done.stderr
    assert "\x1b" not in done.stderr + done.stdout
    assert "train 400/400" in done.stderr
    assert status(database) == "done"
    assert "words of a library" in (database.parent / "runs" / "1" / "worker.log").read_text()


def test_on_a_terminal_there_are_bars(begin, database: Path) -> None:
    terminal, end = pty.openpty()
    process = begin("run", "run.toml", "--name", "quick", stderr=end, stdout=subprocess.PIPE)
    os.close(end)
    seen = b""
    while True:
        try:
            part = os.read(terminal, 65536)
        except OSError:  # Linux says so when the other side is closed
            break
        if not part:
            break
        seen += part
    os.close(terminal)
    assert process.wait(timeout=60) == 0
    text = seen.decode()
    assert "━" in text
    assert "400/400 steps" in text
    assert "\x1b[2J" not in text


def test_ctrl_c_stops_the_run_at_a_checkpoint_and_resume_goes_on(begin, qcrd, database: Path) -> None:
    process = begin("run", "run.toml", "--name", "slow")
    wait_for_step(database)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Ctrl-C again kills" in err
    assert "`qcrd resume 1`" in err
    assert status(database) == "interrupted"
    done = qcrd("resume", "last", "--detach")
    assert done.returncode == 0
    assert done.stdout == "1\n"
    wait_for(lambda: status(database) == "running", "the run goes on")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_queue_that_preempts_the_command_stops_the_run(begin, database: Path, number: int) -> None:
    process = begin("run", "run.toml", "--name", "slow")
    wait_for_step(database)
    process.send_signal(number)
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert status(database) == "interrupted"


def test_at_its_budget_a_run_is_stopped_not_failed_and_so_is_its_group(qcrd, database: Path) -> None:
    for command in (("run", "run.toml"), ("resume", "1"), ("run", "run.toml", "--methods", "dss,finetune")):
        stopped = qcrd(*command, *(() if "resume" in command else ("--name", "budget")))
        assert stopped.returncode == 130
        assert "the budget is used up; raise it" in stopped.stderr
        assert error_lines(stopped.stderr) == []
    assert ask(database, "SELECT group_concat(DISTINCT status) FROM runs") == "interrupted"


def test_a_second_ctrl_c_kills_a_worker_that_does_not_listen(begin, database: Path) -> None:
    process = begin("run", "run.toml", "--name", "deaf")
    wait_for_step(database)
    process.send_signal(signal.SIGINT)
    wait_for(lambda: ask(database, "SELECT count(*) FROM orders WHERE name = 'stop'"), "the order is given")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "killed" in err
    with pytest.raises(ProcessLookupError):
        os.kill(ask(database, "SELECT pid FROM sessions"), 0)


def test_closing_the_terminal_leaves_the_run_alone(begin, database: Path) -> None:
    process = begin("run", "run.toml", "--name", "slow", "--set", "training.steps=400")
    wait_for_step(database)
    process.send_signal(signal.SIGHUP)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0
    assert out == ""
    assert error_lines(err) == []
    step = ask(database, "SELECT step FROM runs")
    wait_for(lambda: ask(database, "SELECT step FROM runs") > step, "the run goes on")
    assert status(database) == "running"


def test_a_queued_run_waits_for_resume(qcrd, database: Path) -> None:
    queued = qcrd("run", "run.toml", "--queue", "--set", "training.steps=20", "--set", "training.iterations=20")
    assert (queued.returncode, queued.stdout) == (0, "1\n")
    assert "`qcrd resume 1` starts it" in queued.stderr
    assert status(database) == "queued"
    assert qcrd("run", "run.toml", "--queue", "--detach").returncode == 2
    assert qcrd("resume", "1").returncode == 0
    assert status(database) == "done"


def test_attach_follows_and_ctrl_c_only_detaches(begin, qcrd, database: Path) -> None:
    assert qcrd("run", "run.toml", "--name", "slow", "--detach").stdout == "1\n"
    process = begin("attach", "slow")
    wait_for_step(database)
    wait_for(lambda: "train" in process.stderr.readline(), "it shows the run")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "detached" in err
    assert status(database) == "running"


def test_pause_resume_and_stop_from_another_terminal(qcrd, database: Path) -> None:
    assert qcrd("run", "run.toml", "--name", "slow", "--detach").returncode == 0
    assert qcrd("pause", "slow").returncode == 0
    wait_for(lambda: status(database) == "paused", "the run pauses")
    assert qcrd("resume", "slow", "--detach").returncode == 0
    wait_for(lambda: status(database) == "running", "the run goes on")
    refused = qcrd("resume", "slow")
    assert refused.returncode == 2
    assert "is running" in refused.stderr
    assert ask(database, "SELECT count(*) FROM sessions") == 1
    assert qcrd("stop", "slow").returncode == 0
    wait_for(lambda: status(database) == "interrupted", "the run stops")
    refused = qcrd("stop", "slow")
    assert refused.returncode == 2
    assert error_lines(refused.stderr) == ["error: run 1 is interrupted: there is nothing to stop"]


def test_a_worker_that_had_no_room_to_say_so_is_reported_as_a_full_disk(qcrd, database: Path) -> None:
    done = qcrd("run", "run.toml", "--name", "full disk")
    assert done.returncode == 1
    (line,) = error_lines(done.stderr)
    assert "is full" in line
    assert "free some space, then `qcrd resume 1`" in line


def test_a_worker_that_dies_is_noticed_and_its_last_words_are_shown(qcrd, database: Path) -> None:
    done = qcrd("run", "run.toml", "--name", "killed")
    assert done.returncode == 1
    (line,) = error_lines(done.stderr)
    assert "died at step 3" in line
    assert "`qcrd resume 1`" in line
    assert "words of a library" in done.stderr
    stopped = qcrd("stop", "1")
    assert stopped.returncode == 2
    assert "lost its worker" in stopped.stderr


def test_a_run_that_fails_says_why_in_one_line(qcrd, database: Path) -> None:
    for name, words in (("fail", "the teacher has left"), ("bug", "ZeroDivisionError: nought")):
        done = qcrd("run", "run.toml", "--name", name)
        assert done.returncode == 1
        (line,) = error_lines(done.stderr)
        assert words in line
        assert "Traceback" not in done.stderr
    shown = qcrd("logs", "bug")
    assert "Traceback" in shown.stdout


def test_logs_follow_a_run_to_its_end(begin, qcrd, database: Path) -> None:
    assert qcrd(
        "run", "run.toml", "--name", "slow", "--set", "training.steps=20", "--set", "training.iterations=20", "-d"
    )
    process = begin("logs", "-f", "slow")
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "two questions are cut" in out
    assert "run 1 is done" in err


def test_another_database_is_named_in_what_to_type_next(qcrd, tmp_path: Path, database: Path) -> None:
    done = qcrd("run", "run.toml", "--name", "quick", "--db", "other.db")
    assert done.returncode == 0
    assert f"qcrd --db {tmp_path / 'other.db'}" in done.stdout
    assert qcrd("--db", "other.db", "runs", "--json").stdout == qcrd("runs", "--db", "other.db", "--json").stdout
    assert not database.exists()


def test_demo_without_a_terminal_is_headless(qcrd, database: Path) -> None:
    done = qcrd("demo", "--seed", "3", "--set", "training.steps=50")
    assert done.returncode == 0, done.stderr
    assert ask(database, "SELECT seed FROM runs") == 3
