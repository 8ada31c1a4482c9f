"""What is typed below the list of runs, and what becomes of it: how the list looks, tags, a note."""

from abc import abstractmethod
from typing import TYPE_CHECKING

from engine.errors import UsageError
from engine.store.runs.listing import Listed
from screens.base import Ask, View
from screens.doing import deeds, orders
from screens.doing.deeds import Deed
from screens.listing.typed import HEADINGS, begun, looked, offered, resorted
from screens.remembered.kept import RunsKept
from screens.widgets.footer import Footer
from screens.widgets.run_pane import RunPane
from screens.widgets.run_rows import Header, RunRows
from screens.widgets.words import line

if TYPE_CHECKING:
    from engine.store.runs.complete import Words
    from screens.widgets.prompt import Kind, Prompt


class Asking(View):
    """The list of runs, as far as something is typed for it."""

    kept: RunsKept
    runs: dict[int, Listed]
    selected: int | None

    def __init__(self) -> None:
        super().__init__()
        self.words: Words | None = None
        """What can be typed in the prompts; None: not known yet."""
        self._prompt: Prompt | None = None
        """Once something was to be typed."""

    @property
    def rows(self) -> RunRows:
        """The list."""
        return self.query_one(RunRows)

    @property
    def pane(self) -> RunPane:
        """The list with its titles."""
        return self.query_one(RunPane)

    @abstractmethod
    def follow_cursor(self) -> None:
        """Take the run under the cursor."""

    @abstractmethod
    def targets(self) -> tuple[int, ...]:
        """The runs that keys are for."""

    @abstractmethod
    def keep(self, kept: RunsKept) -> None:
        """Show the list so from now on, and remember it."""

    @abstractmethod
    def do(self, deed: Deed) -> None:
        """Have it done, after its question where it has one."""

    def offer(self, words: "Words") -> None:
        """More is known of what can be typed."""
        self.words = words
        if self._prompt is not None and self._prompt.shown:
            self._prompt.offer(offered(self._prompt.kind, self.words))

    def close_prompt(self) -> bool:
        """Put the prompt away; False where it was not open."""
        if self._prompt is None or not self._prompt.shown:
            return False
        self._prompt.close()
        self.rows.focus()
        return True

    async def action_ask(self, kind: "Kind") -> None:
        """Ask what the list is to be filtered, sorted or grouped by, or for its columns."""
        await self._ask(kind, HEADINGS[kind], begun(kind, self.kept, self.width))

    async def action_tag(self) -> None:
        """Ask for tags."""
        if ids := self.targets():
            await self._ask("tags", f"Tags of {orders.named(ids)}", "")

    async def action_note(self) -> None:
        """Ask for a note."""
        self.follow_cursor()
        if self.selected in self.runs:
            await self._ask("note", f"Note on run {self.selected}", line(self.runs[self.selected].note, 4000))

    async def _ask(self, kind: "Kind", heading: str, text: str) -> None:
        if self._prompt is None:
            from screens.widgets.prompt import Prompt

            self._prompt = Prompt()
            await self.mount(self._prompt, before=self.query_one(Footer))
        self._prompt.open(kind, heading, text, offered(kind, self.words))
        self.post_message(Ask(orders.words))

    def on_prompt_done(self, event: "Prompt.Done") -> None:
        """Do what was typed."""
        self.rows.focus()
        if event.kind == "note":
            if self.selected is not None:
                self.do(deeds.note(self.selected, event.text))
        elif event.kind == "tags":
            if event.text:
                self.do(deeds.tag([self.runs[key] for key in self.targets()], event.text.split()))
        else:
            try:
                kept = looked(event.kind, event.text, self.kept, self.words)
            except UsageError as error:
                self.notify(str(error), severity="warning", markup=False)
                return
            if event.kind == "group":
                self.pane.folded = frozenset()
            self.keep(kept)

    def on_header_sort(self, event: Header.Sort) -> None:
        """A title was clicked."""
        self.keep(resorted(self.kept, event.key))
