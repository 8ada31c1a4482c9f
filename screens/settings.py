"""The settings: theme, what screens remember, and every key; a change holds at once and is remembered."""

from collections.abc import Sequence
from pathlib import Path

from rich.style import Style
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from engine.errors import UsageError
from screens.base import Prefer, draw_hints
from screens.catch_key import CatchKeyScreen
from screens.keys.key import Key
from screens.keys.table import KEYS, bindings
from screens.remembered.kept import Kept
from screens.remembered.preferences import Preference, changed, preferences
from screens.widgets.pick_list import PickList
from screens.widgets.words import line


class SettingsScreen(ModalScreen[None]):
    """A line a setting; the file they are in stands below."""

    CSS_PATH = "settings.tcss"
    AUTO_FOCUS = "#list"
    BINDINGS = bindings("settings")

    def __init__(self, kept: Kept, path: Path | None, keys: Sequence[Key] = KEYS) -> None:
        super().__init__()
        self._kept, self._path, self._keys = kept, path, keys

    def compose(self) -> ComposeResult:
        """The list, what the one under the cursor is, and the file."""
        with Vertical(id="box"):
            settings = PickList[Preference](lambda one: one.name, self._line, id="list")
            settings.border_title = Content("Settings")
            yield settings
            yield Static("", id="about", markup=False)
            where = "kept until q: no file was named" if self._path is None else line(str(self._path), 300)
            yield Static(Content.styled(where, "dim"), id="file", markup=False)

    def on_mount(self) -> None:
        """All of them."""
        draw_hints(self, "settings", self._keys)
        self._show()

    def _show(self, wrong: str = "") -> None:
        self._list.show(preferences(self._kept))
        self._about(wrong)

    @property
    def _list(self) -> PickList[Preference]:
        return self.query_one("#list", PickList)

    def _line(self, one: Preference) -> tuple[str, Style]:
        mark = "•" if one.value != one.default else " "
        return f"{mark} {one.name:<28} {one.value:<10} {one.help}", Style(bold=one.value != one.default)

    def _about(self, wrong: str = "") -> None:
        """What it can be, or why not."""
        one, about = self._list.row, self.query_one("#about", Static)
        if wrong:
            about.update(Content.styled(f"✗ {line(wrong, 300)}", "$text-error"))
        elif one is not None:
            can = (
                f"one of {', '.join(one.choices)}" if one.choices else "any key; qcrd settings takes several, by commas"
            )
            about.update(Content.assemble(one.help, (f"\n{can}; default {one.default}", "dim")))

    def on_pick_list_moved(self) -> None:
        """Another setting."""
        self._about()

    def action_move(self, by: int) -> None:
        """Another setting."""
        self._list.move(self._list.cursor + by)
        self._about()

    def action_page(self, by: int) -> None:
        """A page down or up."""
        self.action_move(by * self._list.page)

    def action_end(self, by: int) -> None:
        """The first, or the last."""
        self.action_move(by * len(self._list.rows))

    def action_change(self) -> None:
        """The next of what it can be; another key."""
        one = self._list.row
        if one is None:
            return
        if one.choices:
            self._set(one, one.choices[(one.choices.index(one.value) + 1) % len(one.choices)])
        else:
            self.app.push_screen(
                CatchKeyScreen(f"{one.name}, {one.help}"), lambda key: self._set(one, key) if key else None
            )

    def action_default(self) -> None:
        """Its default."""
        if self._list.row is not None:
            self._set(self._list.row, "")

    def action_leave(self) -> None:
        """Back."""
        self.dismiss()

    def _set(self, one: Preference, text: str) -> None:
        try:
            self._kept = changed(self._kept, one.name, text)
        except UsageError as error:
            self._show(str(error))
            return
        section = one.name.partition(".")[0] if "." in one.name else "look"
        self.app.post_message(Prefer(self._kept, section))
        self._show()
