"""The run browser: every run in a row, newest first, and what is known of the one under the cursor."""

import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Container, Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import DataTable, Footer, Static

from engine.store.browse import Accuracy, RunRow, Score, read_runs, read_scores, with_clock
from screens.base import Look, Open, View
from screens.keys import bindings, hints
from screens.reader import Snapshot
from screens.widgets.words import STATUS, UNKNOWN, accuracy, count, duration, line

RICH = {"$success": "green", "$error": "red", "$warning": "yellow", "dim": "dim"}
"""The same colours for the table's cells, which are Rich texts."""
WIDTHS = {"state": 1, "method": 10, "student": 12, "teacher": 18, "explain": 11, "predict": 11, "step": 10, "age": 6}
TITLES = {"state": " "}
RIGHT = ("explain", "predict", "step", "age")
BESIDE = 160
"""Columns from which the preview stands beside the list; it takes PREVIEW of them."""
PREVIEW = 64
EMPTY = "No run yet.\n\nqcrd init run.toml   writes a commented spec\nqcrd run run.toml    runs it; it shows up here\n"


@dataclass(frozen=True, slots=True)
class RunsWatch:
    """All runs, and the scores of the one under the cursor."""

    selected: int | None

    def read(self, con: sqlite3.Connection, kept: dict[str, Any]) -> "RunsSeen":
        """The rows."""
        return RunsSeen(read_runs(con), () if self.selected is None else read_scores(con, self.selected))

    def at(self, content: "RunsSeen", now: float) -> "RunsSeen":
        """Runs go stale."""
        return RunsSeen(tuple(with_clock(run, now) for run in content.runs), content.scores)


@dataclass(frozen=True, slots=True)
class RunsSeen:
    """What a RunsWatch reads."""

    runs: tuple[RunRow, ...]
    scores: tuple[Score, ...]


class Cell(Text):
    """A cell that knows its run, so that the table can be sorted by it."""

    run_id = 0


class Table(DataTable[Cell], inherit_bindings=False):
    """A table whose keys are those of the screen."""


class RunsScreen(View):
    """The list. Rows keep their place; the cursor keeps its run."""

    CSS_PATH = "runs.tcss"
    HORIZONTAL_BREAKPOINTS = [*View.HORIZONTAL_BREAKPOINTS, (BESIDE, "-beside")]  # noqa: RUF012
    BINDINGS = bindings("runs")

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        super().__init__()
        self._clock = clock
        self._runs: dict[int, RunRow] = {}
        self._cells: dict[tuple[int, str], Cell] = {}
        self._columns: tuple[str, ...] = ()
        self._room = 0
        self._scores: tuple[Score, ...] = ()
        self.selected: int | None = None

    def compose(self) -> ComposeResult:
        """The table, and below or beside it what is known of one run."""
        yield self.problem()
        yield Static(Content(EMPTY), id="empty")
        with Container(id="body"):
            with Vertical(id="table-pane") as pane:
                pane.border_title = Content("Runs")
                pane.border_subtitle = Content(hints("runs", "runs"))
                yield Table(cursor_type="row")
            with VerticalScroll(id="preview", can_focus=False) as preview:
                preview.border_title = Content("Run")
                yield Static("", markup=False)
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        """Ages grow without anything being written."""
        self.set_interval(5.0, self._fill)

    def wanted(self) -> RunsWatch:
        """All runs, and the scores of the one under the cursor."""
        return RunsWatch(self.selected)

    def show(self, snapshot: Snapshot) -> None:
        """Draw the list."""
        seen: RunsSeen | None = snapshot.content
        if seen is None:
            if snapshot.problem is not None and not self._runs:
                self.add_class("-empty")
            return
        new = {run.id: run for run in seen.runs}
        if self._runs and (fresh := new.keys() - self._runs.keys()):
            names = ", ".join(line(new[key].name, 40) for key in sorted(fresh)[:3])
            self.notify(f"New: {names}", markup=False)
        gone = self._runs.keys() - new.keys()
        self._runs = new
        self._scores = seen.scores
        self.set_class(not new, "-empty")
        table = self.query_one(DataTable)
        for key in gone:
            if str(key) in table.rows:
                table.remove_row(str(key))
            self._cells = {cell: text for cell, text in self._cells.items() if cell[0] != key}
        self._fill()
        if self.selected not in new:
            self.selected = next(iter(new), None)
            self.post_message(Look())
        self._preview()

    def on_resize(self) -> None:
        """Other columns fit: the one time the table is made anew."""
        self._fill()
        self._preview()

    def _fill(self) -> None:
        """Bring the table's cells up to date, and touch no other."""
        table = self.query_one(DataTable)
        width = self.size.width - (PREVIEW if self.size.width >= BESIDE else 0)
        wanted = tuple(
            c
            for c in ("state", "name", "method", "student", "teacher", "explain", "predict", "step", "age")
            if not (c == "student" and width < 100) and not (c == "teacher" and width < 120)
        )
        # two cells of border, one of scroll bar, two of padding a column
        room = max(8, width - 4 - sum(WIDTHS[c] for c in wanted if c != "name") - 2 * len(wanted))
        if (wanted, room) != (self._columns, self._room):
            table.clear(columns=True)
            self._cells.clear()
            self._columns, self._room = wanted, room
            for c in wanted:
                title = Text(TITLES.get(c, c), justify="right" if c in RIGHT else "left")
                table.add_column(title, key=c, width=room if c == "name" else WIDTHS[c])
        now = self._clock()
        added = False
        for run in self._runs.values():
            cells = _cells(run, now, room)
            if str(run.id) not in table.rows:
                table.add_row(*(cells[c] for c in wanted), key=str(run.id))
                added = True
            else:
                for c in wanted:
                    if self._cells.get((run.id, c)) != cells[c]:
                        table.update_cell(str(run.id), c, cells[c])
            for c in wanted:
                self._cells[run.id, c] = cells[c]
        if added:
            table.sort("name", key=lambda cell: -cell.run_id)
        if self.selected in self._runs:
            row = table.get_row_index(str(self.selected))
            if row != table.cursor_row:
                table.move_cursor(row=row, animate=False)
        mark = " · v: on validation" if any(r.accuracy_split == "validation" for r in self._runs.values()) else ""
        self.query_one("#table-pane").border_title = Content(f"Runs · {count(len(self._runs))}{mark}")

    def on_data_table_row_highlighted(self) -> None:
        """The cursor moved: show that run below."""
        self.follow_cursor()

    def follow_cursor(self) -> None:
        """Take the run under the cursor: keys may be faster than the table's own message."""
        table = self.query_one(DataTable)
        if not table.row_count:
            return
        # where it is now: a message may tell of a move the table made by itself while rows came and went
        key = table.coordinate_to_cell_key(table.cursor_coordinate).row_key.value
        if key is not None and int(key) != self.selected:
            self.selected = int(key)
            self._scores = ()
            self._preview()
            self.post_message(Look())

    def _preview(self) -> None:
        run = self._runs.get(self.selected or -1)
        self.query_one("#preview Static", Static).update(preview(run, self._scores) if run else Content(""))

    def action_open(self) -> None:
        """Open the run under the cursor."""
        self.follow_cursor()
        if self.selected is not None:
            self.post_message(Open(self.selected))

    def on_data_table_row_selected(self) -> None:
        """Enter or a click on the row under the cursor."""
        self.action_open()

    def action_down(self) -> None:
        """Next run."""
        self.query_one(DataTable).action_cursor_down()

    def action_up(self) -> None:
        """Previous run."""
        self.query_one(DataTable).action_cursor_up()

    def action_page(self, by: int) -> None:
        """A page down or up."""
        table = self.query_one(DataTable)
        table.move_cursor(row=table.cursor_row + by * max(1, table.size.height - 2), animate=False)

    def action_top(self) -> None:
        """First run."""
        self.query_one(DataTable).move_cursor(row=0, animate=False)

    def action_bottom(self) -> None:
        """Last run."""
        table = self.query_one(DataTable)
        table.move_cursor(row=table.row_count - 1, animate=False)


