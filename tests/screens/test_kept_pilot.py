"""What the list of runs was left like is kept in a file, and a broken one gives the defaults."""

from pathlib import Path

import pytest

from app.console import Console
from app.settings import load_kept, save_kept
from screens.remembered.kept import Kept, RunsKept
from tests.pilot import settle, shown, until
from tests.screens.test_runs_pilot import ALL, fill, listed
from tests.seeded import NOW


async def test_what_the_list_was_left_like_is_kept(database: Path, tmp_path: Path) -> None:
    path = tmp_path / "config" / "console.json"

    def start() -> Console:
        return Console(database, clock=lambda: NOW, settings=path)

    async with start().run_test(size=(120, 40), notifications=True) as pilot:
        await settle(pilot)
        await fill(pilot, "slash", "method=qcrd")
        await fill(pilot, "b", "method.loss.delta")
        await until(pilot, lambda: path.is_file() and load_kept(path)[0].runs.groups == ("method.loss.delta",))
    async with start().run_test(size=(120, 40), notifications=True) as pilot:
        await settle(pilot)
        assert listed(pilot) == ["delta 3.00", 9, 8, 7, 6, 5, 4]
    path.write_text("{ not json")
    async with start().run_test(size=(120, 40), notifications=True) as pilot:
        await settle(pilot)
        assert listed(pilot) == ALL
        assert "cannot be read" in " ".join(shown(pilot).split())


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("[]", "cannot be read"),
        ('{"runs": 3}', "runs is no section"),
        ('{"runs": {"sort": 3}}', "runs.sort is 3"),
        ('{"runs": {"columns": "name"}}', "runs.columns is"),
        ('{"runs": {"columns": ["name", 3]}}', "runs.columns is"),
        ('{"runs": {"archived": 1}}', "runs.archived is 1"),
        ('{"last": {"compared": [2, "3"]}}', "last.compared is"),
        ('{"last": {"compared": [true]}}', "last.compared is"),
        ('{"last": {"compared": [2, 18446744073709551616]}}', "last.compared is"),
        ('{"last": {"run": 9223372036854775808}}', "last.run is 9223372036854775808"),
        ('{"last": {"run": -1}}', "last.run is -1"),
        ('{"runs": {"later": 1}, "theme": {"name": "x"}}', None),
        ("{}", None),
    ],
)
def test_a_broken_file_gives_the_defaults_and_one_line(tmp_path: Path, text: str, wrong: str | None) -> None:
    path = tmp_path / "console.json"
    path.write_text(text)
    kept, problem = load_kept(path)
    assert kept == Kept()
    assert (wrong is None) == (problem is None)
    assert wrong is None or wrong in (problem or "")


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    kept = Kept(RunsKept('name="a b"', "method.loss.beta", True, ("name", "γ"), ("seed",), True))
    save_kept(tmp_path / "a" / "console.json", kept)
    assert load_kept(tmp_path / "a" / "console.json") == (kept, None)
    assert [p.name for p in (tmp_path / "a").iterdir()] == ["console.json"]
    assert load_kept(tmp_path / "none.json") == (Kept(), None)
