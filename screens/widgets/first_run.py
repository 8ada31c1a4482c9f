"""What is shown where there is no run yet: the built-in experiment, one key away."""

from textual.content import Content
from textual.widgets import Static

from screens import orders
from screens.base import Ask

EMPTY = (
    "No run yet.\n\n"
    "Enter   starts the built-in experiment: a tiny model learns arithmetic from a noisy teacher,\n"
    "        wrong rationales beside right ones; no key, no download, minutes on two CPU cores\n"
    "n       a run of your own: your questions, any teacher, what it will cost\n\n"
    "In a terminal: qcrd demo, or qcrd init run.toml and qcrd run run.toml\n"
)
AGAIN = 5.0
"""Seconds until it can be begun again, should it not have come into being."""


class FirstRun(Static):
    """The words, and the start."""

    def __init__(self) -> None:
        super().__init__(Content(EMPTY), id="empty")
        self._begun = False

    def begin(self) -> None:
        """Start the built-in experiment; Enter twice is one run."""
        if not self._begun:
            self._begun = True
            self.set_timer(AGAIN, self._may_begin)
            self.notify("starting the built-in experiment", markup=False)
            self.post_message(Ask(orders.demo))

    def _may_begin(self) -> None:
        self._begun = False
