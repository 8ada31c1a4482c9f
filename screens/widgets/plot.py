"""A line chart in braille as text: two by four dots a cell. Pure functions."""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import accumulate, groupby
from typing import Any, Literal

from textual.content import Content

from engine.store.runs.curves import Curve
from screens.widgets.words import count, duration, three

DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
"""The bit of each dot of a braille cell, by column and row."""
EMPTY = Content.styled("no points", "dim")
LARGEST = 1e300
"""Values are drawn up to here, so that the axis' span stays a number."""


@dataclass(frozen=True, slots=True)
class Line:
    """A curve with the name, letter and style it is drawn in; the letter marks its end, so colour is not needed.

    Without a letter it is a line beside another, and no title tells its value.
    """

    name: str
    letter: str
    style: str
    curve: Curve | None
    legend: str = ""
    """What the title says of it; its last value where empty."""


Unit = Literal["step", "epoch", "time"]
UNITS: tuple[Unit, ...] = ("step", "epoch", "time")


@dataclass(frozen=True, slots=True)
class Across:
    """What the horizontal axis counts."""

    unit: Unit = "step"
    scale: float = 1.0
    """Steps of an epoch."""
    origin: float = 0.0
    """When time 0 was, in seconds since 1970."""

    def of(self, curve: Curve) -> Sequence[float]:
        """Where each point of the curve stands."""
        if self.unit == "epoch":
            return [step / self.scale for step in curve.steps]
        if self.unit == "time":
            return [at - self.origin for at in curve.times]
        return curve.steps

    def written(self, value: float) -> str:
        """A place on the axis, in words."""
        if self.unit == "epoch":
            return f"{value:.1f}"
        return duration(value) if self.unit == "time" else count(round(value))


@dataclass(frozen=True, slots=True)
class Lens:
    """How all curves of a screen are looked at."""

    log_y: bool = False
    smooth: bool = False
    across: Across = Across()
    window: tuple[float, float] | None = None
    """The part of the horizontal axis that is shown; None: all of it."""
    cursor: float | None = None
    """The place on that axis whose values the titles tell; None: the last."""


PLAIN = Lens()


