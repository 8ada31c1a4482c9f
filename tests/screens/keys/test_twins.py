"""The command lines that do what keys do."""

import shlex
from pathlib import Path

import pytest
from typer.main import get_command

from app.cli.main import app
from screens.keys.table import KEYS
from screens.keys.twins import BLANK, TWINS, filled, twin


def test_each_is_of_a_key_and_a_command_with_such_options() -> None:
    names = {key.name for key in KEYS}
    commands = get_command(app).commands  # type: ignore[attr-defined]
    for name, line in TWINS.items():
        assert name in names
        words = shlex.split(line)
        if words[0].startswith("--"):
            continue
        command = commands[words[0]]
        options = {option for one in command.params for option in (*one.opts, *one.secondary_opts)}
        assert {word for word in words if word.startswith("-")} <= options, line


@pytest.mark.parametrize(
    ("template", "blanks", "line"),
    [
        ("pause RUN", {"RUN": "8"}, "pause 8"),
        ("stop RUN", {"RUN": "8 4"}, "stop 8 && stop 4"),
        ("star RUNS", {"RUNS": "8 4"}, "star 8 4"),
        ("tag RUNS --add TAG", {"RUNS": "8"}, "tag 8 --add TAG"),
        (
            "annotate RUN QUESTION RATIONALE --flag",
            {"RUN": "8", "QUESTION": "q1", "RATIONALE": ""},
            "annotate 8 q1 --flag",
        ),
        ("query SQL", {"SQL": "'SELECT 1 AS RUN'"}, "query 'SELECT 1 AS RUN'"),
    ],
)
def test_what_is_known_is_filled_in(template: str, blanks: dict[str, str], line: str) -> None:
    assert filled(template, blanks) == line
    assert twin(Path("/a b/x.db"), line).endswith("--db '/a b/x.db'")


def test_capitals_are_words_to_fill_in() -> None:
    blanks = {blank for line in TWINS.values() for blank in BLANK.findall(line)}
    known = {"RUN", "RUNS", "FILTER", "KEY", "TAG", "TEXT", "QUESTION", "RATIONALE", "WORDS", "POLARITY", "METRIC"}
    assert blanks == known | {"FILE", "SQL", "NAME", "STATE", "REQUEST", "VALUE"}
