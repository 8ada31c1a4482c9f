"""The run browser: every run in a row, filtered, sorted, as a tree, and what is known of the one under the cursor."""

import shlex
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from textual.app import ComposeResult
from textual.containers import Container, Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Footer, Static

from engine.store.complete import Words, read_words
from engine.store.run_fields import SHORT, nearest
from engine.store.run_list import Listed
from screens import orders
from screens.arrange import Group, Row, ordered, tree
from screens.base import Ask, Compare, Keep, Look, Open, View
from screens.columns import COLUMNS, Moment, column_of
from screens.confirm import ConfirmScreen
from screens.kept import RunsKept
from screens.keys import bindings, hints
from screens.preview import group_preview, preview
from screens.reader import Answer, Reader, Said, Snapshot
from screens.run_table import fitting, group_name, known, layout, title
from screens.run_watch import RunsSeen, RunsWatch
from screens.twins import each, listing, twin, words
from screens.widgets.prompt import Kind, Prompt
from screens.widgets.run_rows import Header, RunRows
from screens.widgets.words import count, line

BESIDE = 160
"""Columns from which the preview stands beside the list; it takes PREVIEW of them."""
PREVIEW = 64
UNCHANGED = RunsKept()
COMPARED = range(2, 9)
"""So many runs can be compared."""
EMPTY = (
    "No run yet.\n\n"
    "Enter   starts the built-in experiment: a tiny model learns arithmetic from a noisy teacher,\n"
    "        wrong rationales beside right ones; no key, no download, minutes on two CPU cores\n"
    "n       a run of your own: your questions, any teacher, what it will cost\n\n"
    "In a terminal: qcrd demo, or qcrd init run.toml and qcrd run run.toml\n"
)


