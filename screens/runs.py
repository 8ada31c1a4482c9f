"""The run browser: every run in a row, filtered, sorted, as a tree, and what is known of the one under the cursor."""

import shlex
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from textual import on
from textual.app import ComposeResult
from textual.containers import Container
from textual.message import Message

from engine.errors import UsageError
from engine.store.runs.listing import Listed
from screens.base import Ask, Compare, Export, Keep, Look, Open, TryIt, View, Votes
from screens.doing import deeds, orders
from screens.doing.deeds import Deed
from screens.keys.table import bindings, hints
from screens.keys.twins import listing, twin, words
from screens.listing.arrange import Group
from screens.listing.columns import Moment
from screens.listing.run_table import readable
from screens.listing.typed import Kind, begun, looked, resorted
from screens.reading.reader import Answer, Snapshot
from screens.reading.run_watch import RunsSeen, RunsWatch
from screens.remembered.kept import RunsKept
from screens.widgets.footer import Footer
from screens.widgets.run_pane import RunPane
from screens.widgets.run_preview import BESIDE, PREVIEW, RunPreview
from screens.widgets.run_rows import Header, RunRows
from screens.widgets.words import line

if TYPE_CHECKING:
    from screens.widgets.first_run import FirstRun
    from screens.widgets.prompt import Prompt

NEWEST = 100
"""So many runs fill the first frame; the others are read when it is there."""
UNCHANGED = RunsKept()


