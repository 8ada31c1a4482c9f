"""What is shown where there is no run yet: the built-in experiment, one key away."""

from textual.app import ComposeResult
from textual.containers import Center
from textual.content import Content
from textual.widgets import Static

from screens.base import Ask
from screens.doing import orders
from screens.keys.table import key_of

EMPTY = (
    "No run yet.\n\n"
    "{:<6} starts the built-in experiment: a tiny model learns\n"
    "       arithmetic from a noisy teacher, wrong rationales\n"
    "       beside right ones; no key, no download, minutes on\n"
    "       two CPU cores\n\n"
    "{:<6} a run of your own: your questions, any teacher,\n"
    "       what it will cost\n\n"
    "In a terminal: qcrd demo, or qcrd init run.toml and\n"
    "qcrd run run.toml\n"
)
AGAIN = 5.0
"""Seconds until it can be begun again, should it not have come into being."""


class FirstRun(Center):
    """The words, and the start."""

    def __init__(self) -> None:
        super().__init__(id="empty")
        self._begun = False
        self._told = ""

    def compose(self) -> ComposeResult:
        """The words."""
        yield Static("", markup=False)

    def on_mount(self) -> None:
        """There."""
        self.tell()

    def tell(self) -> None:
        """The words, with the keys as they are; what is said already is not laid out again."""
        words = EMPTY.format(key_of("runs.open"), key_of("runs.new"))
        if words != self._told:
            self._told = words
            self.query_one(Static).update(Content(words))

    def begin(self) -> None:
        """Start the built-in experiment; Enter twice is one run."""
        if not self._begun:
            self._begun = True
            self.set_timer(AGAIN, self._may_begin)
            self.notify("starting the built-in experiment", markup=False)
            self.post_message(Ask(orders.demo))

    def _may_begin(self) -> None:
        self._begun = False
