"""run --methods --seeds, resume and stop of a group, compare: a queue of runs that survives what befalls it."""

import csv
import io
import json
import os
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from app.cli.main import main
from engine.runs.launch import is_alive
from engine.spec.run import RunSpec
from engine.store.runs.run import create_run
from tests.app.cli.cli_processes import ask


@pytest.fixture
def database(tmp_path: Path) -> Path:
    (tmp_path / "run.toml").write_text(
        '[method]\nname = "dss"\nsamples = "first"\n[training]\nsteps = 40\niterations = 40\n'
    )
    return tmp_path / "experiments.db"


def wait_for(true: Callable[[], object], what: str) -> None:
    give_up = time.monotonic() + 60
    while not true():
        assert time.monotonic() < give_up, what
        time.sleep(0.02)


def count(database: Path, where: str) -> int:
    return int(ask(database, f"SELECT count(*) FROM runs WHERE {where}") or 0)


def errors(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("error: ")]


def test_every_method_with_every_seed_ends_in_one_table(qcrd, database: Path) -> None:
    command = ("run", "run.toml", "--name", "quick", "--methods", "dss,positives", "--seeds", "2")
    done = qcrd(*command)
    assert done.returncode == 0, done.stderr
    header, *rows = done.stdout.splitlines()
    assert header.split()[:4] == ["method", "explain", "explain", "−"]
    assert [row.split()[0] for row in rows] == ["dss", "positives"]
    assert "+0.000 (+0.000 to +0.000)" in rows[1]
    assert "Student's t over seeds" in done.stderr
    assert count(database, "status = 'done'") == 4
    assert ask(database, "SELECT group_concat(method || seed) FROM (SELECT * FROM run_summary ORDER BY id)") == (
        "dss0,positives0,dss1,positives1"
    )
    assert ask(database, "SELECT json_extract(spec, '$.method.samples') FROM runs WHERE id = 1") == "first"
    again = qcrd(*command)
    assert again.returncode == 0
    assert again.stdout == done.stdout
    assert "all runs of group g1 are done" in again.stderr
    assert ask(database, "SELECT count(*) FROM sessions") == 4
    rows = json.loads(qcrd("compare", "g1", "--json").stdout)
    assert rows == [json.loads(line) for line in qcrd("compare", "--jsonl").stdout.splitlines()]
    assert list(csv.DictReader(io.StringIO(qcrd("compare", "g1", "--csv").stdout)))[1]["explain_accuracy"] == "0.64"
    assert [(row["method"], row["seeds"], row["price_usd"]) for row in rows] == [
        ("dss", "0 1", 0.0),
        ("positives", "0 1", 0.0),
    ]
    two = json.loads(qcrd("compare", "1", "2", "--reference", "positives", "--json").stdout)
    assert two[0]["explain_accuracy_interval"] == "one seed, over questions"
    assert two[0]["reference"] == "positives"
    assert two[0]["explain_difference"] == 0
    assert "no two of these runs answered the same test questions" in qcrd("compare", "1", "2", "--overlap").stderr


def test_ctrl_c_stops_the_queue_and_the_same_command_goes_on(begin, qcrd, database: Path) -> None:
    command = ("run", "run.toml", "--name", "slow", "--methods", "dss,positives,qcrd", "--set", "training.steps=45")
    process = begin(*command)
    wait_for(lambda: count(database, "step > 0"), "a run takes a step")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Ctrl-C again kills" in err
    assert "`qcrd resume g1`" in err
    assert count(database, "status = 'interrupted'") == 1
    assert count(database, "status = 'queued'") == 2
    done = qcrd(*command)
    assert done.returncode == 0, done.stderr
    assert count(database, "status = 'done'") == count(database, "1") == 3
    assert "g1" in done.stderr
    assert "one seed alone" in done.stderr


def test_a_killed_queue_is_picked_up_and_no_run_is_worked_on_twice(begin, qcrd, database: Path) -> None:
    process = begin(
        *("run", "run.toml", "--name", "slow", "--methods", "dss,positives", "--set", "training.steps=50"),
        *("--set", "training.iterations=50"),
    )
    wait_for(lambda: count(database, "step > 0"), "a run takes a step")
    os.kill(ask(database, "SELECT pid FROM run_groups"), signal.SIGKILL)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    (line,) = errors(err)
    assert "the queue of group g1" in line
    assert "`qcrd resume g1` picks it up" in line
    done = qcrd("resume", "g1")
    assert done.returncode == 0, done.stderr
    assert ask(database, "SELECT count(*) FROM sessions") == 2
    assert ask(database, "SELECT min(started_at) FROM sessions WHERE run_id = 2") > ask(
        database, "SELECT last_at FROM sessions WHERE run_id = 1"
    )


