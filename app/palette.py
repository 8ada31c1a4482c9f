"""What the palette offers: each key of a screen by its help, the command line that does the same, the themes."""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from textual.app import App, SystemCommand

from screens import themes
from screens.base import Prefer, View
from screens.keys.key import Key
from screens.keys.table import key_of
from screens.keys.twins import TWINS, filled, twin
from screens.remembered.kept import Kept
from screens.remembered.preferences import changed
from screens.widgets.words import line


def commands(
    app: App[Any],
    place: str,
    view: View | None,
    keys: Sequence[Key],
    blanks: Mapping[str, str],
    database: Path,
    kept: Kept,
) -> Iterable[SystemCommand]:
    """Those of the screen at that place first; `blanks` fills in the command lines, which are copied."""
    here = sorted((key for key in keys if key.place in ("all", place)), key=lambda key: key.place == "all")
    for key in here:
        act = partial(app.run_action, key.action, app if key.place == "all" else view)
        yield SystemCommand(key.help, f"{key.shown}   {key.label}", act)
    for key in here:
        if key.name in TWINS:
            text = twin(database, filled(TWINS[key.name], blanks))
            yield SystemCommand(f"copy: {line(text, 400)}", key.help, partial(_copy, app, text))
    for theme in themes.THEMES:
        does = partial(app.post_message, Prefer(changed(kept, "theme", theme.name), "look"))
        yield SystemCommand(f"Theme: {theme.name}", f"Other colours; {key_of('all.settings')} has all settings", does)


def _copy(app: App[Any], text: str) -> None:
    app.copy_to_clipboard(text)
    app.notify(f"copied: {line(text, 400)}", markup=False)
