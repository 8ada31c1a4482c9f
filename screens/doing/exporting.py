"""Students exported from the console: asked where to, made by a process of its own, and said where they are."""

import re
import threading
from functools import partial
from pathlib import Path

from textual.app import App

from engine.runs import launch
from screens.ask import AskScreen
from screens.doing.background import Background, Finished
from screens.widgets.words import line


class Exports:
    """Those under way; `app` gets a Finished of each."""

    def __init__(self, app: App[None], database: Path) -> None:
        self._app, self._database = app, database
        self._jobs: list[Background] = []

    def ask(self, run_id: int, name: str) -> None:
        """Ask for a folder, then begin."""
        safe = re.sub(r"[^A-Za-z0-9._-]+", "-", name[:80]).strip("-.") or f"run-{run_id}"
        detail = f"a Hugging Face folder with a model card; in {line(str(Path.cwd()), 200)}"
        question = f"Export the student of {line(name, 40)} to"
        self._app.push_screen(AskScreen(question, detail, f"{safe}-student"), partial(self._begin, run_id))

    def finished(self, message: Finished) -> None:
        """Say where it is, or why it is not."""
        if message.job not in self._jobs:
            return
        self._jobs.remove(message.job)
        if message.error is not None:
            self._app.notify(line(message.error, 400), severity="error", markup=False)
        else:
            self._app.notify(f"the student is in {line(str(message.result), 300)}", timeout=15, markup=False)

    def stop(self) -> None:
        """End them all."""
        for job in self._jobs:
            job.stop()
        for job in self._jobs:
            job.join(2)

    def _begin(self, run_id: int, folder: str | None) -> None:
        if folder:
            path = Path(folder).expanduser()
            self._app.notify(f"exporting run {run_id}: its libraries take a few seconds to load", markup=False)
            self._jobs.append(Background(self._app, partial(_export, self._database, run_id, path)))


def _export(database: Path, run_id: int, folder: Path, stop: threading.Event) -> Path:
    return launch.run_export(database, run_id, folder, stop.is_set)
