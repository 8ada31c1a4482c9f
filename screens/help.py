"""All keys, from the one table."""

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from screens.keys.key import Key
from screens.keys.table import KEYS, PLACES

SIGNS = (
    "Signs   ● running   ✓ done   ✗ failed   ◌ queued or waiting   ‖ paused\n"
    "        ■ stopped, resumable   ? no sign of life\n"
    "        + positive   − negative   ▶ chosen   s quality   CE cross-entropy (nats a token)   – unknown"
)


class HelpScreen(ModalScreen[None]):
    """Shown by ?; Esc, ? or q closes it."""

    CSS_PATH = "help.tcss"
    BINDINGS = [  # noqa: RUF012
        Binding("escape,question_mark,q,enter", "dismiss", "close"),
    ]

    def __init__(self, place: str, keys: Sequence[Key] = KEYS) -> None:
        super().__init__()
        self._place, self._keys = place, keys

    def compose(self) -> ComposeResult:
        """The box, scrolled where it does not fit."""
        with VerticalScroll(id="box") as box:
            box.border_title = Content("Keys")
            box.border_subtitle = Content("Esc close")
            yield Static(table(self._place, self._keys))

    def on_mount(self) -> None:
        """Arrow keys scroll at once."""
        self.query_one("#box").focus()


def table(here: str, keys: Sequence[Key] = KEYS) -> Content:
    """The help text; the keys of the screen one comes from first."""
    parts: list[Content] = []
    for place, title in sorted(PLACES.items(), key=lambda item: (item[0] != here, item[0] != "all")):
        parts.append(Content.styled(title, "bold"))
        for key in (k for k in keys if k.place == place):
            parts.append(Content.assemble((f"  {key.shown:<7}", "$accent"), key.help))
        parts.append(Content(""))
    parts.append(Content.styled(SIGNS, "dim"))
    return Content("\n").join(parts)
