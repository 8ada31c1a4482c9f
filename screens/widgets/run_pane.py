"""The list of runs in its pane: titles, rows, and what is said where there is none or the filter is wrong."""

from collections.abc import Callable, Mapping
from functools import partial

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from engine.store.runs.listing import Listed, RunList
from screens.keys.table import key_of
from screens.listing.arrange import Group, Path, Row, ordered, tree
from screens.listing.columns import Moment, column_of
from screens.listing.run_table import fitting, group_name, layout, settings_of, title
from screens.remembered.kept import RunsKept
from screens.widgets.run_rows import Header, RunRows
from screens.widgets.words import count, line


class RunPane(Vertical):
    """`show` brings it up to date; rows keep their place while nothing comes, goes or is sorted otherwise."""

    def __init__(self) -> None:
        super().__init__(id="table-pane")
        self.border_title = Content("Runs")
        self.folded: frozenset[Path] = frozenset()
        self._sorted: tuple[object, ...] = ()
        """What the order was made for."""
        self._ordered: tuple[int, ...] = ()
        self._around = ("", "")
        self._said: dict[str, str] = {}

    def compose(self) -> ComposeResult:
        """Titles, rows, and the two lines."""
        yield Header()
        yield RunRows()
        yield Static(Content("reading the runs …"), id="none", markup=False, classes="-shown")
        yield Static("", id="wrong", markup=False)

    def show(
        self,
        found: RunList,
        runs: Mapping[int, Listed],
        kept: RunsKept,
        moment: Moment,
        chosen: frozenset[int],
        width: int,
        keys: str,
    ) -> None:
        """`found` as rows of at most `width` cells; `runs` has them by id, `keys` is what the border says of keys."""
        settings = settings_of(kept)
        columns = layout(kept, settings, width)
        groups: list[Callable[[Listed], str]] = [
            partial(group_name, column=column_of(key, settings), moment=moment) for key in kept.groups
        ]
        rows = self._rows(runs, kept, settings, moment, groups)
        self.query_one(RunRows).show(rows, runs, columns, moment, chosen, 2 * len(groups))
        self.query_one(Header).show(columns, kept.sort, kept.ascending)
        more = f", {key_of('runs.show-archived')} shows the archived ones" if found.away else ""
        nothing = f"None of {count(found.total)} runs: {key_of('runs.filter')} changes the filter{more}"
        self._say("#none", nothing if not runs and found.total else "")
        self._say("#wrong", f"✗ {line(found.wrong, 300)}" if found.wrong is not None else "")
        around = (title(found, kept, columns, len(chosen)), fitting(keys, width - 6))
        if around != self._around:
            self._around = around
            self.border_title, self.border_subtitle = Content(around[0]), Content(around[1])

    def turn(self, group: Group) -> None:
        """Fold a group, or unfold it; drawn when it is shown next, as are the two below."""
        self.folded = self.folded ^ {group.path}

    def fold(self) -> None:
        """Fold the group of the cursor, which goes there; out of one that is folded already."""
        rows = self.query_one(RunRows)
        above = [row for row in rows.rows[: rows.cursor_row + 1] if isinstance(row, Group)]
        if not above:
            return
        if isinstance(rows.under, Group) and rows.under.folded:
            rows.move_to(rows.under.path[:-1])
        else:
            rows.move_to(above[-1].path)
            self.turn(above[-1])

    def unfold(self) -> None:
        """Unfold the group under the cursor."""
        under = self.query_one(RunRows).under
        if isinstance(under, Group) and under.folded:
            self.turn(under)

    def nothing(self, text: str) -> None:
        """Say why there are no rows."""
        self._say("#none", text)

    def _rows(
        self,
        runs: Mapping[int, Listed],
        kept: RunsKept,
        settings: tuple[str, ...],
        moment: Moment,
        groups: list[Callable[[Listed], str]],
    ) -> tuple[Row, ...]:
        """Sorted anew only where runs came or went, or another order was asked for."""
        wanted = (tuple(runs), kept.sort, kept.ascending)
        if wanted != self._sorted:
            self._sorted = wanted
            column = column_of(kept.sort, settings) if kept.sort else None
            found = ordered(tuple(runs.values()), column, moment, kept.ascending)
            self._ordered = tuple(one.run.id for one in found)
        if not groups:
            return self._ordered
        return tuple(tree([runs[key] for key in self._ordered], groups, self.folded))

    def _say(self, where: str, text: str) -> None:
        """A line that is there while it says something; what is said already is not laid out again."""
        widget = self.query_one(where, Static)
        widget.set_class(bool(text), "-shown")
        if self._said.get(where) != text:
            self._said[where] = text
            widget.update(Content(text))
