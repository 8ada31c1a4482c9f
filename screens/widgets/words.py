"""How numbers, times and other people's text are written on screen: pure functions, no widget.

Unknown is an en dash, never 0. Text from models and data passes `line` or `paragraph` before any widget sees it.
"""

import math
import re

from engine.store.runs.browse import Accuracy
from engine.text import clean, one_line

UNKNOWN = "–"
LINES = 200

STATUS = {
    "queued": ("◌", "dim"),
    "running": ("●", "$success"),
    "paused": ("‖", "$warning"),
    "interrupted": ("■", "$warning"),
    "failed": ("✗", "$error"),
    "done": ("✓", "$success"),
    "stale": ("?", "$warning"),
}
"""Glyph and style of a run's status; the word stands beside it wherever there is room."""

STAGE = {
    "waiting": ("◌", "dim"),
    "running": ("●", "$success"),
    "done": ("✓", "$success"),
    "failed": ("✗", "$error"),
}


def line(text: str | None, limit: int = 300) -> str:
    """One harmless line of at most `limit` characters."""
    if text is None:
        return UNKNOWN
    flat = one_line(text[: 4 * limit])
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"


def paragraph(text: str, limit: int = 4000, length: int | None = None) -> str:
    """Harmless text that keeps its lines, cut at `limit` characters; `length` is that of the whole, where known.

    Of blank lines in a row one is kept, and of very many lines the first LINES: nobody scrolls past them.
    """
    whole = len(text) if length is None else length
    shown = clean(text[:limit]).expandtabs(4).strip()
    shown = re.sub(r"\n(?:[^\S\n]*\n){2,}", "\n\n", shown)
    lines = shown.split("\n")
    if len(lines) > LINES:
        return "\n".join(lines[:LINES]) + f"… (cut: {count(whole)} characters in all)"
    return shown if whole <= limit else f"{shown}… ({count(whole - limit)} more characters)"


def three(value: float | None) -> str:
    """A number with three significant digits: 0.613, 1.87, 41.2, 4 120, −0.31."""
    if value is None or math.isnan(value):
        return UNKNOWN
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    size = abs(value)
    if size >= 1e7 or 0 < size < 1e-3:
        text = f"{value:.2e}"
    elif size >= 100:
        text = count(round(value))
    else:
        text = f"{value:.{2 if size < 10 else 1}f}" if size >= 1 or size == 0 else f"{value:.3f}"
    return text.replace("-", "−")


def two(value: float | None) -> str:
    """A number with two decimals, as qualities and weights are compared in columns."""
    return UNKNOWN if value is None else f"{value:.2f}".replace("-", "−")


def accuracy(value: Accuracy | None) -> str:
    """0.64 ±0.03: the share and the farther end of its 95 % interval, which is not symmetric near 0 and 1."""
    if value is None:
        return UNKNOWN
    return f"{value.value:.2f} ±{max(value.high - value.value, value.value - value.low):.2f}"


def count(number: int | None) -> str:
    """1 312, with narrow groups of three."""
    return UNKNOWN if number is None else f"{number:,}".replace(",", " ").replace("-", "−")


def duration(seconds: float | None) -> str:
    """The largest unit alone: 45 s, 3 min, 2 h, 5 d."""
    if seconds is None:
        return UNKNOWN
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(0, seconds):.0f} s"


def bar(share: float, width: int) -> str:
    """A bar of progress, `width` cells."""
    full = max(0, min(width, round(share * width)))
    return "▓" * full + "░" * (width - full)


def spark(values: tuple[float, ...], width: int) -> str:
    """A little bar chart of one line; more values than cells are averaged."""
    real = [v for v in values if math.isfinite(v)]
    if not real or width < 1:
        return ""
    cells = min(width, len(real))
    means = []
    for i in range(cells):
        part = real[i * len(real) // cells : (i + 1) * len(real) // cells]
        means.append(sum(part) / len(part))
    low, high = min(means), max(means)
    return "".join("▁▂▃▄▅▆▇█"[round(7 * (m - low) / (high - low)) if high > low else 3] for m in means)


def marks(answers: tuple[bool | None, ...], width: int) -> str:
    """✗✗✓✓: right or wrong over time; the latest `width`."""
    return "".join("·" if a is None else "✓" if a else "✗" for a in answers[-width:])
