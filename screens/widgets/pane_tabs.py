"""Tabs where panes do not fit side by side."""

from textual.content import Content
from textual.widgets import Tab, Tabs


class PaneTabs(Tabs):
    """A tab a pane; the screen has the class `-on-NAME` of the one in front, and its style sheet does the rest."""

    def __init__(self, *names: str) -> None:
        super().__init__(*(Tab(Content(name.capitalize()), id=f"show-{name}") for name in names))
        self._names = names

    def on_mount(self) -> None:
        """The first one is in front."""
        self._on(self._names[0])

    def on_tabs_tab_activated(self, event: Tabs.TabActivated) -> None:
        """Another one."""
        self._on((event.tab.id or "").removeprefix("show-"))

    def next(self) -> None:
        """The next, and round again; nothing where the panes fit."""
        if self.display:
            self.action_next_tab()

    def _on(self, name: str) -> None:
        for other in self._names:
            self.screen.set_class(other == name, f"-on-{other}")
