"""Runs side by side: a row for each method, its accuracy over seeds, and its paired difference to a reference.

Over two seeds or more: Student's t over the seeds, of the differences by seed where two methods are compared. With one
seed, over its questions: Wilson for an accuracy, Newcombe for a difference of two methods on the same questions.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from engine.errors import UsageError
from engine.evaluation.intervals import newcombe_paired, t_interval
from engine.spec.changeable import CHANGEABLE
from engine.store.runs.results import Cost, Result, Score

HEADS = ("predict", "explain")
OVER_SEEDS = "t over seeds"
OVER_QUESTIONS = "one seed, over questions"
Pairs = Callable[[int, int, str], tuple[int, int, int, int] | None]
"""`store.runs.results.paired_verdicts` of two runs and a head: (both right, first alone, second alone, neither)."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number with its 95 % interval, and what that is over."""

    value: float
    low: float | None
    high: float | None
    seeds: int
    interval: str
    """OVER_SEEDS, OVER_QUESTIONS, or "" where there is none."""


@dataclass(frozen=True, slots=True)
class Row:
    """One method, with one choice of settings."""

    method: str
    settings: str
    """What it does not share with the other rows, e.g. "samples=first"."""
    seeds: tuple[int, ...]
    """Of its runs that are done."""
    runs: int
    """How many there are, done or not."""
    accuracy: dict[str, Estimate]
    """By head."""
    difference: dict[str, Estimate]
    """By head: to the reference's accuracy, on the seeds that both have; empty for the reference itself."""
    sampled: dict[tuple[str, str], Estimate]
    """By head and "pass@k" or "maj@k"."""
    seconds: float | None
    """Of training, mean over seeds."""
    cost: Cost
    """Of all its runs together."""


def compare(results: Sequence[Result], pairs: Pairs, reference: str | None = None) -> list[Row]:
    """A row for each method and choice of settings, in the order of the results.

    `reference`: the method that the others are compared with; None: the first. Of two runs that differ in nothing but
    their ids the later one counts. Raises UsageError where no row is of that method.
    """
    rows: dict[str, list[Result]] = {}
    for result in results:
        rows.setdefault(repr(sorted(flat(result.spec).items())), []).append(result)
    members = [_latest(found) for found in rows.values()]
    labels = _labels([found[0] for found in rows.values()])
    methods = [found[0].method for found in rows.values()]
    if reference is not None and reference not in methods:
        raise UsageError(
            f"--reference {reference}: no run is of that method; there are {' '.join(dict.fromkeys(methods))}"
        )
    base = 0 if reference is None else methods.index(reference)
    return [
        _row(methods[at], labels[at], found, members[base] if at != base else None, pairs)
        for at, found in enumerate(members)
    ]


def mean_over_seeds(scores: Sequence[Score]) -> Estimate:
    """Their mean with Student's t over seeds, within [0, 1]; of one seed its own interval over questions."""
    if len(scores) == 1:
        (only,) = scores
        return Estimate(only.value, only.low, only.high, 1, OVER_QUESTIONS)
    values = [score.value for score in scores]
    interval = t_interval(values)
    assert interval is not None
    return Estimate(_mean(values), max(0.0, interval[0]), min(1.0, interval[1]), len(values), OVER_SEEDS)


def _row(method: str, settings: str, mine: Sequence[Result], base: Sequence[Result] | None, pairs: Pairs) -> Row:
    done = [r for r in mine if r.scores]
    what = dict.fromkeys(key for r in done for key in r.scores)
    means = {key: mean_over_seeds([r.scores[key] for r in done if key in r.scores]) for key in what}
    seconds = [r.seconds for r in done if r.seconds is not None]
    differences = {head: _difference(done, base, head, pairs) for head in HEADS} if base is not None else {}
    return Row(
        method=method,
        settings=settings,
        seeds=tuple(r.seed for r in done),
        runs=len(mine),
        accuracy={head: means[head, ""] for head in HEADS if (head, "") in means},
        difference={head: found for head, found in differences.items() if found is not None},
        sampled={key: found for key, found in means.items() if key[1]},
        seconds=_mean(seconds) if seconds else None,
        cost=total([r.cost for r in mine]),
    )


def _difference(mine: Sequence[Result], base: Sequence[Result], head: str, pairs: Pairs) -> Estimate | None:
    theirs = {r.seed: r for r in base if (head, "") in r.scores}
    shared = [(r, theirs[r.seed]) for r in mine if r.seed in theirs and (head, "") in r.scores]
    if not shared:
        return None
    values = [a.scores[head, ""].value - b.scores[head, ""].value for a, b in shared]
    interval = t_interval(values)
    if interval is not None:
        return Estimate(_mean(values), *interval, len(values), OVER_SEEDS)
    table = pairs(shared[0][0].run_id, shared[0][1].run_id, head)
    if table is None:  # other questions: nothing is paired
        return Estimate(values[0], None, None, 1, "")
    return Estimate(values[0], *newcombe_paired(*table), 1, OVER_QUESTIONS)


def total(costs: Sequence[Cost]) -> Cost:
    """Their sum; a number that no run knows stays unknown."""

    def added(name: str) -> float | None:
        known = [getattr(cost, name) for cost in costs if getattr(cost, name) is not None]
        return sum(known) if known else None

    return Cost(**{field.name: added(field.name) for field in fields(Cost)})  # type: ignore[arg-type]


def _latest(results: Sequence[Result]) -> list[Result]:
    """One for each seed, in order of seeds: the newest that is done, else the newest."""
    found: dict[int, Result] = {}
    for result in sorted(results, key=lambda r: (bool(r.scores), r.run_id)):
        found[result.seed] = result
    return [found[seed] for seed in sorted(found)]


def _labels(firsts: Sequence[Result]) -> list[str]:
    """What tells each row from the others: all that is not the method's own, and that of rows of the same method."""
    each = [flat(result.spec) for result in firsts]

    def differ(key: str, among: Sequence[Mapping[str, Any]]) -> bool:
        return len({repr(settings.get(key)) for settings in among}) > 1

    labels = []
    for mine, result in zip(each, firsts, strict=True):
        same = [settings for settings, other in zip(each, firsts, strict=True) if other.method == result.method]
        told = [key for key in mine if differ(key, same if key.startswith("method.") else each)]
        labels.append(", ".join(f"{key.removeprefix('method.')}={_written(mine[key])}" for key in told))
    return labels


def flat(spec: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """A spec as key -> value, e.g. "training.lr"; without the name and the seed of the run, and what it may spend."""
    found: dict[str, Any] = {}
    for key, value in spec.items():
        if (before or key not in ("name", "seed")) and f"{before}{key}" not in CHANGEABLE:
            found |= flat(value, f"{before}{key}.") if isinstance(value, dict) else {f"{before}{key}": value}
    return found


def _written(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)