class RunsScreen(View):
    """The list. Rows keep their place; the cursor keeps its run."""

    CSS_PATH = "runs.tcss"
    AUTO_FOCUS = "RunRows"
    HORIZONTAL_BREAKPOINTS = [*View.HORIZONTAL_BREAKPOINTS, (BESIDE, "-beside")]  # noqa: RUF012
    BINDINGS = bindings("runs")

    def __init__(
        self, clock: Callable[[], float] = time.time, kept: RunsKept = UNCHANGED, database: Path | None = None
    ) -> None:
        super().__init__()
        self.clock, self.database = clock, database
        self.kept = replace(
            kept, columns=known(kept.columns), groups=known(kept.groups), sort=" ".join(known((kept.sort,)))
        )
        self.runs: dict[int, Listed] = {}
        self.words = Words()
        self.twin = ""
        """The command line of the last thing done."""
        self.chosen: frozenset[int] = frozenset()
        self.folded: frozenset[tuple[str, ...]] = frozenset()
        self.selected: int | None = None
        self._seen: RunsSeen | None = None
        self._begun = False
        self._ids: tuple[object, ...] = ()
        self._ordered: tuple[int, ...] = ()
        self._around = ("", "")
        self._said: dict[str, str] = {}
        self._previewed: Content | None = None

    def compose(self) -> ComposeResult:
        """The table, and below or beside it what is known of one run."""
        yield self.problem()
        yield Static(Content(EMPTY), id="empty")
        with Container(id="body"):
            with Vertical(id="table-pane") as pane:
                pane.border_title = Content("Runs")
                yield Header()
                yield RunRows()
                yield Static(Content("reading the runs …"), id="none", markup=False)
                yield Static("", id="wrong", markup=False)
            with VerticalScroll(id="preview", can_focus=False) as side:
                side.border_title = Content("Run")
                yield Static("", markup=False)
        yield Prompt()
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        """Ages grow without anything being written."""
        self.set_interval(5.0, self._tick)

    def _tick(self) -> None:
        self.draw()
        self.post_message(Look())

    def wanted(self) -> RunsWatch:
        """The runs of the filter, and the scores of the one under the cursor."""
        where = self.kept.where
        timed = any(word in where.lower() for word in ("age", "state", "status"))
        minute = int(self.clock() // 60) if timed else 0
        return RunsWatch(self.selected, where, self.settings(), self.kept.archived, minute, self.clock)

    def settings(self) -> tuple[str, ...]:
        """The settings that columns, groups and the sort need."""
        keys = (*self.kept.columns, *self.kept.groups, self.kept.sort)
        return tuple(dict.fromkeys(key for key in keys if key and key not in COLUMNS))

    @property
    def rows(self) -> RunRows:
        """The list."""
        return self.query_one(RunRows)

    def moment(self) -> Moment:
        """Now, to the second: less would be drawn anew for nothing."""
        return Moment(float(int(self.clock())), self._seen.stale if self._seen else frozenset())

    def show(self, snapshot: Snapshot) -> None:
        """Draw the list."""
        seen: RunsSeen | None = snapshot.content
        if seen is None:
            if snapshot.problem is not None and self._seen is None:
                self.add_class("-empty")
            return
        before, self._seen = self._seen, seen
        if before is None or seen.runs is not before.runs:
            new = {one.run.id: one for one in seen.runs.runs}
            # not what a filter brings in: what was made since
            newest = max(self.runs, default=0)
            fresh = [key for key in new if key > newest] if self.runs and before is not None else []
            if fresh and before is not None and seen.runs.total > before.runs.total:
                names = ", ".join(line(new[key].run.name, 40) for key in sorted(fresh)[:3])
                self.notify(f"New: {names}", markup=False)
            self.runs = new
            self.chosen &= new.keys()
        self.set_class(not seen.runs.total, "-empty")
        self.draw()
        if self.selected is not None and self.rows.under != self.selected:
            self.rows.move_to(self.selected)
        self.follow_cursor()
        self._preview()

    def on_resize(self) -> None:
        """Other columns fit."""
        self.draw()
        self._preview()

    def draw(self) -> None:
        """Bring the list up to date with what is known and wanted."""
        if self._seen is None or not self.is_mounted:
            return
        moment, width = self.moment(), self.size.width - (PREVIEW if self.size.width >= BESIDE else 0)
        columns = layout(self.kept, self.settings(), width)
        groups: list[Callable[[Listed], str]] = [
            partial(group_name, column=column_of(key, self.settings()), moment=moment) for key in self.kept.groups
        ]
        self.rows.show(self._rows(moment, groups), self.runs, columns, moment, self.chosen, 2 * len(groups))
        self.query_one(Header).show(columns, self.kept.sort, self.kept.ascending)
        runs = self._seen.runs
        more = ", A shows the archived ones" if runs.away else ""
        nothing = f"None of {count(runs.total)} runs: / changes the filter{more}"
        self._say("#none", nothing if not self.runs and runs.total else "")
        self._say("#wrong", f"✗ {line(runs.wrong, 300)}" if runs.wrong is not None else "")
        around = (title(runs, self.kept, columns, len(self.chosen)), fitting(hints("runs", "runs"), width - 6))
        if around != self._around:
            self._around = around
            pane = self.query_one("#table-pane")
            pane.border_title, pane.border_subtitle = Content(around[0]), Content(around[1])

    def _say(self, where: str, text: str) -> None:
        """A line that is there while it says something; what is said already is not laid out again."""
        widget = self.query_one(where, Static)
        widget.set_class(bool(text), "-shown")
        if self._said.get(where) != text:
            self._said[where] = text
            widget.update(Content(text))

    def _rows(self, moment: Moment, groups: list[Callable[[Listed], str]]) -> tuple[Row, ...]:
        """Sorted anew only where runs came or went, or another order was asked for: rows keep their place."""
        ids = (tuple(self.runs), self.kept.sort, self.kept.ascending)
        if ids != self._ids:
            self._ids = ids
            column = column_of(self.kept.sort, self.settings()) if self.kept.sort else None
            runs = ordered(tuple(self.runs.values()), column, moment, self.kept.ascending)
            self._ordered = tuple(one.run.id for one in runs)
        if not groups:
            return self._ordered
        return tuple(tree([self.runs[key] for key in self._ordered], groups, self.folded))

    def on_run_rows_moved(self) -> None:
        """The cursor moved: show that run below."""
        self.follow_cursor()

    def follow_cursor(self) -> None:
        """Take the run under the cursor: keys may be faster than the list's own message."""
        under = self.rows.under
        selected = under if isinstance(under, int) else None
        if selected != self.selected:
            self.selected = selected
            if self._seen is not None:
                self._seen = replace(self._seen, scores=())
            self.post_message(Look())
        self._preview()

    def _preview(self) -> None:
        under = self.rows.under
        text = Content("")
        if isinstance(under, Group):
            text = group_preview(under)
        elif under is not None and self._seen is not None:
            text = preview(self.runs[under], self._seen.scores, self.moment())
        if text != self._previewed:
            self._previewed = text
            side = self.query_one("#preview")
            side.border_title = Content("Group" if isinstance(under, Group) else "Run")
            inner = side.query_one(Static)
            height = text.get_height({}, inner.size.width) if inner.size.width else -1
            inner.update(text, layout=height != inner.size.height)

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
            return
        self.words = answer.result
        prompt = self.query_one(Prompt)
        if prompt.shown:
            prompt.offer(self._offered(prompt.kind))

    def action_open(self) -> None:
        """Open the run under the cursor, or fold and unfold a group; where there is no run, begin the built-in one."""
        if self.has_class("-empty"):
            if not self._begun:  # Enter twice is one run
                self._begun = True
                self.set_timer(5, self._may_begin)
                self.notify("starting the built-in experiment", markup=False)
                self.post_message(Ask(orders.demo))
            return
        if isinstance(self.rows.under, Group):
            self.fold(self.rows.under, not self.rows.under.folded)
            return
        self.follow_cursor()
        if self.selected is not None:
            self.post_message(Open(self.selected))

    def on_run_rows_opened(self) -> None:
        """A click on the row under the cursor."""
        self.action_open()

    def _may_begin(self) -> None:
        self._begun = False

    def leave(self) -> bool:
        """Put the prompt away, or unchoose; False where there was nothing to leave."""
        if self.query_one(Prompt).shown:
            self.query_one(Prompt).close()
            self.rows.focus()
            return True
        was = bool(self.chosen)
        self.chosen = frozenset()
        self.draw()
        return was

    def action_down(self) -> None:
        """Next row."""
        self.rows.move_cursor(self.rows.cursor_row + 1)

    def action_up(self) -> None:
        """Previous row."""
        self.rows.move_cursor(self.rows.cursor_row - 1)

    def action_page(self, by: int) -> None:
        """A page down or up."""
        self.rows.move_cursor(self.rows.cursor_row + by * max(1, self.rows.size.height - 1))

    def action_top(self) -> None:
        """First row."""
        self.rows.move_cursor(0)

    def action_bottom(self) -> None:
        """Last row."""
        self.rows.move_cursor(len(self.rows.rows) - 1)

    def fold(self, group: Group, folded: bool) -> None:
        """Fold a group, or unfold it."""
        self.folded = self.folded | {group.path} if folded else self.folded - {group.path}
        self.draw()

    def action_fold(self) -> None:
        """Fold the group of the cursor, which goes there."""
        at = self.rows.cursor_row
        above = [row for row in self.rows.rows[: at + 1] if isinstance(row, Group)]
        if not above:
            return
        group, under = above[-1], self.rows.under
        if isinstance(under, Group) and under.folded:  # folded already: out of it
            self.rows.move_to(under.path[:-1])
            return
        self.rows.move_to(group.path)
        self.fold(group, True)

    def action_unfold(self) -> None:
        """Unfold the group under the cursor."""
        if isinstance(self.rows.under, Group):
            self.fold(self.rows.under, False)

    def action_choose(self) -> None:
        """Choose what is under the cursor, or no longer."""
        under = self.rows.under
        ids = frozenset(under.run_ids if isinstance(under, Group) else () if under is None else (under,))
        self.chosen = self.chosen - ids if ids <= self.chosen else self.chosen | ids
        self.draw()
        self.action_down()

    def targets(self) -> tuple[int, ...]:
        """The chosen runs, else those under the cursor; newest first."""
        under = self.rows.under
        ids = self.chosen or (under.run_ids if isinstance(under, Group) else () if under is None else (under,))
        return tuple(sorted(ids, reverse=True))

    def _do(self, job: Callable[[Reader], Said], command: str) -> None:
        """Have it done; `command` is its command line."""
        self.twin = command
        self.post_message(Ask(job))

    def _every(self, ids: Sequence[int], has: Callable[[Listed], bool]) -> bool:
        return all(has(self.runs[key]) for key in ids)

    def action_star(self) -> None:
        """Star them; where all have one, take it away."""
        if ids := self.targets():
            on = not self._every(ids, lambda one: one.star)
            self._do(partial(orders.star, run_ids=ids, on=on), words("star", ids, "" if on else "--undo"))

    def action_archive(self) -> None:
        """Put them away; where all are, bring them back."""
        if ids := self.targets():
            on = not self._every(ids, lambda one: one.archived)
            self.chosen = frozenset()
            self._do(partial(orders.archive, run_ids=ids, on=on), words("archive", ids, "" if on else "--undo"))

    def action_compare(self) -> None:
        """Lay them beside each other; the oldest is what the others are compared with."""
        ids = tuple(reversed(self.targets()))
        if len(ids) not in COMPARED:
            self.notify("choose two to eight runs: Space marks one, c compares them", severity="warning", markup=False)
            return
        self.twin = words("compare", ids)
        self.post_message(Compare(ids))

    def action_stop(self) -> None:
        """Stop those that run, after a question."""
        moment = self.moment()
        ids = tuple(key for key in self.targets() if moment.status(self.runs[key]) in ("queued", "running", "paused"))
        if not ids:
            self.notify("nothing to stop: no such run is at work", severity="warning", markup=False)
            return
        name = line(self.runs[ids[0]].run.name, 40) if len(ids) == 1 else f"{len(ids)} runs"
        self.app.push_screen(
            ConfirmScreen(f"Stop {name}?", "A checkpoint is saved first; r resumes from there."),
            lambda yes: self._do(partial(orders.stop_all, run_ids=ids), each("stop", ids)) if yes else None,
        )

    def action_resume(self) -> None:
        """Let paused ones go on, start workers for those that have none; several are asked about."""
        moment = self.moment()
        status = {key: moment.status(self.runs[key]) for key in self.targets()}
        paused = tuple(key for key, now in status.items() if now == "paused")
        ended = tuple(key for key, now in status.items() if now in ("queued", "interrupted", "failed", "stale"))
        if not paused and not ended:
            self.notify("nothing to resume: such runs are at work or done", severity="warning", markup=False)
            return
        job, typed = partial(orders.resume_all, paused=paused, ended=ended), each("resume", (*paused, *ended), "-d")
        if len(ended) < 2:
            self._do(job, typed)
            return
        self.app.push_screen(
            ConfirmScreen(f"Start {len(ended)} workers?", "Each run trains in a process of its own, all at once."),
            lambda yes: self._do(job, typed) if yes else None,
        )

    def action_archived(self) -> None:
        """Show what was put away, or hide it."""
        self.keep(replace(self.kept, archived=not self.kept.archived))

    def action_copy(self) -> None:
        """Copy the command line of the last thing done, else that of the list."""
        text = twin(self.database, self.twin or listing(self.kept))
        self.app.copy_to_clipboard(text)
        self.notify(f"copied: {line(text, 400)}", markup=False)

    def action_filter(self) -> None:
        """Ask for a filter."""
        self._ask("filter", "Filter", self.kept.where)

    def action_sort(self) -> None:
        """Ask what to sort by."""
        self._ask("sort", "Sort by", self.kept.sort)

    def action_group(self) -> None:
        """Ask what to group by."""
        self._ask("group", "Group by", " ".join(self.kept.groups))

    def action_columns(self) -> None:
        """Ask for the columns."""
        chosen = self.kept.columns or tuple(c.key for c, _ in layout(self.kept, self.settings(), self.size.width))
        self._ask("columns", "Columns", " ".join(chosen) + " ")

    def action_tag(self) -> None:
        """Ask for tags."""
        if ids := self.targets():
            self._ask("tags", f"Tags of {orders.named(ids)}", "")

    def action_note(self) -> None:
        """Ask for a note."""
        if self.selected is not None:
            self._ask("note", f"Note on run {self.selected}", line(self.runs[self.selected].note, 4000))

    def _ask(self, kind: Kind, heading: str, text: str) -> None:
        self.query_one(Prompt).open(kind, heading, text, self._offered(kind))
        self.post_message(Ask(_words))

    def _offered(self, kind: Kind) -> Words:
        """A filter knows the fields of the database, the others the columns of the list."""
        if kind in ("filter", "tags"):
            return self.words
        return Words((*COLUMNS, *(key for key in self.words.keys if "." in key)))

    def on_prompt_done(self, event: Prompt.Done) -> None:
        """Do what was typed."""
        self.rows.focus()
        text, kept = event.text, self.kept
        if event.kind == "filter":
            self.keep(replace(kept, where=text))
        elif event.kind == "note" and self.selected is not None:
            command = f"note {self.selected} {shlex.quote(text)}"
            self._do(partial(orders.note, run_id=self.selected, text=text), command)
        elif event.kind == "tags" and text:
            self._tag(text.split())
        elif event.kind in ("sort", "group", "columns"):
            keys = known(tuple(text.split()))
            if self._all_known(text.split()):
                if event.kind == "sort":
                    self._sort(keys[0] if keys else "")
                elif event.kind == "group":
                    self.folded = frozenset()
                    self.keep(replace(kept, groups=keys))
                else:
                    self.keep(replace(kept, columns=keys))

    def on_header_sort(self, event: Header.Sort) -> None:
        """A title was clicked."""
        self._sort(event.key)

    def _sort(self, key: str) -> None:
        again = key == self.kept.sort
        self.keep(replace(self.kept, sort=key, ascending=not self.kept.ascending if again else False))

    def _tag(self, typed: list[str]) -> None:
        add = tuple(tag for tag in typed if not tag.startswith("-"))
        remove = tuple(tag[1:] for tag in typed if tag.startswith("-"))
        options = [f"--add {shlex.quote(tag)}" for tag in add] + [f"--remove {shlex.quote(tag)}" for tag in remove]
        ids = self.targets()
        self._do(partial(orders.tag, run_ids=ids, add=add, remove=remove), words("tag", ids, " ".join(options)))

    def _all_known(self, typed: list[str]) -> bool:
        """Whether each is a column or a setting; says which is not."""
        offered = self._offered("sort").keys
        for key in typed:
            if self.words.keys and SHORT.get(key.lower(), key) not in offered:
                near = nearest(key, offered)
                hint = f": did you mean {near}?" if near else ""
                self.notify(f"there is no column {line(key, 40)!r}{hint}", severity="warning", markup=False)
                return False
        return True


def _words(reader: Reader) -> Answer:
    return Answer("runs", reader.read(lambda con, kept: read_words(con)))