def render(
    lines: Sequence[Line], width: int, height: int, lens: Lens = PLAIN, bounds: tuple[float, float] | None = None
) -> list[Content]:
    """The chart as `height` rows of at most `width` cells; every point is drawn, however many share a column.

    A point that is not finite (or not positive on a logarithmic axis) is a gap. `bounds`: what the axis spans at least.
    Steps before 0 (the discriminator's pre-training) are drawn only while there is no training step.
    """
    drawn = _drawing(tuple(lines), width, height, replace(lens, cursor=None), bounds)
    if drawn is None:
        return [EMPTY][:height]
    first, last = drawn.across
    rows, columns, margin = len(drawn.bits), len(drawn.bits[0]), drawn.margin
    bits, styles, named = drawn.bits, drawn.styles, drawn.labels
    letters: dict[tuple[int, int], Line] = {}
    if drawn.several:
        for x, y, line in drawn.ends:
            place = (y, min(x + 1, columns - 1))
            # those that end together stand below each other, at the bottom above
            free = [row for row in (*range(y, rows), *range(y - 1, -1, -1)) if (row, place[1]) not in letters]
            letters[free[0] if free else y, place[1]] = line
    marked = None if lens.cursor is None else round((lens.cursor - first) / max(last - first, 1e-9) * (columns - 1))
    out = []
    for y in range(rows):
        cells = [(chr(0x2800 + bits[y][x]) if bits[y][x] else " ", styles[y][x]) for x in range(columns)]
        for x in (x for row, x in letters if row == y):
            cells[x] = (letters[y, x].letter, f"bold {letters[y, x].style}")
        if marked is not None and 0 <= marked < columns and cells[marked][0] == " ":
            cells[marked] = ("│", "dim")
        runs = [("".join(c for c, _ in run), style) for style, run in groupby(cells, key=lambda cell: cell[1])]
        out.append(Content.assemble((named.get(y, "").rjust(margin - 1) + " ", "dim"), *runs))
    begin, end_label = lens.across.written(first), lens.across.written(last) if last > first else ""
    axis = begin + end_label.rjust(max(1, columns - len(begin)))
    if marked is not None and lens.cursor is not None:
        told = lens.across.written(lens.cursor)
        spot = max(len(begin) + 1, marked - len(told) // 2)
        if spot + len(told) < columns - len(end_label):
            axis = axis[:spot] + told + axis[spot + len(told) :]
    axis = " " * margin + axis
    out.append(Content.styled(axis, "dim"))
    return out


@dataclass(frozen=True, slots=True)
class Drawn:
    """A chart without what the mark adds."""

    labels: dict[int, str]
    """Of the vertical axis, by row."""
    margin: int
    across: tuple[float, float]
    bits: list[list[int]]
    """Of each cell, by row."""
    styles: list[list[str]]
    ends: tuple[tuple[int, int, Line], ...]
    """The cell (x, y) of the last point of each line with a letter."""
    several: bool


@lru_cache(maxsize=8)  # a moved mark draws the charts of a screen again, with the same curves
def _drawing(
    lines: tuple[Line, ...], width: int, height: int, lens: Lens, bounds: tuple[float, float] | None
) -> Drawn | None:
    """The dots; None where there are no points, or no room."""
    trained = any(line.curve is not None and line.curve.steps and line.curve.steps[-1] > 0 for line in lines)
    log_y = lens.log_y
    drawn = [(line, _finite(line.curve, lens, 0 if trained else -math.inf)) for line in lines if line.curve is not None]
    spans = [span for _, points in drawn if (span := points.span()) is not None]
    if not spans or height < 2 or width < 12:
        return None
    low, high = _range(min(low for low, _ in spans), max(high for _, high in spans), None if log_y else bounds)
    labels = {0: high, height - 2: low}
    if height >= 6:
        labels[(height - 2) // 2] = high / 2 + low / 2
    named = _labels(labels, high - low, log_y)
    margin = max(len(label) for label in named.values()) + 1
    columns, rows = width - margin - 1, height - 1
    if columns < 4:
        return None
    first, last = lens.window or extent(lines, lens.across)
    bits = [[0] * columns for _ in range(rows)]
    styles: list[list[str]] = [[""] * columns for _ in range(rows)]
    ends: list[tuple[int, int, Line]] = []
    for line, points in drawn:
        end = _plot(points, line.style, bits, styles, (first, last), (low, high))
        if end is not None and line.letter:
            ends.append((*end, line))
    return Drawn(named, margin, (first, last), bits, styles, tuple(ends), len(drawn) > 1)


def extent(lines: Sequence[Line], across: Across) -> tuple[float, float]:
    """From where to where the curves reach, from 0 once there is a training step."""
    curves = [line.curve for line in lines if line.curve is not None and line.curve.steps]
    if not curves:
        return 0.0, 0.0
    trained = any(curve.steps[-1] > 0 for curve in curves)
    places = [x for curve in curves for x in (across.of(curve)[0], across.of(curve)[-1])]
    return (0.0 if trained and across.unit != "time" else min(places)), max(places)


def at_cursor(curve: Curve, lens: Lens) -> float | None:
    """The curve's value at the cursor: that of the last point up to it; without a cursor the last of all."""
    if lens.cursor is None:
        return curve.values[-1] if curve.values else None
    place = bisect_right(lens.across.of(curve), lens.cursor)
    return curve.values[place - 1] if place else None


@dataclass(frozen=True, slots=True)
class Points:
    """A line's points: places on the horizontal axis, and the value at each; None is a gap."""

    places: Sequence[float]
    values: Sequence[float | None]
    whole: bool
    """Whether there is no gap."""

    def span(self) -> tuple[float, float] | None:
        """The lowest and the highest value; None: there is none."""
        real: Sequence[Any] = self.values if self.whole else [value for value in self.values if value is not None]
        return (min(real), max(real)) if real else None

    def thinned(self, wide: int) -> Iterable[tuple[float, float | None]]:
        """Where many stand on a dot, the lowest and highest of each half dot alone; `wide`: dots."""
        places, values = self.places, self.values
        size = len(places) // (2 * wide)
        if size < 3 or not self.whole:
            return zip(places, values, strict=True)
        kept = []
        for start in range(0, len(places), size):
            part: Sequence[Any] = values[start : start + size]
            low, high = part.index(min(part)), part.index(max(part))
            kept += [start + low] if low == high else [start + min(low, high), start + max(low, high)]
        return [(places[at], values[at]) for at in (*kept, len(places) - 1)]


def _finite(curve: Curve, lens: Lens, since: float) -> Points:
    """The points from step `since` on and within the window, smoothed, on the axis asked for."""
    kept = min(0.97, max(0.0, 1 - 50 / max(1, len(curve.steps))))  # a mean over about a fiftieth of the curve
    first = 0 if since == -math.inf else bisect_left(curve.steps, since)
    places, values = lens.across.of(curve)[first:], curve.values[first:]
    whole = bool(values) and all(map(math.isfinite, values)) and min(values) >= -LARGEST and max(values) <= LARGEST
    if whole and not lens.log_y and lens.window is None:
        smoothed = accumulate(values, lambda mean, value: kept * mean + (1 - kept) * value)
        return Points(places, list(smoothed) if lens.smooth else values, True)
    low, high = lens.window or (-math.inf, math.inf)
    points: list[tuple[float, float | None]] = []
    mean: float | None = None
    for x, raw in zip(places, values, strict=True):
        if not -LARGEST <= raw <= LARGEST:
            if not math.isfinite(raw):
                points.append((x, None))
                continue
            value = math.copysign(LARGEST, raw)
        else:
            value = raw
        if lens.smooth:
            value = mean = value if mean is None else kept * mean + (1 - kept) * value
        if low <= x <= high:  # smoothed over all before it, wherever the window begins
            points.append((x, value))
    if lens.log_y:
        points = [(x, math.log10(v) if v is not None and v > 0 else None) for x, v in points]
    shown = [value for _, value in points]
    return Points([x for x, _ in points], shown, None not in shown)


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
    points: Points,
    style: str,
    bits: list[list[int]],
    styles: list[list[str]],
    across: tuple[float, float],
    up: tuple[float, float],
) -> tuple[int, int] | None:
    """Sets the dots of one line; the cell (x, y) of its last point."""
    rows, columns = len(bits), len(bits[0])
    wide, tall = 2 * columns, 4 * rows
    span, height = (across[1] - across[0]) or 1.0, up[1] - up[0]
    at: tuple[int, int] | None = None
    end: tuple[int, int] | None = None
    lowest = highest = 0
    for step, value in points.thinned(wide):
        if value is None:
            at = None
            continue
        x = round((step - across[0]) / span * (wide - 1))
        y = round((up[1] - value) / height * (tall - 1))
        if at is not None and x == at[0]:  # of very many points most stand where there are dots already
            if lowest <= y <= highest:
                at = end = (x, y)
                continue
            lowest, highest = min(lowest, y), max(highest, y)
        else:
            lowest = highest = y
        for dot_x, dot_y in _between(at, (x, y)):
            cell_x, cell_y = dot_x // 2, dot_y // 4
            bits[cell_y][cell_x] |= DOTS[dot_x % 2][dot_y % 4]
            styles[cell_y][cell_x] = style
        at = end = (x, y)
    return None if end is None else (end[0] // 2, end[1] // 4)


def _between(start: tuple[int, int] | None, stop: tuple[int, int]) -> list[tuple[int, int]]:
    """The dots of a straight line, `start` left out."""
    if start is None:
        return [stop]
    dx, dy = stop[0] - start[0], stop[1] - start[1]
    length = max(abs(dx), abs(dy))
    return [(start[0] + round(dx * i / length), start[1] + round(dy * i / length)) for i in range(1, length + 1)]
