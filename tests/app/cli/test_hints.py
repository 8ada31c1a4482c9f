"""Hints that can be copied: those of another database than the default name it, however it was named."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.cli import options
from app.cli.main import _run
from engine.spec.run import RunSpec
from engine.store.connect import write
from engine.store.runs.run import create_run, set_status

LIMIT = "the budget is used up; raise it with `qcrd resume 1 --set teacher.budget_usd=…`"


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("QCRD_DB", raising=False)
    folder = tmp_path / "an other"
    folder.mkdir()
    yield folder / "x.db"
    options.in_front = None


def test_a_hint_of_the_engine_gets_the_database_where_it_needs_it(elsewhere: Path) -> None:
    here = Path("experiments.db").absolute()
    assert options.with_database(LIMIT, here) == LIMIT
    assert options.with_database(LIMIT, elsewhere).endswith(
        f"`qcrd resume 1 --set teacher.budget_usd=… --db '{elsewhere}'`"
    )
    for line in ("`qcrd demo` or `qcrd run SPEC`", "`qcrd show 1 --db y.db`", "qcrd resume 1", "`resume 1`"):
        assert options.with_database(line, elsewhere) == line


@pytest.mark.parametrize("front", [True, False])
def test_every_place_that_repeats_a_run_s_words(
    elsewhere: Path, front: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QCRD_DB", "experiments.db")  # the default; what is in front is laid over it
    run_id = create_run(elsewhere, RunSpec())
    set_status(elsewhere, run_id, "interrupted", LIMIT)
    write(elsewhere, lambda db: db.execute(
        "INSERT INTO logs (run_id, at, level, message) VALUES (1, 0, 'info', ?)", (LIMIT,)))  # fmt: skip
    for words in (["show", "1"], ["logs", "1"], ["stop", "1"], ["requests", "9"]):
        named = ["--db", str(elsewhere)]
        _run([*named, *words] if front else [*words, *named])
        said = capsys.readouterr()
        hints = [part for part in (said.out + said.err).split("`")[1::2] if part.startswith("qcrd")]
        assert "--debug" not in said.err
        assert all(hint.endswith(f"--db '{elsewhere}'") for hint in hints), hints
        assert hints or words[0] == "stop"
