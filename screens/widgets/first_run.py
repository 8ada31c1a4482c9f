"""What is shown where there is no run yet: the built-in experiment, one key away."""

from textual.app import ComposeResult
from textual.containers import Center
from textual.content import Content
from textual.widgets import Static

from screens import orders
from screens.base import Ask

EMPTY = (
    "No run yet.\n\n"
    "Enter  starts the built-in experiment: a tiny model learns\n"
    "       arithmetic from a noisy teacher, wrong rationales\n"
    "       beside right ones; no key, no download, minutes on\n"
    "       two CPU cores\n\n"
    "n      a run of your own: your questions, any teacher,\n"
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

    def compose(self) -> ComposeResult:
        """The words."""
        yield Static(Content(EMPTY))

    def begin(self) -> None:
        """Start the built-in experiment; Enter twice is one run."""
        if not self._begun:
            self._begun = True
            self.set_timer(AGAIN, self._may_begin)
            self.notify("starting the built-in experiment", markup=False)
            self.post_message(Ask(orders.demo))

    def _may_begin(self) -> None:
        self._begun = False
