"""The console driven from outside, in a terminal of its own, from an empty folder's first screen on.

A story is a list of (keys, what is then shown; after an exclamation mark, what no longer is): the next keys are pressed
once it is so.
"""

import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.app.cli.cli_processes import ask, command_line, environment, kill_workers
from tests.terminal import Driven, Terminal, Tmux

Story = tuple[tuple[str, str], ...]
OPEN = "─" * 80
"""Behind a key's name: the field to type in is open, over the whole width."""


def typed(key: str, value: str, shown: str) -> Story:
    """A value for the key under the form's cursor."""
    return (("enter", f" {key} {OPEN}"), (value, f"│  {value}  "), ("enter", shown))


FORM: Story = (("", "No run yet"), ("n", "[teacher]"))
QUICK: Story = (
    *FORM,
    *typed("name", "first", 'name = "first"'),
    ("G [ [", "─ compute ─"),
    ("[", "─ training ─"),
    ("j j", "─ training.iterations ─"),
    *typed("training.iterations", "20", "iterations = 20"),
    ("k", "─ training.steps ─"),
    *typed("training.steps", "20", "│ steps = 20 "),
    ("R", "✓ done first"),
    ("?", "Esc close"),
    ("escape", "!Esc close"),
    ("1", "run 1"),
    ("n", 'name = "first"'),
    ("escape", "run 1"),
)
SMALL: Story = (
    *FORM,
    *typed("name", "small", 'name = "small"'),
    ("] ]", "─ data.arithmetic ─"),
    ("j", "─ data.arithmetic.train ─"),
    *typed("data.arithmetic.train", "60", "train = 60"),
    ("j", "─ data.arithmetic.validation ─"),
    *typed("data.arithmetic.validation", "20", "validation = 20"),
    ("j", "─ data.arithmetic.test ─"),
    *typed("data.arithmetic.test", "40", "test = 40"),
    ("j", "─ data.arithmetic.unseen ─"),
    *typed("data.arithmetic.unseen", "0", "unseen = 0"),
    ("G [ [ [", "─ training ─"),
    ("[ [", "─ method.negatives ─"),
    ("j j j", "─ method.negatives.lag ─"),
    *typed("method.negatives.lag", "1", "lag = 1"),
    ("]", "─ method.discriminator ─"),
    ("j j j", "─ method.discriminator.pretrain_steps ─"),
    *typed("method.discriminator.pretrain_steps", "4", "pretrain_steps = 4"),
    ("]", "─ training ─"),
    ("j j", "─ training.iterations ─"),
    *typed("training.iterations", "4", "iterations = 4"),
    ("k", "─ training.steps ─"),
    *typed("training.steps", "12", "│ steps = 12 "),
    ("$", "what it would do"),
    ("R", "● running small"),
    ("", "✓ done small"),
)
LOOK: Story = (
    ("t", "✓ done small"),
    ("3", "question 1/"),
    ("J", "question 2/"),
    ("d w z", "negatives"),
    ("z", "positives"),
    ("slash", "Esc leave"),
    ("escape", "!Esc leave"),
)
TRIED: Story = (
    ("2", "✓ done small"),
    ("a", "a question of your own"),
    ("escape j", "gold "),
    ("enter", "answer   "),
    ("v", "8 samples at"),
    ("escape", "✓ done small"),
    ("E", "Export the student of small"),
    ("enter", "the student is in"),
)
SECOND: Story = (
    ("1", "Runs · 1"),
    ("n", 'name = "small"'),
    ("g", "─ name ─"),
    *typed("name", "pairs", 'name = "pairs"'),
    ("G [ [ [", "─ training ─"),
    ("[ [ [ [", "─ method ─"),
    ("j enter", '"orpo"'),
    ("R", "✓ done pairs"),
)
COMPARED: Story = (
    ("1", "Runs · 2"),
    ("g space", "1 chosen"),
    ("space", "2 chosen"),
    ("c", "disagree"),
    ("m e", "predict"),
    ("5", "F5 asks the database"),
    ("'SELECT name, method FROM runs'", "FROM runs"),
    ("f5", "2 rows"),
    ("escape", "? help"),
    ("6", "requests · all"),
    ("f2", "keys.all.runs"),
    ("escape", "!keys.all.runs"),
    ("2", "✓ done"),
    ("1", "Runs · 2"),
)


def tell(terminal: Driven, story: Story) -> None:
    """Press and look, step by step."""
    for keys, shown in story:
        terminal.press(*shlex.split(keys.replace("slash", "/")))
        gone = shown.removeprefix("!")
        terminal.until(shown if gone == shown else lambda screen, gone=gone: gone not in screen, patience=250)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Where the console is opened; no worker outlives the test."""
    yield tmp_path
    kill_workers(tmp_path / "experiments.db")


def test_from_the_first_screen_to_a_run_that_is_done(folder: Path) -> None:
    with Terminal(command_line(), folder, environment(stub=True, QCRD_CONFIG=str(folder))) as terminal:
        tell(terminal, QUICK)
        terminal.press("q")
        terminal.until_ended()
        assert terminal.process.returncode == 0
        assert b"Traceback" not in terminal.raw
    assert ask(folder / "experiments.db", "SELECT name || status || steps FROM runs") == "firstdone20"


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_two_real_runs_from_nothing_but_the_console(folder: Path) -> None:
    """In tmux where there is one; else in a terminal of ours."""
    kind = Tmux if shutil.which("tmux") else Terminal
    with kind(command_line(), folder, environment(stub=False, QCRD_CONFIG=str(folder))) as terminal:
        tell(terminal, SMALL + LOOK + TRIED + SECOND + COMPARED)
        terminal.press("q")
        terminal.until_ended()
    database = folder / "experiments.db"
    assert ask(database, "SELECT group_concat(name || ' ' || method || ' ' || status) FROM runs") == (
        "small qcrd done,pairs orpo done"
    )
    assert (folder / "small-student" / "config.json").is_file()
