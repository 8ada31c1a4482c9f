"""The keys that matter most here, in a line; a click presses one.

Textual's footer has a widget a key, and makes all of them anew whenever the focus moves: a third of what a screen costs
to open. This one draws a line, and only where it says something else.
"""

from dataclasses import dataclass
from typing import Any

from rich.text import Text
from textual import events
from textual.screen import Screen
from textual.widget import Widget


@dataclass(frozen=True, slots=True)
class Shown:
    """A key in the line."""

    key: str
    """As Textual calls it."""
    shown: str
    label: str
    enabled: bool

    @property
    def cells(self) -> int:
        """It has a blank before and behind it, and one behind its label."""
        return len(self.shown) + 2 + (len(self.label) + 1)


class Footer(Widget, can_focus=False):
    """One line at the foot of a screen."""

    ALLOW_SELECT = False
    COMPONENT_CLASSES = {"footer--key", "footer--label"}  # noqa: RUF012
    DEFAULT_CSS = """
    Footer { dock: bottom; height: 1; color: $footer-foreground; background: $footer-background; }
    Footer .footer--key { color: $footer-key-foreground; background: $footer-key-background; text-style: bold; }
    Footer .footer--label { color: $footer-description-foreground; background: $footer-description-background; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._keys: tuple[Shown, ...] = ()

    def on_mount(self) -> None:
        """Keys come and go with the focus."""
        self.screen.bindings_updated_signal.subscribe(self, self._changed)

    def on_unmount(self) -> None:
        """No more."""
        self.screen.bindings_updated_signal.unsubscribe(self)

    def _changed(self, screen: Screen[Any]) -> None:
        if not self.is_attached or screen is not self.screen:
            return
        there: dict[str, Shown] = {}
        for _, binding, enabled, _ in screen.active_bindings.values():
            if binding.show:
                shown = Shown(binding.key, self.app.get_key_display(binding), binding.description, enabled)
                there.setdefault(binding.action, shown)
        keys = tuple(there.values())
        if keys != self._keys:
            self._keys = keys
            self.refresh()

    def render(self) -> Text:
        """The line; what does not fit is cut off."""
        key, label = (self.get_component_rich_style(f"footer--{part}") for part in ("key", "label"))
        text = Text(no_wrap=True, overflow="crop", end="")
        for one in self._keys:
            text.append(f" {one.shown} ", key)
            text.append(f"{one.label} ", label)
        return text

    def on_mouse_down(self, event: events.MouseDown) -> None:
        """Press the key that was clicked."""
        at = event.x
        for one in self._keys:
            if 0 <= at < one.cells:
                if one.enabled:
                    self.app.simulate_key(one.key)
                else:
                    self.app.bell()
                return
            at -= one.cells
