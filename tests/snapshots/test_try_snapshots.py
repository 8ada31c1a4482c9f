"""The screen that asks a student, in its main states, as SVG."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from textual.pilot import Pilot

from engine.evaluation.reply import Given, Over, Piece, Told, Votes
from tests.pilot import console, press, settle, shown, until
from tests.screens.test_try_pilot import play, ready

SIZES = [(120, 40), pytest.param((80, 24), marks=pytest.mark.slow)]
WRITTEN = "first 5 plus 1 makes 6. then 6 minus 3 makes 3. finally"


@pytest.fixture(scope="module")
def there(seeded: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The seeded database, where run 4 has a student."""
    folder = tmp_path_factory.mktemp("there")
    (folder / "runs" / "4" / "checkpoints" / "step-00002000").mkdir(parents=True)
    return Path(shutil.copy(seeded, folder / "experiments.db"))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("state", ["told", "votes"])
def test_try(snap_compare: Callable[..., bool], there: Path, size: tuple[int, int], state: str) -> None:
    app = console(there, 4)
    played = play(app)

    async def drive(pilot: Pilot[None]) -> None:
        await settle(pilot)
        await press(pilot, "3", "J", "a")
        await until(pilot, lambda: "question 2" in shown(pilot))
        await press(pilot, "enter" if state == "told" else "v")
        await until(pilot, lambda: bool(played.asked))
        if state == "told":
            predicted = [lambda number: Told(number, "predict", "4", "4", "", True, None, 0.02)]
            text = f"{WRITTEN} 3 plus 1 makes 5. Answer: 5"
            explained = lambda number: Told(number, "explain", text, "5", "strict", False, 0.31, 0.21)  # noqa: E731
            played.say(ready, *predicted, lambda number: Piece(number, "explain", WRITTEN), explained, Over)
            await until(pilot, lambda: "by rule strict" in shown(pilot))
        else:
            given = (Given("4", 5, True, f"{WRITTEN} 3 plus 1 makes 4. Answer: 4"), Given("5", 3, False, "5"))
            played.say(
                ready,
                lambda number: Votes(number, "predict", 0.7, given[:1], 0.1),
                lambda number: Votes(number, "explain", 0.7, given, 0.4),
                Over,
            )
            await until(pilot, lambda: "3 of 8" in shown(pilot))
        await settle(pilot)

    assert snap_compare(app, terminal_size=size, run_before=drive)
