"""Which curves of a run the charts show, in which colour: pure functions."""

import math
from dataclasses import replace

from engine.store.runs.curves import Curve
from engine.store.runs.live import Live
from screens.widgets.plot import Across, Lens, Line
from screens.widgets.words import accuracy, line, two

COLOURS = {
    "explain": "$text-success",
    "predict": "$text-primary",
    "contrast": "$text-warning",
    "judge": "$text-secondary",
    "total": "$foreground",
}
"""Of the losses, as of the heads; of any other loss what OTHERS has next."""
OTHERS = ("$text-warning", "$text-accent", "$text-error")
SIDES = {"positive": ("+", "$text-success"), "negative": ("−", "$text-error")}
"""The letter and colour of a rationale's polarity."""


def last(curve: Curve | None) -> float | None:
    """A curve's last value, if it is a number."""
    value = curve.values[-1] if curve is not None and curve.values else math.nan
    return value if math.isfinite(value) else None


def accuracies(live: Live) -> tuple[tuple[Line, ...], str]:
    """What the first chart shows: accuracy on validation; agreement with the vote where gold answers are missing."""
    if live.run.method == "ranking":
        ranked = live.curve("ranked_right")
        shown = [Line("pairs of a question", "q", "$text-success", ranked, two(last(ranked)))]
        for source, letter, style in (("minority", "m", "$text-primary"), ("augmented", "a", "$text-secondary")):
            curve = live.curve(f"auc/{source}")
            shown.append(Line(source, letter, style, curve, two(last(curve))))
        return tuple(shown), "right above wrong (AUC)"
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


def qualities(live: Live) -> tuple[Line, ...]:
    """The discriminator's score of chosen positives and negatives: the mean, and where the middle 80 % lie.

    A side that the last step had none of has no value now, whatever it had before.
    """
    found = []
    newest = max((c.steps[-1] for side in SIDES if (c := live.curve(f"quality/{side}")) and c.steps), default=0)
    for side, (letter, style) in SIDES.items():
        mean = live.curve(f"quality/{side}")
        now = last(mean) if mean is not None and mean.steps and mean.steps[-1] == newest else None
        for edge in ("low", "high"):
            found.append(Line("", "", f"{style} dim", live.curve(f"quality_{edge}/{side}")))
        found.append(Line("", letter, style, mean, two(now)))
    return tuple(found)


def adapters(live: Live) -> tuple[Line, ...]:
    """NAT's weight of the wrong adapter's part (a), and NCE's gamma: the mean, and where the middle four fifths lie."""
    attention, mean = live.curve("attention"), live.curve("gamma")
    edges = [Line("", "", "$text-success dim", live.curve(f"gamma_{edge}")) for edge in ("low", "high")]
    return (
        *(edges if mean is not None else ()),
        Line("", "γ", "$text-success", mean, two(last(mean))),
        Line("", "a", "$text-primary", attention, two(last(attention))),
    )


def memories(live: Live) -> tuple[Line, ...]:
    """What the worker holds, and its GPU."""
    return (
        Line("host", "h", "$text-primary", live.curve("memory/host")),
        Line("GPU", "g", "$text-warning", live.curve("memory/gpu")),
    )


def scaled(across: Across, live: Live) -> Across:
    """The horizontal axis of this run: its steps an epoch, and when it began."""
    begun = [curve.times[0] for curve in live.curves if curve.times]
    return replace(across, scale=live.epoch_steps or 1.0, origin=min(begun, default=0.0))


def at_place(lens: Lens) -> str:
    """Where the mark stands, for a title."""
    if lens.cursor is None:
        return "" if lens.across.unit == "step" else f" by {lens.across.unit}"
    return f" at {'' if lens.across.unit == 'time' else lens.across.unit + ' '}{lens.across.written(lens.cursor)}"


def zoomed(
    shown: tuple[float, float], whole: tuple[float, float], cursor: float | None, by: int
) -> tuple[float, float]:
    """Half of what is shown, around the mark or at its end (`by` 1), or twice as much (-1), within the whole."""
    span = shown[1] - shown[0]
    wanted = min(whole[1] - whole[0], span / 2 if by > 0 else span * 2)
    middle = shown[1] - wanted / 2 if cursor is None else cursor
    low = max(whole[0], min(middle - wanted / 2, whole[1] - wanted))
    return low, low + wanted
