"""The list of runs on screen: of however many rows, the lines in sight are drawn and no other."""

from collections.abc import Mapping

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.content import Content
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.visual import Visual
from textual.widgets import Static

from engine.store.runs.listing import Listed
from screens.listing.arrange import Group, Path, Row
from screens.listing.columns import Column, Moment
from screens.widgets.words import STATUS, count, line

MARKS = 2
"""Cells before the columns: chosen, starred."""
REVERSED = Style(reverse=True)


class RunRows(ScrollView, can_focus=True, inherit_bindings=False):
    """Rows, a cursor that keeps its row whatever comes and goes around it. Keys are the screen's."""

    COMPONENT_CLASSES = {"run-rows--cursor", "run-rows--chosen"}  # noqa: RUF012
    DEFAULT_CSS = """
    RunRows { height: 1fr; overflow-x: hidden; scrollbar-gutter: stable; scrollbar-size-vertical: 1;
              text-wrap: nowrap; }
    RunRows > .run-rows--cursor { background: $foreground 10%; }
    RunRows:focus > .run-rows--cursor { background: $foreground 18%; }
    RunRows > .run-rows--chosen { background: $accent 12%; }
    """

    class Moved(Message):
        """The cursor is on another row."""

    class Opened(Message):
        """A click on the row under the cursor."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: tuple[Row, ...] = ()
        self.cursor_row = 0
        self._runs: Mapping[int, Listed] = {}
        self._columns: tuple[tuple[Column, int], ...] = ()
        self._moment = Moment(0.0, frozenset())
        self._chosen: frozenset[int] = frozenset()
        self._indent = 0

    @property
    def under(self) -> Row | None:
        """The row under the cursor."""
        return self.rows[self.cursor_row] if self.cursor_row < len(self.rows) else None

    @property
    def ids_under(self) -> tuple[int, ...]:
        """The run under the cursor, or the runs of the group there."""
        under = self.under
        return under.run_ids if isinstance(under, Group) else () if under is None else (under,)

    def show(
        self,
        rows: tuple[Row, ...],
        runs: Mapping[int, Listed],
        columns: tuple[tuple[Column, int], ...],
        moment: Moment,
        chosen: frozenset[int],
        indent: int,
    ) -> None:
        """Draw these; the cursor stays on its row, at its height on the screen where the list is scrolled."""
        drawn = (self._runs, self._columns, self._moment, self._chosen, self._indent)
        self._runs, self._columns, self._moment, self._chosen, self._indent = runs, columns, moment, chosen, indent
        if rows is self.rows and drawn[1:] == (columns, moment, chosen, indent) and not indent:
            top = self.scroll_offset.y
            seen = [row for row in rows[top : top + self.size.height] if isinstance(row, int)]
            if all(runs[row] is drawn[0].get(row) for row in seen):
                return
        if rows is not self.rows:
            before, was = self.cursor_row, self.under
            self.rows = rows
            keys = {key_of(row): i for i, row in enumerate(rows)} if was is not None else {}
            self.cursor_row = keys.get(key_of(was), -1) if was is not None else 0
            if self.cursor_row < 0:
                self.cursor_row = max(0, min(before, len(rows) - 1))
            self.virtual_size = Size(self.size.width, len(rows))
            if self.scroll_offset.y:
                self.scroll_to(y=self.scroll_offset.y + self.cursor_row - before, animate=False, immediate=True)
            self._into_sight()
        self.refresh()

    def move_cursor(self, row: int) -> None:
        """To that row, or the nearest there is."""
        row = max(0, min(row, len(self.rows) - 1))
        if row != self.cursor_row:
            before, self.cursor_row = self.cursor_row, row
            self.refresh_line(before)
            self.refresh_line(row)
            self._into_sight()
            self.post_message(self.Moved())

    def move_to(self, key: int | Path) -> bool:
        """To a run's or a group's row; False where it has none in sight of the tree."""
        found = next((i for i, row in enumerate(self.rows) if key_of(row) == key), None)
        if found is not None:
            self.move_cursor(found)
        return found is not None

    def _into_sight(self) -> None:
        height = self.scrollable_content_region.height
        top = self.scroll_offset.y
        if height and not top <= self.cursor_row < top + height:
            target = self.cursor_row if self.cursor_row < top else self.cursor_row - height + 1
            self.scroll_to(y=target, animate=False, immediate=True)

    def on_resize(self) -> None:
        """The cursor stays in sight."""
        self.virtual_size = Size(self.size.width, len(self.rows))
        self._into_sight()

    def render_line(self, y: int) -> Strip:
        """One line of the list."""
        at, width = self.scroll_offset.y + y, self.scrollable_content_region.width
        if at >= len(self.rows):
            return Strip.blank(width, self.rich_style)
        row = self.rows[at]
        if at == self.cursor_row:
            style = self.get_visual_style("run-rows--cursor")
        elif isinstance(row, int) and row in self._chosen:
            style = self.get_visual_style("run-rows--chosen")
        else:
            style = self.visual_style
        content = self._group(row) if isinstance(row, Group) else self._run(self._runs[row])
        strips = Visual.to_strips(self, content, width, 1, style, apply_selection=False, pad=True)
        strip = strips[0].adjust_cell_length(width, style.rich_style)
        # a visual style knows nothing of reverse, which is the cursor where there are no shades
        if at == self.cursor_row and self.get_component_styles("run-rows--cursor").text_style.reverse:
            strip = Strip(Segment.apply_style(strip, post_style=REVERSED), width)
        return strip

    def _run(self, one: Listed) -> Content:
        chosen = one.run.id in self._chosen
        parts: list[tuple[str, str]] = [("◆" if chosen else " ", "$accent"), ("★" if one.star else " ", "$warning")]
        dim = "dim" if one.archived else ""
        for column, width in self._columns:
            style = STATUS[self._moment.status(one)][1] if column.key == "state" else dim
            room = width
            if column.key == "name" and self._indent:
                parts.append((" " * self._indent, ""))
                room -= self._indent
            parts.append((fit(column.text(one, self._moment), room, column.right) + gap(column), style))
        return Content.assemble(*parts)

    def _group(self, group: Group) -> Content:
        states: dict[str, int] = {}
        for key in group.run_ids:
            if key in self._runs:
                status = self._moment.status(self._runs[key])
                states[status] = states.get(status, 0) + 1
        chosen = sum(key in self._chosen for key in group.run_ids)
        parts: list[tuple[str, str]] = [
            (" " * (2 * group.depth), ""),
            ("▸ " if group.folded else "▾ ", "$accent"),
            (line(group.path[-1], 60) or "–", "bold"),
            (f" ({count(len(group.run_ids))})  ", "dim"),
        ]
        for status, (glyph, style) in STATUS.items():
            if status in states:
                parts.append((f"{glyph} {count(states[status])}  ", style))
        if chosen:
            parts.append((f"◆ {count(chosen)}", "$accent"))
        return Content.assemble(*parts)

    def on_click(self, event: events.Click) -> None:
        """To the row; a click on the row one is on opens it."""
        at = self.scroll_offset.y + event.y
        if at >= len(self.rows):
            return
        if at == self.cursor_row:
            self.post_message(self.Opened())
        else:
            self.move_cursor(at)


class Header(Static):
    """The columns' titles; a click on one sorts by it."""

    class Sort(Message):
        """A title was clicked."""

        def __init__(self, key: str) -> None:
            super().__init__()
            self.key = key

    def __init__(self) -> None:
        super().__init__("", markup=False, id="header")
        self._columns: tuple[tuple[Column, int], ...] = ()
        self._drawn: tuple[object, ...] = ()

    def show(self, columns: tuple[tuple[Column, int], ...], sort: str, ascending: bool) -> None:
        """Draw the titles; the sorted one has an arrow."""
        if (columns, sort, ascending) == self._drawn:
            return
        self._columns, self._drawn = columns, (columns, sort, ascending)
        parts = [" " * MARKS]
        for column, width in columns:
            arrow = ("▲" if ascending else "▼") if column.key == sort else ""
            title = line(column.title, width)
            parts.append(fit(arrow + title if column.right else title + arrow, width, column.right) + gap(column))
        self.update(Content("".join(parts)))

    def on_click(self, event: events.Click) -> None:
        """Sort by the column under the mouse."""
        start = MARKS
        for column, width in self._columns:
            if start <= event.x < start + width:
                self.post_message(self.Sort(column.key))
                return
            start += width + len(gap(column))


def key_of(row: Row) -> int | Path:
    """What a row keeps when it is made anew."""
    return row.path if isinstance(row, Group) else row


def gap(column: Column) -> str:
    """What stands between a column and the next."""
    return " " if column.width == 1 else "  "


def fit(text: str, width: int, right: bool) -> str:
    """The text in so many cells: cut with "…", or padded."""
    size = cell_len(text)
    if size > width:
        return set_cell_size(text, max(0, width - 1)) + "…" if width else ""
    return " " * (width - size) + text if right else text + " " * (width - size)
