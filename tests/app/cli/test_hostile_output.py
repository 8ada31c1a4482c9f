"""Every command that prints somebody's words, on a database full of hostile ones: none reaches the terminal."""

from pathlib import Path

import pytest
import typer

from app.cli.main import _run, app
from tests.poison import escapes, poison
from tests.seeded import build
from tests.seeded_ledger import ledger

PRINTS = {
    "runs": ("runs",),
    "show": ("show", "4"),
    "rationales": ("rationales", "4", "--limit", "3"),
    "metrics": ("metrics", "4"),
    "logs": ("logs", "5"),
    "query": ("query", "SELECT * FROM rationale_pairs LIMIT 3"),
    "queries": ("queries",),
    "compare": ("compare", "3", "4"),
    "requests": ("requests", "8"),
    "request": ("requests", "8", "--request", "41"),
    "chosen": ("rationales", "4", "--chosen", "--limit", "3"),
    "of a question": ("rationales", "4", "--question", "train-0000"),
    "misses": ("misses", "4"),
    "note": ("note", "4"),
}
"""What is run of each, in every form it has."""
ACTS = {
    "annotate",
    "archive",
    "star",
    "tag",
    "pause",
    "stop",
    "checkpoint",
    "export",
    "export-samples",
    "init",
    "cancel-batch",
    "settings",
    "upgrade",
}
"""Those that print names of runs and files at most, with errors through the one place of app/cli/main.py."""
ELSEWHERE = {
    "run": "test_running.py: its log, followed",
    "attach": "test_running.py: its log, followed",
    "resume": "test_running.py: its log, followed",
    "demo": "test_running.py: as run",
    "sample": "test_running.py: as run; its dry run prints numbers",
    "evaluate": "test_evaluate.py: names of judges; the rest are numbers",
    "try": "test_try_command.py: what a student writes",
    "try-prompt": "test_prompts.py: prompt, answers, what is read",
    "reparse": "test_prompts.py: as misses",
    "import-samples": "test_exchange.py: names of models, texts",
}
"""Those that need a worker or a teacher: where their words are tested."""


@pytest.fixture(scope="module")
def poisoned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    database = ledger(build(tmp_path_factory.mktemp("poisoned") / "experiments.db"))
    poison(database)
    return database


def test_every_command_is_in_one_of_the_lists() -> None:
    commands = {name for name, c in typer.main.get_command(app).commands.items() if not hasattr(c, "commands")}
    assert commands == {arguments[0] for arguments in PRINTS.values()} | ACTS | ELSEWHERE.keys()


@pytest.mark.parametrize("name", PRINTS)
def test_no_escape_reaches_the_terminal(
    poisoned: Path, name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QCRD_DB", str(poisoned))
    arguments = PRINTS[name]
    offered = {option for p in typer.main.get_command(app).commands[arguments[0]].params for option in p.opts}
    forms = [[], *([form] for form in ("--json", "--jsonl", "--csv") if form in offered)]
    for form in forms:
        code = _run([*arguments, *form])
        said = capsys.readouterr()
        assert code == 0, said.err
        assert not escapes(said.out + said.err), (form, said)
        assert form == [] or said.out
