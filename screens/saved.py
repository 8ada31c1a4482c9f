"""The saved queries, to take one."""

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from engine.store.saved import SavedQuery
from screens.widgets.words import line


class SavedScreen(ModalScreen[str]):
    """Enter: the SQL of the one under the cursor. Esc: ''."""

    CSS_PATH = "saved.tcss"
    BINDINGS = [  # noqa: RUF012
        Binding("escape,q", "leave", "leave"),
        Binding("j", "down", "down"),
        Binding("k", "up", "up"),
    ]

    def __init__(self, queries: list[SavedQuery]) -> None:
        super().__init__()
        self._queries = queries

    def compose(self) -> ComposeResult:
        """The list."""
        with Vertical(id="box") as box:
            box.border_title = Content("Saved queries")
            box.border_subtitle = Content("Enter take  Esc leave")
            yield OptionList(*(Option(_entry(query)) for query in self._queries), markup=False)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Close with it."""
        self.dismiss(self._queries[event.option_index].sql)

    def action_leave(self) -> None:
        """Close without."""
        self.dismiss("")

    def action_down(self) -> None:
        """The next."""
        self.query_one(OptionList).action_cursor_down()

    def action_up(self) -> None:
        """The one before."""
        self.query_one(OptionList).action_cursor_up()


def _entry(query: SavedQuery) -> Content:
    """Name and what it answers."""
    whose = "" if query.shipped else " (own)"
    return Content.assemble((f"{line(query.name, 40)}{whose}\n", "bold"), (f"  {line(query.about, 200)}", "dim"))
