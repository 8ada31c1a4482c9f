"""A line chart in braille: two by four dots a cell. `render` is a pure function; `Chart` draws it at its own size."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from textual.content import Content
from textual.widget import Widget

from engine.store.browse import Curve
from screens.widgets.words import count, three

DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
"""The bit of each dot of a braille cell, by column and row."""
EMPTY = Content.styled("no points", "dim")


@dataclass(frozen=True, slots=True)
class Line:
    """A curve with the name, letter and style it is drawn in; the letter marks its end, so colour is not needed."""

    name: str
    letter: str
    style: str
    curve: Curve | None
    legend: str = ""
    """What the title says of it; its last value where empty."""


def render(lines: Sequence[Line], width: int, height: int, log_y: bool = False, smooth: bool = False) -> list[Content]:
    """The chart as `height` rows of at most `width` cells; every point is drawn, however many share a column.

    A point that is not finite (or not positive on a logarithmic axis) is a gap.
    """
    drawn = [(line, _finite(line.curve, log_y, smooth)) for line in lines if line.curve is not None]
    values = [v for _, points in drawn for _, v in points if v is not None]
    if not values or height < 2 or width < 12:
        return [EMPTY][:height]
    low, high = _range(min(values), max(values))
    back = _power if log_y else float
    labels = {0: three(back(high)), height - 2: three(back(low))}
    if height >= 6:
        labels[(height - 2) // 2] = three(back(high - (high - low) * ((height - 2) // 2) / (height - 2)))
    margin = max(len(label) for label in labels.values()) + 1
    columns, rows = width - margin - 1, height - 1
    if columns < 4:
        return [EMPTY]
    first = min(c.steps[0] for line, _ in drawn if (c := line.curve) and c.steps)
    last = max(c.steps[-1] for line, _ in drawn if (c := line.curve) and c.steps)
    bits = [[0] * columns for _ in range(rows)]
    styles: list[list[str]] = [[""] * columns for _ in range(rows)]
    ends: list[tuple[int, int, Line]] = []
    for line, points in drawn:
        end = _plot(points, line.style, bits, styles, (first, last), (low, high))
        if end is not None:
            ends.append((*end, line))
    letters: dict[tuple[int, int], Line] = {}
    if len(drawn) > 1:
        for x, y, line in ends:
            place = (y, min(x + 1, columns - 1))
            while place in letters and place[0] + 1 < rows:
                place = (place[0] + 1, place[1])
            letters[place] = line
    out = []
    for y in range(rows):
        cells = [(chr(0x2800 + bits[y][x]) if bits[y][x] else " ", styles[y][x]) for x in range(columns)]
        for x in (x for row, x in letters if row == y):
            cells[x] = (letters[y, x].letter, f"bold {letters[y, x].style}")
        runs = [("".join(c for c, _ in run), style) for style, run in groupby(cells, key=lambda cell: cell[1])]
        out.append(Content.assemble((labels.get(y, "").rjust(margin - 1) + " ", "dim"), *runs))
    begin, end_label = count(first), count(last)
    axis = " " * margin + begin + end_label.rjust(max(1, columns - len(begin)))
    out.append(Content.styled(axis, "dim"))
    return out


def _finite(curve: Curve | None, log_y: bool, smooth: bool) -> list[tuple[int, float | None]]:
    """The curve's points, smoothed, on the axis asked for; None is a gap."""
    if curve is None:
        return []
    points: list[tuple[int, float | None]] = []
    mean: float | None = None
    for step, value in zip(curve.steps, curve.values, strict=True):
        if not math.isfinite(value):
            points.append((step, None))
            continue
        if smooth:
            mean = value if mean is None else 0.9 * mean + 0.1 * value
        shown = value if mean is None else mean
        points.append((step, (math.log10(shown) if shown > 0 else None) if log_y else shown))
    return points


def _range(low: float, high: float) -> tuple[float, float]:
    """Bounds that leave a flat line in the middle."""
    if high > low:
        return low, high
    pad = abs(low) / 10 or 1.0
    return low - pad, high + pad


def _power(value: float) -> float:
    return float(10.0 ** min(value, 300))


def _plot(
    points: Sequence[tuple[int, float | None]],
    style: str,
    bits: list[list[int]],
    styles: list[list[str]],
    across: tuple[int, int],
    up: tuple[float, float],
) -> tuple[int, int] | None:
    """Sets the dots of one line; the cell (x, y) of its last point."""
    rows, columns = len(bits), len(bits[0])
    wide, tall = 2 * columns, 4 * rows
    span, height = max(1, across[1] - across[0]), up[1] - up[0]
    at: tuple[int, int] | None = None
    end: tuple[int, int] | None = None
    for step, value in points:
        if value is None:
            at = None
            continue
        x = round((step - across[0]) / span * (wide - 1))
        y = round((up[1] - value) / height * (tall - 1))
        for dot_x, dot_y in _between(at, (x, y)):
            cell_x, cell_y = dot_x // 2, dot_y // 4
            bits[cell_y][cell_x] |= DOTS[dot_x % 2][dot_y % 4]
            styles[cell_y][cell_x] = style
        at = (x, y)
        end = (x // 2, y // 4)
    return end


def _between(start: tuple[int, int] | None, stop: tuple[int, int]) -> list[tuple[int, int]]:
    """The dots of a straight line, `start` left out."""
    if start is None:
        return [stop]
    dx, dy = stop[0] - start[0], stop[1] - start[1]
    length = max(abs(dx), abs(dy))
    return [(start[0] + round(dx * i / length), start[1] + round(dy * i / length)) for i in range(1, length + 1)]


class Chart(Widget):
    """A pane with curves; its border's title is the legend."""

    DEFAULT_CSS = """
    Chart { border: round $foreground 35%; border-title-color: $foreground; padding: 0 1; height: 1fr; width: 1fr; }
    """

    def __init__(self, title: str, *, id: str) -> None:
        super().__init__(id=id)
        self._title = title
        self._lines: tuple[Line, ...] = ()
        self._log_y = False
        self._smooth = False
        self.border_title = self._legend()

    def show(self, lines: tuple[Line, ...], log_y: bool = False, smooth: bool = False) -> None:
        """Draw these; nothing is done where nothing changed."""
        if (lines, log_y, smooth) == (self._lines, self._log_y, self._smooth):
            return
        self._lines, self._log_y, self._smooth = lines, log_y, smooth
        self.border_title = self._legend()
        self.refresh()

    def on_resize(self) -> None:
        """Another width, another legend."""
        self.border_title = self._legend()

    def _legend(self) -> Content:
        """Title, names and last values; without the names where there is no room."""
        lines = [line for line in self._lines if line.curve is not None and line.curve.values]
        for named in (True, False):
            parts = [Content.styled(self._title, "bold")]
            for line in lines:
                mark = f"{line.letter} " if len(self._lines) > 1 else ""
                name = f"{line.name} " if line.name and named else ""
                value = line.legend or three(line.curve.values[-1] if line.curve else None)
                parts.append(Content.styled(f"{mark}{name}{value}", line.style))
            legend = Content("  " if named else " ").join(parts)
            if legend.cell_length <= self.size.width:
                break
        return legend

    def render(self) -> Content:
        """The chart at the present size."""
        if not any(line.curve for line in self._lines):
            return EMPTY
        return Content("\n").join(render(self._lines, self.size.width, self.size.height, self._log_y, self._smooth))
