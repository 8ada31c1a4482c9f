"""The Teacher screen: the ledger of a run or of all, and each request as it was sent and came back."""

import shlex
import sqlite3
from dataclasses import dataclass, replace
from typing import Any

from textual.app import ComposeResult
from textual.containers import Container, Horizontal, VerticalScroll
from textual.content import Content
from textual.widgets import Static

from engine.store.ledger.requests import (
    PAGE,
    STATES,
    LedgerSeen,
    RequestRow,
    RequestSeen,
    read_ledger,
    read_request,
    with_clock,
)
from screens.base import Look, View
from screens.keys.table import bindings, hints, key_of
from screens.reading.reader import Snapshot
from screens.widgets.footer import Footer
from screens.widgets.grid import Grid
from screens.widgets.ledger_text import cells, columns, failures, queue, spending, whole, word
from screens.widgets.words import count, line

FILTERS = (None, *STATES)
OVERVIEW = ("queue", "spending", "failures")
EMPTY = (
    "No request to a teacher yet.\n\nA run that samples from a model writes each one here before it is sent;\n"
    "recorded outputs (replay:, import-samples) need none.\n\n{} all runs"
)
REUSED = "Nothing was asked: {} were stored already, and reused for free.\n\n{} all runs"


@dataclass(frozen=True, slots=True)
class TeacherSeen:
    """What a TeacherWatch reads."""

    run_name: str | None
    ledger: LedgerSeen
    request: RequestSeen | None


@dataclass(frozen=True, slots=True)
class TeacherWatch:
    """The ledger of a run (None: of all), a page of its requests, and one of them."""

    run_id: int | None
    state: str | None
    page: int
    request: int | None

    def read(self, con: sqlite3.Connection, kept: dict[str, Any]) -> TeacherSeen:
        """The ledger, read again only where something was written: moving the cursor is no reason."""
        key = (self.run_id, self.state, self.page, con.execute("PRAGMA data_version").fetchone()[0])
        known, name, ledger = kept.get("ledger", (None, None, None))
        if known != key:
            row = con.execute("SELECT substr(name, 1, 300) FROM runs WHERE id = ?", (self.run_id,)).fetchone()
            name = row[0] if row else None
            ledger = read_ledger(con, self.run_id, self.state, self.page)
            kept["ledger"] = (key, name, ledger)
        return TeacherSeen(name, ledger, None if self.request is None else read_request(con, self.request))

    def at(self, content: TeacherSeen, now: float) -> TeacherSeen:
        """What a dead worker had sent is in doubt, and the rate is of the last minute."""
        ledger, request = with_clock(content.ledger, now), content.request
        if request is not None:
            row = next((row for row in ledger.listed if row.id == request.row.id), request.row)
            request = replace(request, row=row)
        return replace(content, ledger=ledger, request=request)


