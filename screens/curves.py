"""Which curves of a run the charts show, in which colour: pure functions."""

import math

from engine.store.browse import Live
from engine.store.curves import Curve
from screens.widgets.chart import Line
from screens.widgets.words import accuracy, line, two

COLOURS = {
    "explain": "$text-success",
    "predict": "$text-primary",
    "contrast": "$text-warning",
    "judge": "#c792ea",
    "total": "$foreground",
}
"""Of the losses, as of the heads; of any other loss what OTHERS has next."""
OTHERS = ("$text-warning", "#56b6c2", "$text-error")


def last(curve: Curve | None) -> float | None:
    """A curve's last value, if it is a number."""
    value = curve.values[-1] if curve is not None and curve.values else math.nan
    return value if math.isfinite(value) else None


def accuracies(live: Live) -> tuple[tuple[Line, ...], str]:
    """What the first chart shows: accuracy on validation; agreement with the vote where gold answers are missing."""
    gold = any(curve.name.startswith("accuracy/") for curve in live.curves)
    agreed = not gold and any(curve.name.startswith("agreement/") for curve in live.curves)
    latest = {s.head: s.accuracy for s in live.scores if s.who == "student" and s.split == "validation" and gold}
    lines = []
    for head, letter, style in (("explain", "e", "$text-success"), ("predict", "p", "$text-primary")):
        curve = live.curve(f"{'agreement' if agreed else 'accuracy'}/{head}")
        told = accuracy(latest[head]) if head in latest else two(last(curve))
        lines.append(Line(head, letter, style, curve, told))
    return tuple(lines), "agreement with the vote" if agreed else "accuracy on validation"


def losses(live: Live) -> tuple[Line, ...]:
    """Every curve named loss/…, each with a letter of its name that no other has."""
    found: list[Line] = []
    for curve in live.curves:
        if curve.name.startswith("loss/"):
            name = line(curve.name.removeprefix("loss/"), 20)
            taken = {other.letter for other in found}
            letter = next((c for c in name if c.isalpha() and c not in taken), "*")
            found.append(Line(name, letter, COLOURS.get(name, OTHERS[len(found) % len(OTHERS)]), curve))
    return tuple(found)