def _cells(run: RunRow, now: float, room: int) -> dict[str, Cell]:
    """The row of a run, cleaned and cut to its columns."""
    glyph, style = STATUS[run.status]
    texts = {
        "state": glyph,
        "name": line(run.name, room),
        "method": line(run.method, WIDTHS["method"]),
        "student": line(run.student.rpartition("/")[2], WIDTHS["student"]),
        "teacher": line(run.teacher, WIDTHS["teacher"]) if run.method != "finetune" else UNKNOWN,
        "explain": _accuracy(run, run.explain),
        "predict": _accuracy(run, run.predict),
        "step": count(run.steps) if run.status == "done" else f"{count(run.step)}/{short(run.steps)}",
        "age": duration(now - (run.started_at or run.created_at)),
    }
    cells = {}
    for column, text in texts.items():
        cell = Cell(
            text,
            style=RICH[style] if column == "state" else "",
            justify="right" if column in RIGHT else "left",
            no_wrap=True,
            overflow="ellipsis",
        )
        cell.run_id = run.id
        cells[column] = cell
    return cells


def _accuracy(run: RunRow, value: Accuracy | None) -> str:
    """That on validation, which a run has until it has read the test set, is marked."""
    return f"v{accuracy(value)}" if value is not None and run.accuracy_split == "validation" else accuracy(value)


def short(number: int) -> str:
    """2k, 500: a number that needs few cells."""
    return f"{number // 1000}k" if number >= 1000 and number % 1000 == 0 else count(number)


def preview(run: RunRow, scores: tuple[Score, ...]) -> Content:
    """What is known of one run, in a few lines."""
    glyph, style = STATUS[run.status]
    made_of = (run.method, run.student, run.dataset, run.teacher)
    facts = " · ".join(line(name, 60) for name in made_of) + f" · seed {run.seed}"
    parts = [
        Content.assemble((f"{glyph} {run.status}", style), "  ", (line(run.name, 100), "bold"), f"  run {run.id}"),
        Content.styled(facts, "dim"),
    ]
    if run.error:
        parts.append(Content.styled(line(run.error, 400), "$error"))
    parts.append(Content(f"step {count(run.step)} of {count(run.steps)} · worked {duration(run.seconds)}"))
    if scores:
        parts.append(score_table(scores))
    return Content("\n").join(parts)


def score_table(scores: tuple[Score, ...]) -> Content:
    """Who reached what: a line a split and person, heads in columns."""
    rows: dict[tuple[str, str], dict[str, Score]] = {}
    for score in scores:
        rows.setdefault((score.split, score.who), {})[score.head] = score
    parts = [Content.styled(f"{'':<28}{'explain':>12}{'predict':>12}", "dim")]
    for (split, who), heads in sorted(rows.items(), key=lambda row: (row[0][1] != "student", row[0])):
        title = line(f"{who}, {split}", 28)
        alone = heads.get("")
        if alone is not None:
            parts.append(Content(f"{title:<28}{accuracy(alone.accuracy):>12}"))
            continue
        told = [accuracy(heads[h].accuracy) if h in heads else UNKNOWN for h in ("explain", "predict")]
        text = f"{title:<28}{told[0]:>12}{told[1]:>12}"
        parts.append(Content.styled(text, "bold" if who == "student" else ""))
    return Content("\n").join(parts)