class RunsScreen(View):
    """The list. Rows keep their place; the cursor keeps its run."""

    CSS_PATH = "runs.tcss"
    AUTO_FOCUS = "RunRows"
    HORIZONTAL_BREAKPOINTS = [*View.HORIZONTAL_BREAKPOINTS, (BESIDE, "-beside")]  # noqa: RUF012
    PLACE = "runs"
    BINDINGS = bindings("runs")

    def __init__(
        self, clock: Callable[[], float] = time.time, kept: RunsKept = UNCHANGED, database: Path | None = None
    ) -> None:
        super().__init__()
        self.clock, self.database = clock, database
        self.kept = readable(kept)
        self.runs: dict[int, Listed] = {}
        self.twin = ""
        """The command line of the last thing done."""
        self.chosen: frozenset[int] = frozenset()
        self.selected: int | None = None
        self._followed: int | None = None
        """What the cursor was last seen on; `selected` is another where a run was opened by its number."""
        self._seen: RunsSeen | None = None
        self._unreadable = False
        self._newest = NEWEST
        self._to_last = False
        """To the last row, once it is known which it is."""
        self._first_run: FirstRun | None = None
        """Where there is no run."""
        self._prompt: Prompt | None = None
        """Once something was to be typed."""

    @property
    def rows(self) -> RunRows:
        """The list."""
        return self.query_one(RunRows)

    def compose(self) -> ComposeResult:
        """The table, and below or beside it what is known of one run."""
        yield self.problem()
        with Container(id="body"):
            yield RunPane()
            yield RunPreview()
        yield Footer()

    def on_mount(self) -> None:
        """Ages grow without anything being written."""
        self.set_interval(5.0, self._tick)

    def _tick(self) -> None:
        self.draw()
        self.post_message(Look())

    def blanks(self) -> dict[str, str]:
        """The runs that a key is for, and what the list is asked for."""
        ids = " ".join(map(str, self.targets()))
        where = shlex.quote(self.kept.where) if self.kept.where else ""
        found = {"RUNS": ids, "RUN": ids, "FILTER": where, "KEY": self.kept.sort}
        return {name: words for name, words in found.items() if words}

    def wanted(self) -> RunsWatch:
        """The runs of the filter, and the scores of the one under the cursor."""
        return RunsWatch.of(self.kept, self.selected, self._newest, self.clock)

    @property
    def awaits(self) -> bool:
        """Whether the run that was opened or remembered is still to get its row: keys are for it, not for the first."""
        if self.selected is None or self.selected == self._followed or self._unreadable:
            return False
        return self._seen is None or (self._seen.partial and self.selected not in self.runs)

    def moment(self) -> Moment:
        """Now, to the second: less would be drawn anew for nothing."""
        return Moment(float(int(self.clock())), self._seen.stale if self._seen else frozenset())

    def show(self, snapshot: Snapshot) -> None:
        """Draw the list."""
        seen: RunsSeen | None = snapshot.content
        self._unreadable = seen is None and snapshot.problem is not None
        if seen is None:
            if snapshot.problem is not None and self._seen is None:
                self._empty(snapshot.absent)
                self.query_one(RunPane).nothing("no runs could be read: what is wrong stands above")
            return
        before, self._seen = self._seen, seen
        if before is None or seen.runs is not before.runs:
            if before is not None and (new := seen.made_since(before)):
                self.notify(f"New: {', '.join(line(one.run.name, 40) for one in new[:3])}", markup=False)
            self.runs = {one.run.id: one for one in seen.runs.runs}
            self.chosen &= self.runs.keys()
        self._empty(not seen.runs.total)
        if self._newest:
            self.call_after_refresh(self._read_all)
        self.draw()
        if self.awaits:
            self.query_one(RunPreview).show(None, (), self.moment())
            return  # the cursor goes there when it has a row
        if self._to_last and not seen.partial:
            self._to_last = False
            self.action_end(1)
        if self.selected is not None and self.selected != self._followed:
            self.rows.move_to(self.selected)
        self.follow_cursor()

    def _read_all(self) -> None:
        """The rest, now that the newest stand there."""
        self._newest = 0
        self.post_message(Look())

    def _empty(self, empty: bool) -> None:
        """What is said where there is no run is made when it is first to be said."""
        self.set_class(empty, "-empty")
        if empty and self._first_run is None:
            from screens.widgets.first_run import FirstRun

            self._first_run = FirstRun()
            self.mount(self._first_run, before="#body")

    def on_resize(self) -> None:
        """Other columns fit."""
        self.draw()
        self._preview()

    def draw(self) -> None:
        """Bring the list up to date with what is known and wanted."""
        if not self.children:  # not made yet
            return
        if self._first_run is not None and self._first_run.is_mounted:
            self._first_run.tell()
        if self._seen is None:
            return
        width = self.width - (PREVIEW if self.width >= BESIDE else 0)
        keys = hints("runs", "runs", self.keys)
        self.query_one(RunPane).show(self._seen.runs, self.runs, self.kept, self.moment(), self.chosen, width, keys)

    @on(RunRows.Moved)
    def follow_cursor(self) -> None:
        """Take the run under the cursor: keys may be faster than the list's own message."""
        under = self.rows.under
        selected = self._followed = under if isinstance(under, int) else None
        if selected != self.selected:
            self.selected = selected
            if self._seen is not None:
                self._seen = replace(self._seen, scores=())
            self.post_message(Look())
        self._preview()

    def _preview(self) -> None:
        under = self.rows.under
        scores = self._seen.scores if self._seen is not None else ()
        self.query_one(RunPreview).show(self.runs[under] if isinstance(under, int) else under, scores, self.moment())

    def keep(self, kept: RunsKept) -> None:
        """Show the list so from now on, and remember it."""
        if kept != self.kept:
            self.kept = kept
            self.twin = ""
            self.post_message(Keep("runs", kept))
            self.draw()
            self.post_message(Look())

    def answered(self, answer: Answer) -> None:
        """What can be typed; or the run that was begun from the empty list."""
        if isinstance(answer.result, orders.Begun):
            self.post_message(Open(answer.result.run_id))
        elif self._prompt is not None:
            self._prompt.offer(answer.result)

    @on(RunRows.Opened)
    def action_open(self) -> None:
        """Open the run under the cursor, or fold and unfold a group; where there is no run, begin the built-in one."""
        if self.has_class("-empty") and self._first_run is not None:
            self._first_run.begin()
            return
        if isinstance(self.rows.under, Group):
            self.query_one(RunPane).turn(self.rows.under)
            self.draw()
            return
        self.follow_cursor()
        if self.selected is not None:
            self.post_message(Open(self.selected))

    def leave(self) -> bool:
        """Put the prompt away, or unchoose; False where there was nothing to leave."""
        if self._prompt is not None and self._prompt.close():
            self.rows.focus()
            return True
        was = bool(self.chosen)
        self.chosen = frozenset()
        self.draw()
        return was

    def action_move(self, by: int) -> None:
        """Another row."""
        self._to_last = False
        self.rows.move_cursor(self.rows.cursor_row + by)

    def action_page(self, by: int) -> None:
        """A page down or up."""
        self.action_move(by * max(1, self.rows.size.height - 1))

    def action_end(self, by: int) -> None:
        """The first row, or the last."""
        self.action_move(by * len(self.rows.rows))
        self._to_last = by > 0 and self._seen is not None and self._seen.partial

    def action_fold(self) -> None:
        """Fold the group of the cursor, which goes there."""
        self.query_one(RunPane).fold()
        self.draw()

    def action_unfold(self) -> None:
        """Unfold the group under the cursor."""
        self.query_one(RunPane).unfold()
        self.draw()

    def action_choose(self) -> None:
        """Choose what is under the cursor, or no longer."""
        ids = frozenset(self.rows.ids_under)
        self.chosen = self.chosen - ids if ids <= self.chosen else self.chosen | ids
        self.draw()
        self.action_move(1)

    def targets(self) -> tuple[int, ...]:
        """The chosen runs, else those under the cursor; newest first."""
        return tuple(sorted(self.chosen or self.rows.ids_under, reverse=True))

    def _targeted(self) -> list[Listed]:
        return [self.runs[key] for key in self.targets()]

    def do(self, deed: Deed) -> None:
        """Have it done, after its question where it has one."""
        if deed.question:
            from screens.confirm import ConfirmScreen

            box, agreed = ConfirmScreen(deed.question, deed.detail), replace(deed, question="")
            self.app.push_screen(box, lambda yes: self.do(agreed) if yes else None)
            return
        self.twin = deed.command
        self.post_message(Ask(deed.job))

    def action_star(self) -> None:
        """Star them; where all have one, take it away."""
        if runs := self._targeted():
            self.do(deeds.star(runs))

    def action_archive(self) -> None:
        """Put them away; where all are, bring them back."""
        if runs := self._targeted():
            self.chosen = frozenset()
            self.do(deeds.archive(runs))

    def action_stop(self) -> None:
        """Stop those that run, after a question."""
        with self._refusals():
            self.do(deeds.stop(self._targeted(), self.moment()))

    def action_resume(self) -> None:
        """Let paused ones go on, start workers for those that have none; several are asked about."""
        with self._refusals():
            self.do(deeds.resume(self._targeted(), self.moment()))

    @contextmanager
    def _refusals(self) -> Iterator[None]:
        """What cannot be done is said."""
        try:
            yield
        except UsageError as error:
            self.notify(str(error), severity="warning", markup=False)

    def action_compare(self) -> None:
        """Lay them beside each other; the oldest is what the others are compared with."""
        ids = tuple(reversed(self.targets()))
        with self._refusals():
            deeds.comparable(ids, self.runs)
            self.twin = words("compare", ids)
            self.post_message(Compare(ids))

    def action_try_it(self) -> None:
        """Ask the student of the run under the cursor."""
        self._go("try", TryIt)

    def action_votes(self) -> None:
        """What votes among answers of the run under the cursor are worth."""
        self._go("evaluate", Votes)

    def action_export(self) -> None:
        """Export the student of the run under the cursor."""
        self._go("export", lambda run_id: Export(run_id, self.runs[run_id].run.name))

    def _go(self, command: str, message: Callable[[int], Message]) -> None:
        """Have something opened for the run under the cursor."""
        self.follow_cursor()
        if self.selected is not None:
            self.twin = f"{command} {self.selected}"
            self.post_message(message(self.selected))

    async def action_ask(self, kind: Kind) -> None:
        """Ask what the list is to be filtered, sorted or grouped by, or for its columns."""
        await self._ask(kind, begun(kind, self.kept, self.width))

    async def action_tag(self) -> None:
        """Ask for tags."""
        if ids := self.targets():
            await self._ask("tags", "", f"Tags of {orders.named(ids)}", ids)

    async def action_note(self) -> None:
        """Ask for a note."""
        self.follow_cursor()
        if self.selected in self.runs:
            run_id, note = self.selected, line(self.runs[self.selected].note, 4000)
            await self._ask("note", note, f"Note on run {run_id}", (run_id,))

    async def _ask(self, kind: Kind, text: str, heading: str = "", run_ids: tuple[int, ...] = ()) -> None:
        if self._prompt is None:
            from screens.widgets.prompt import Prompt

            self._prompt = Prompt()
            await self.mount(self._prompt, before=self.query_one(Footer))
        self._prompt.open(kind, text, heading, run_ids)
        self.post_message(Ask(orders.words))

    def on_prompt_done(self, event: "Prompt.Done") -> None:
        """Do what was typed."""
        self.rows.focus()
        if event.kind == "note":
            self.do(deeds.note(event.run_ids[0], event.text))
        elif event.kind == "tags":
            if event.text:
                self.do(deeds.tag(event.run_ids, event.text.split()))
        else:
            with self._refusals():
                kept = looked(event.kind, event.text, self.kept, event.words)
                if event.kind == "group":
                    self.query_one(RunPane).folded = frozenset()
                self.keep(kept)

    def on_header_sort(self, event: Header.Sort) -> None:
        """A title was clicked."""
        self.keep(resorted(self.kept, event.key))

    def action_archived(self) -> None:
        """Show what was put away, or hide it."""
        self.keep(replace(self.kept, archived=not self.kept.archived))

    def action_copy(self) -> None:
        """Copy the command line of the last thing done, else that of the list."""
        text = twin(self.database, self.twin or listing(self.kept))
        self.app.copy_to_clipboard(text)
        self.notify(f"copied: {line(text, 400)}", markup=False)
