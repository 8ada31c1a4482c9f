"""Draws every screen of the console from real runs, as docs/*.svg: `python -m tests.captures [DATABASE]`.

Without a database two runs of the built-in experiment are trained first, which takes a while. The newest done run of
qcrd is shown, and compared with the newest done run of another method.
"""

import asyncio
import contextlib
import subprocess
import sys
import tempfile
from pathlib import Path

from textual.pilot import Pilot

from app.console import Console
from engine.store.connect import open_reader
from screens.base import Compare, View
from screens.runs import RunsScreen
from tests.app.cli.cli_processes import command_line, environment
from tests.pilot import press, settle, shown, until

DOCS = Path(__file__).resolve().parent.parent / "docs"
SIZE = (120, 40)
QUERY = (
    "SELECT name, method, explain_accuracy, predict_accuracy, seconds\nFROM run_summary ORDER BY explain_accuracy DESC"
)
NEWEST = "SELECT max(id) FROM runs WHERE status = 'done' AND method {} 'qcrd'"
FOLLOWED = """SELECT v.example FROM votes v
JOIN last_visits l ON l.run_id = v.run_id AND l.example = v.example AND l.chosen AND l.active
JOIN rationales r ON r.run_id = l.run_id AND r.number = l.number AND r.polarity = 'negative'
JOIN texts t ON t.id = r.text_id AND length(t.text) > 60
WHERE v.run_id = :run AND v.followed AND l.step = (SELECT max(m.step) FROM last_visits m
      WHERE m.run_id = v.run_id AND m.example = v.example)
ORDER BY r.source = 'self' DESC, l.cross_entropy"""
"""Questions whose chosen pair says something: a whole negative that the loss still pushes away."""
TRAINED = ("data.arithmetic.test=1000", "evaluation.followed=100")


def main() -> None:
    """One command draws all."""
    if len(sys.argv) > 1:
        asyncio.run(draw(Path(sys.argv[1]).resolve()))
        return
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(draw(train(Path(folder))))


def train(folder: Path) -> Path:
    """A database with a run of qcrd, and one of the same samples without negatives."""
    sets = [word for key in TRAINED for word in ("--set", key)]
    for name in ("positives", "qcrd"):
        (folder / "run.toml").write_text(f'name = "arithmetic-{name}"\n[method]\nname = "{name}"\n')
        subprocess.run(command_line("run", "run.toml", *sets), cwd=folder, env=environment(stub=False), check=True)
    vote = ("--samples", "8", "--limit", "200", "--vote", "discriminator")
    subprocess.run(command_line("evaluate", "2", *vote), cwd=folder, env=environment(stub=False), check=True)
    return folder / "experiments.db"


async def draw(database: Path) -> None:
    """Each screen, as a user comes to it by keys."""
    with contextlib.closing(open_reader(database)) as con:
        qcrd, other = (int(con.execute(NEWEST.format(sign)).fetchone()[0] or 0) for sign in ("=", "<>"))
        followed = con.execute(FOLLOWED, {"run": qcrd}).fetchone()
    if not qcrd or not other:
        sys.exit(f"{database}: a done run of qcrd and one of another method are needed")
    with tempfile.TemporaryDirectory() as nothing, contextlib.chdir(nothing):
        await first_run(Path("experiments.db"))
        await screens(Console(database, settings=Path("console.json")), qcrd, other, followed[0] if followed else "0")


async def screens(app: Console, qcrd: int, other: int, followed: str) -> None:
    """All of them, with these runs and that question."""
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        runs = app.screen
        assert isinstance(runs, RunsScreen)
        runs.rows.move_to(qcrd)
        await save(pilot, "runs")
        await press(pilot, "2")
        await save(pilot, "live")
        await press(pilot, "3", "slash")
        await pilot.press(*followed, "enter")
        await pilot.pause(1)
        await save(pilot, "rationales")
        await try_it(pilot)
        await press(pilot, "1", "e", "v")
        await save(pilot, "votes")
        app.post_message(Compare((other, qcrd)))
        await pilot.pause()
        await save(pilot, "compare")
        await press(pilot, "5")
        app.screen.query("TextArea").first().load_text(QUERY)  # type: ignore[attr-defined]
        await pilot.press("f5")
        await until(pilot, lambda: app.screen.query_one("#result").border_title is not None)
        await save(pilot, "sql")
        await press(pilot, "escape", "6", "a")  # of all runs: the second was taught from what the first had bought
        await save(pilot, "teacher")
        await press(pilot, "1")
        for key, name in (("f2", "settings"), ("n", "new_run")):
            await pilot.press(key)
            await pilot.pause(1)
            await save(pilot, name)
            await press(pilot, "escape")


async def try_it(pilot: Pilot[None]) -> None:
    """The question in front, asked of the run's student, which a process of its own has to load."""
    await press(pilot, "a")
    await pilot.press("v")
    await until(pilot, lambda: " of 8" in shown(pilot) and "explain" in shown(pilot))
    await save(pilot, "try_it")
    await press(pilot, "escape")


async def first_run(database: Path) -> None:
    """The console in a folder where nothing was done yet."""
    app = Console(database)
    async with app.run_test(size=(100, 24)) as pilot:
        await save(pilot, "first_run")


async def save(pilot: Pilot[None], name: str) -> None:
    """The screen as it stands, once what it wants has come."""
    await pilot.pause(0.5)
    if isinstance(pilot.app.screen, View):
        await settle(pilot)
    (DOCS / f"{name}.svg").write_text(pilot.app.export_screenshot(title="qcrd"), encoding="utf-8")
    print(DOCS / f"{name}.svg")


if __name__ == "__main__":
    main()