def test_detached_it_is_stopped_and_gone_on_with_from_elsewhere(qcrd, database: Path) -> None:
    command = ("run", "run.toml", "--name", "slow", "--seeds", "3,5", "--jobs", "2", "--set", "training.steps=400")
    started = qcrd(*command, "-d")
    assert (started.returncode, started.stdout) == (0, "g1\n")
    # the teacher's samples are bought by one run at a time; the stub's runs have no such stage, and begin at once
    wait_for(lambda: count(database, "status = 'running' AND step > 0") == 2, "both run at once")
    assert ask(database, "SELECT group_concat(seed) FROM runs") == "3,5"
    refused = qcrd(*command)
    assert refused.returncode == 2
    assert "`qcrd attach g1` follows it" in errors(refused.stderr)[0]
    assert "one by one" in qcrd("pause", "g1").stderr
    assert qcrd("stop", "g1").returncode == 0
    wait_for(lambda: count(database, "status = 'interrupted'") == 2, "both stop")
    wait_for(lambda: ask(database, "SELECT ended_at FROM run_groups"), "the queue ends")
    assert "nothing works on group g1" in errors(qcrd("stop", "g1").stderr)[0]
    assert qcrd("resume", "g1", "--detach").stdout == "g1\n"
    wait_for(lambda: count(database, "status = 'running'") == 1, "one goes on")
    assert qcrd("stop", "g1").returncode == 0
    wait_for(lambda: ask(database, "SELECT ended_at FROM run_groups"), "the queue ends")


def test_a_second_ctrl_c_kills_queue_and_workers_and_attach_only_watches(begin, qcrd, database: Path) -> None:
    process = begin("run", "run.toml", "--name", "deaf", "--methods", "dss,positives")
    wait_for(lambda: count(database, "step > 0"), "a run takes a step")
    watching = begin("attach", "g1")
    wait_for(lambda: "running" in watching.stderr.readline(), "it shows the run")
    watching.send_signal(signal.SIGINT)
    _, err = watching.communicate(timeout=60)
    assert watching.returncode == 0
    assert "detached" in err
    process.send_signal(signal.SIGINT)
    wait_for(lambda: ask(database, "SELECT stop FROM run_groups"), "the queue is asked to stop")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "killed" in err
    for pid in (ask(database, "SELECT pid FROM run_groups"), ask(database, "SELECT pid FROM sessions")):
        wait_for(lambda pid=pid: is_alive(pid, socket.gethostname()) is False, "it is dead")
    assert count(database, "status = 'queued'") == 1


def test_runs_that_fail_leave_the_others_alone(qcrd, database: Path) -> None:
    done = qcrd("run", "run.toml", "--name", "fail", "--methods", "dss,finetune")
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.count("the teacher has left") >= 2
    assert "2 of 2 runs of group g1 failed; `qcrd resume g1`" in errors(done.stderr)[0]
    shown = qcrd("compare")
    assert shown.returncode == 0
    assert "dss: 0 of 1 runs are done" in shown.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--methods", "dss,qrcd"), "--methods: unknown method 'qrcd'; did you mean qcrd?"),
        (("--methods", "dss,"), "--methods: unknown method ''"),
        (("--seeds", "0"), "--seeds 0: give how many"),
        (("--seeds", "20261121"), "1000 at most"),
        (("--jobs", "2"), "give --methods or --seeds"),
        (("--methods", "qcrd", "--set", "method.samples=first"), "for the method of the file, dss"),
        (("--methods", "dss,qcrd", "--set", "training.iterations=4"), "method.negatives.lag = 5"),
    ],
)
def test_asked_wrongly_makes_no_run(
    capsys, monkeypatch, database: Path, arguments: tuple[str, ...], words: str
) -> None:
    monkeypatch.chdir(database.parent)
    with pytest.raises(SystemExit) as ended:
        main(["run", "run.toml", "--db", str(database), *arguments])
    assert ended.value.code == 2
    assert words in errors(capsys.readouterr().err)[0]
    assert not database.exists()


def test_there_is_no_such_group(capsys, database: Path) -> None:
    def line(*arguments: str) -> str:
        with pytest.raises(SystemExit) as ended:
            main([*arguments, "--db", str(database)])
        assert ended.value.code == 2
        return errors(capsys.readouterr().err)[0]

    create_run(database, RunSpec(name="g8"))
    assert "there is no group yet" in line("compare")
    assert "there is no group g7" in line("resume", "g7")
    assert "no run is of that method; there are qcrd" in line("compare", "g8", "--reference", "mi")
