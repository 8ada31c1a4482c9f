"""A line chart in braille: two by four dots a cell. `render` is a pure function; `Chart` draws it at its own size."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from textual.content import Content
from textual.widget import Widget

from engine.store.curves import Curve
from screens.widgets.words import count, three, two

DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
"""The bit of each dot of a braille cell, by column and row."""
EMPTY = Content.styled("no points", "dim")
LARGEST = 1e300
"""Values are drawn up to here, so that the axis' span stays a number."""


@dataclass(frozen=True, slots=True)
class Line:
    """A curve with the name, letter and style it is drawn in; the letter marks its end, so colour is not needed."""

    name: str
    letter: str
    style: str
    curve: Curve | None
    legend: str = ""
    """What the title says of it; its last value where empty."""


def render(
    lines: Sequence[Line],
    width: int,
    height: int,
    log_y: bool = False,
    smooth: bool = False,
    bounds: tuple[float, float] | None = None,
) -> list[Content]:
    """The chart as `height` rows of at most `width` cells; every point is drawn, however many share a column.

    A point that is not finite (or not positive on a logarithmic axis) is a gap. `bounds`: what the axis spans at least.
    Steps before 0 (the discriminator's pre-training) are drawn only while there is no training step.
    """
    trained = any(line.curve is not None and line.curve.steps and line.curve.steps[-1] > 0 for line in lines)
    since = 0 if trained else -math.inf
    drawn = [(line, _finite(line.curve, log_y, smooth, since)) for line in lines if line.curve is not None]
    values = [v for _, points in drawn for _, v in points if v is not None]
    if not values or height < 2 or width < 12:
        return [EMPTY][:height]
    low, high = _range(min(values), max(values), None if log_y else bounds)
    labels = {0: high, height - 2: low}
    if height >= 6:
        labels[(height - 2) // 2] = high / 2 + low / 2
    named = _labels(labels, high - low, log_y)
    margin = max(len(label) for label in named.values()) + 1
    columns, rows = width - margin - 1, height - 1
    if columns < 4:
        return [EMPTY]
    steps = [step for _, points in drawn for step, _ in (points[0], points[-1])]
    first, last = 0 if trained else min(steps), max(steps)
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
            # those that end together stand below each other, at the bottom above
            free = [row for row in (*range(y, rows), *range(y - 1, -1, -1)) if (row, place[1]) not in letters]
            letters[free[0] if free else y, place[1]] = line
    out = []
    for y in range(rows):
        cells = [(chr(0x2800 + bits[y][x]) if bits[y][x] else " ", styles[y][x]) for x in range(columns)]
        for x in (x for row, x in letters if row == y):
            cells[x] = (letters[y, x].letter, f"bold {letters[y, x].style}")
        runs = [("".join(c for c, _ in run), style) for style, run in groupby(cells, key=lambda cell: cell[1])]
        out.append(Content.assemble((named.get(y, "").rjust(margin - 1) + " ", "dim"), *runs))
    begin, end_label = count(first), count(last) if last > first else ""
    axis = " " * margin + begin + end_label.rjust(max(1, columns - len(begin)))
    out.append(Content.styled(axis, "dim"))
    return out


def _finite(curve: Curve | None, log_y: bool, smooth: bool, since: float) -> list[tuple[int, float | None]]:
    """The curve's points from step `since` on, smoothed, on the axis asked for; None is a gap."""
    if curve is None:
        return []
    points: list[tuple[int, float | None]] = []
    mean: float | None = None
    kept = min(0.97, max(0.0, 1 - 50 / max(1, len(curve.steps))))  # a mean over about a fiftieth of the curve
    for step, raw in zip(curve.steps, curve.values, strict=True):
        if step < since:
            continue
        if not math.isfinite(raw):
            points.append((step, None))
            continue
        value = max(-LARGEST, min(raw, LARGEST))
        if smooth:
            mean = value if mean is None else kept * mean + (1 - kept) * value
        shown = value if mean is None else mean
        points.append((step, (math.log10(shown) if shown > 0 else None) if log_y else shown))
    return points


def _range(low: float, high: float, bounds: tuple[float, float] | None) -> tuple[float, float]:
    """What the axis spans: a flat line (rounding apart) runs through the middle, one of zeros along the bottom."""
    if bounds is not None:
        return min(low, bounds[0]), max(high, bounds[1])
    size = max(abs(low), abs(high))
    if high - low > 1e-6 * size:
        return low, high
    return (low - size / 10, high + size / 10) if size > 0 else (0.0, 1.0)


def _labels(at: dict[int, float], span: float, log_y: bool) -> dict[int, str]:
    """The values on the axis, all with as many decimals as the span needs."""
    if log_y:
        return {y: three(_power(value)) for y, value in at.items()}
    if max(abs(value) for value in at.values()) >= 1e7 or span < 1e-5:
        return {y: three(value) for y, value in at.items()}
    decimals = max(0, 2 - math.floor(math.log10(span)))
    return {
        y: (f"{value:.{decimals}f}".replace("-", "−") if decimals else count(round(value))) for y, value in at.items()
    }


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

    def __init__(self, title: str, *, id: str, bounds: tuple[float, float] | None = None) -> None:
        super().__init__(id=id)
        self._title = title
        self._bounds = bounds
        self._lines: tuple[Line, ...] = ()
        self._log_y = False
        self._smooth = False
        self.border_title = self._legend()

    def show(
        self, lines: tuple[Line, ...], log_y: bool = False, smooth: bool = False, title: str | None = None
    ) -> None:
        """Draw these, under another title where one is given; nothing is done where nothing changed."""
        title = title or self._title
        if (lines, log_y, smooth, title) == (self._lines, self._log_y, self._smooth, self._title):
            return
        self._lines, self._log_y, self._smooth, self._title = lines, log_y, smooth, title
        self.border_title = self._legend()
        self.refresh()

    def on_resize(self) -> None:
        """Another width, another legend."""
        self.border_title = self._legend()

    def _legend(self) -> Content:
        """Title, names and last values; where there is no room less of the names, the title and the digits."""
        lines = [line for line in self._lines if line.curve is not None and line.curve.values]
        short = self._title.split(" ")[0]
        names = ((self._title, True, False), (self._title, False, False), (short, False, False), (short, False, True))
        for title, named, brief in names:
            parts = [Content.styled(title, "bold")]
            for line in lines:
                last = line.curve.values[-1] if line.curve else None
                mark = f"{line.letter} " if len(lines) > 1 else ""
                name = f"{line.name} " if line.name and (named or not mark) else ""
                value = line.legend or (two(last) if brief and abs(last or 0) < 100 else three(last))
                value = value.partition(" ±")[0] if brief else value
                parts.append(Content.styled(f"{mark}{name}{value}", line.style))
            legend = Content("  " if named else " ").join(parts)
            if legend.cell_length <= self.size.width - 2:
                break
        return legend

    def render(self) -> Content:
        """The chart at the present size."""
        if not any(line.curve for line in self._lines):
            return EMPTY
        rows = render(self._lines, self.size.width, self.size.height, self._log_y, self._smooth, self._bounds)
        return Content("\n").join(rows)
