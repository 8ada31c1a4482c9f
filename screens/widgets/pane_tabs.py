"""Tabs where panes do not fit side by side."""

from textual.content import Content
from textual.widgets import Tab, Tabs


class PaneTabs(Tabs):
    """A tab a pane; the screen has the class `-on-NAME` of the one in front, and its style sheet does the rest.

    It has that class before it makes the tabs, or all of it would be styled again once they are there.
    """

    def __init__(self, *names: str, front: str) -> None:
        super().__init__(
            *(Tab(Content(name.capitalize()), id=f"show-{name}") for name in names), active=f"show-{front}"
        )
        self._names = names

    @property
    def front(self) -> str:
        """The name of the one in front."""
        return self.active.removeprefix("show-")

    def bring(self, name: str) -> None:
        """That one to the front."""
        self.active = f"show-{name}"

    def on_tabs_tab_activated(self, event: Tabs.TabActivated) -> None:
        """Another one."""
        self._on(self.front)

    def next(self) -> None:
        """The next, and round again; nothing where the panes fit."""
        if self.display:
            self.action_next_tab()

    def _on(self, name: str) -> None:
        self.screen.update_classes({f"-on-{other}": other == name for other in self._names})
