"""The console starts light: no heavy library, and in colour or without."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from app import start
from tests.seeded import build

ROOT = Path(__file__).resolve().parents[2]
FRAME = """
import asyncio, sys
from pathlib import Path
from app.console import Console

async def main():
    app = Console(Path(sys.argv[1]), 4)
    if len(sys.argv) > 2:
        app.theme = sys.argv[2]
    async with app.run_test(size=(120, 40)) as pilot:
        while app.shown is None:
            await pilot.pause(0.02)
        await pilot.press("3")
        await pilot.pause(0.5)
        await pilot.press("1")
        await pilot.pause()

asyncio.run(main())
heavy = {"torch", "transformers", "litellm", "datasets", "pandas", "numpy", "sqlite_utils", "pydantic", "typer"}
print(sorted(heavy & sys.modules.keys()))
"""


def frame(database: Path, *arguments: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", FRAME, str(database), *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_all_three_screens_load_nothing_heavy(tmp_path: Path) -> None:
    assert frame(build(tmp_path / "experiments.db")) == "[]"


def test_without_colour_and_with_the_terminals_own(tmp_path: Path) -> None:
    database = build(tmp_path / "experiments.db")
    assert frame(database, NO_COLOR="1") == "[]"
    assert frame(database, "ansi-dark") == "[]"


@pytest.mark.parametrize(
    ("arguments", "database"),
    [
        ([], ""),
        (["--db", "x.db"], "x.db"),
        (["--db=x.db"], "x.db"),
        (["--db"], None),
        (["--db="], None),
        (["--db", "x.db", "runs"], None),
        (["--db=x.db", "--debug"], None),
        (["runs"], None),
        (["--help"], None),
    ],
)
def test_what_asks_for_the_console_alone(arguments: list[str], database: str | None) -> None:
    assert start.console_alone(arguments) == database


def test_without_a_terminal_it_is_the_command_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["qcrd"])
    with pytest.raises(SystemExit) as ended:
        start.main()
    assert ended.value.code == 2
    assert "Usage: qcrd" in capsys.readouterr().err