class TeacherScreen(View):
    """Queue, spending and failures above, the requests below, and the one under the cursor whole."""

    CSS_PATH = "teacher.tcss"
    AUTO_FOCUS = "#requests"
    HORIZONTAL_BREAKPOINTS = [*View.HORIZONTAL_BREAKPOINTS, (160, "-beside")]  # noqa: RUF012
    PLACE = "teacher"
    BINDINGS = bindings("teacher")

    def __init__(self) -> None:
        super().__init__()
        self.run_id: int | None = None
        self._all = False
        self._state: str | None = None
        self._page = 0
        self._request: int | None = None
        self._seen: TeacherSeen | None = None
        self._drawn: tuple[object, ...] = ()
        self._detail: RequestSeen | None = None

    def compose(self) -> ComposeResult:
        """The panes."""
        yield self.problem()
        yield Static("", id="empty", markup=False)
        with Horizontal(id="overview"):
            for name in OVERVIEW:
                with VerticalScroll(id=name, can_focus=False) as pane:
                    pane.border_title = Content(name if name != "failures" else "failures, batches")
                    pane.border_subtitle = Content(hints("teacher", name))
                    yield Static("", markup=False)
        with Container(id="lower"):
            with Container(id="list") as pane:
                pane.border_subtitle = Content(hints("teacher", "list"))
                yield Grid(id="requests", cell_cursor=False)
            with VerticalScroll(id="request", can_focus=False) as pane:
                pane.border_subtitle = Content(hints("teacher", "request"))
                yield Static("", markup=False)
        yield Footer()

    def on_mount(self) -> None:
        """On a narrow terminal one of the panes above at a time."""
        self.add_class("-on-queue")

    def open(self, run_id: int | None) -> None:
        """Show that run's ledger from now on; None: that of all."""
        if run_id != self.run_id:
            self.run_id, self._all = run_id, False
            self._first_page()

    def blanks(self) -> dict[str, str]:
        """The run, the state and the request."""
        found = {"RUN": "all" if self.wanted().run_id is None else str(self.run_id)}
        found |= {} if self._state is None else {"STATE": self._state}
        return found if self._request is None else {**found, "REQUEST": str(self._request)}

    def wanted(self) -> TeacherWatch:
        """This ledger, page and request."""
        return TeacherWatch(None if self._all else self.run_id, self._state, self._page, self._request)

    def show(self, snapshot: Snapshot) -> None:
        """Draw the ledger."""
        seen: TeacherSeen | None = snapshot.content
        if seen is None:
            return
        self._seen = seen
        ledger = seen.ledger
        one_run = self.wanted().run_id is not None
        self.set_class(not ledger.counts and not ledger.tries, "-empty")
        reused = sum(one.reused for one in ledger.spending)
        told = EMPTY.format(key_of("teacher.run-or-all"))
        if reused:
            told = REUSED.format(
                "1 sample" if reused == 1 else f"{count(reused)} samples", key_of("teacher.run-or-all")
            )
        self.query_one("#empty", Static).update(Content(told))
        self.query_one("#queue").border_title = Content(self._whose(seen))
        self.query_one("#queue Static", Static).update(queue(ledger))
        self.query_one("#spending Static", Static).update(spending(ledger, one_run))
        self.query_one("#failures Static", Static).update(failures(ledger))
        self._list()
        self._draw_request(seen.request)
        if self._request is None and ledger.listed:
            self._select(ledger.listed[0])

    def _whose(self, seen: TeacherSeen) -> str:
        return "all runs" if self.wanted().run_id is None else f"{line(seen.run_name, 30)} · run {self.run_id}"

    def _list(self) -> None:
        """The list, where it is not as it was; the cursor keeps its request."""
        if self._seen is None:
            return
        ledger, grid = self._seen.ledger, self.query_one(Grid)
        width = grid.scrollable_content_region.width or self.width
        which = "all" if self._state is None else word(self._state)
        first = self._page * PAGE
        of = count(ledger.listed_of)
        some = f"{count(first + 1)} to {count(first + len(ledger.listed))} of {of}"
        told = of if len(ledger.listed) == ledger.listed_of else some if ledger.listed else f"none of {of}"
        self.query_one("#list").border_title = Content(f"requests · {which} · {told}")
        if (ledger.listed, width, self._all) == self._drawn:
            return
        self._drawn = (ledger.listed, width, self._all)
        shape = columns(width, self.wanted().run_id is not None)
        names = [column.title for column in shape]
        at = next((i for i, row in enumerate(ledger.listed) if row.id == self._request), min(grid.row, PAGE))
        grid.show(shape, tuple(cells(row, names) for row in ledger.listed), at)

    def _draw_request(self, request: RequestSeen | None) -> None:
        pane = self.query_one("#request")
        if request is not None and request.row.id != self._request:
            return  # the one asked for is on its way
        pane.border_title = Content("request" if request is None else f"request {request.row.id}")
        if request != self._detail:
            if request is None or self._detail is None or request.row.id != self._detail.row.id:
                pane.scroll_home(animate=False)
            self._detail = request
            self.query_one("#request Static", Static).update("" if request is None else whole(request))

    def on_resize(self) -> None:
        """Other columns."""
        self.call_after_refresh(self._list)

    def on_grid_moved(self) -> None:
        """Another request."""
        grid = self.query_one(Grid)
        if self._seen is not None and grid.row < len(self._seen.ledger.listed):
            self._select(self._seen.ledger.listed[grid.row])

    def _select(self, row: RequestRow) -> None:
        if row.id != self._request:
            self._request = row.id
            self.post_message(Look())

    def _first_page(self) -> None:
        self._page, self._request = 0, None

    def action_everyone(self) -> None:
        """This run, or all."""
        if self.run_id is None:
            self.notify("no run is in view: these are all", markup=False)
            return
        self._all = not self._all
        self._first_page()
        self.post_message(Look())

    def action_state(self, by: int) -> None:
        """The list of the next state."""
        self._state = FILTERS[(FILTERS.index(self._state) + by) % len(FILTERS)]
        self._first_page()
        self.post_message(Look())

    def action_turn(self, by: int) -> None:
        """Older or newer requests."""
        pages = 0 if self._seen is None else max(0, self._seen.ledger.listed_of - 1) // PAGE
        page = max(0, min(self._page + by, pages))
        if page != self._page:
            self._page, self._request = page, None
            self.post_message(Look())

    def action_next_pane(self) -> None:
        """Where they do not fit side by side: the next of the panes above."""
        at = next(i for i, name in enumerate(OVERVIEW) if self.has_class(f"-on-{name}"))
        for i, name in enumerate(OVERVIEW):
            self.set_class(i == (at + 1) % len(OVERVIEW), f"-on-{name}")

    def action_tall(self) -> None:
        """The request alone, and back."""
        self.toggle_class("-tall")

    async def action_leave(self) -> None:
        """The request alone no more; else back."""
        if self.has_class("-tall"):
            self.remove_class("-tall")
        else:
            await self.run_action("app.go('runs')" if self.run_id is None else "app.go('live')")

    def action_copy(self) -> None:
        """The command line that shows the same."""
        run = "all" if self.wanted().run_id is None else str(self.run_id)
        words = ["qcrd", "requests", run, *(["--request", str(self._request)] if self._request is not None else [])]
        self.app.copy_to_clipboard(shlex.join(words))
        self.notify(f"copied: {shlex.join(words)}", markup=False)

    def action_move(self, by: int) -> None:
        """The cursor down or up."""
        grid = self.query_one(Grid)
        grid.move(grid.row + by)

    def action_page(self, by: int) -> None:
        """A page down or up."""
        grid = self.query_one(Grid)
        grid.move(grid.row + by * grid.page)

    def action_end(self, by: int) -> None:
        """The first row, or the last."""
        grid = self.query_one(Grid)
        grid.move(by * len(grid.rows))

    def action_scroll(self, by: int) -> None:
        """The request's text, up or down."""
        pane = self.query_one("#request", VerticalScroll)
        pane.scroll_relative(y=by * max(1, pane.size.height // 2), animate=False)
