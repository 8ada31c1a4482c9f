"""The columns of the list of runs: what stands in a cell, and what it is sorted and grouped by."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from engine.store.runs.browse import Accuracy
from engine.store.runs.listing import Listed
from screens.widgets.words import STATUS, UNKNOWN, accuracy, count, duration, line, three

Value = str | float | None


@dataclass(frozen=True, slots=True)
class Moment:
    """When it is drawn."""

    now: float
    stale: frozenset[int]
    """Ids of the runs that give no sign of life."""

    def status(self, one: Listed) -> str:
        """The run's status by this clock."""
        return "stale" if one.run.id in self.stale else one.run.status


@dataclass(frozen=True, slots=True)
class Column:
    """One column."""

    key: str
    """As the filter names it."""
    title: str
    width: int
    value: Callable[[Listed, Moment], Value]
    """To sort and group by; None: unknown."""
    text: Callable[[Listed, Moment], str]
    """To be shown, not yet cut, but harmless."""
    right: bool = False


def _name(key: str, width: int, of: Callable[[Listed], str]) -> Column:
    def text(one: Listed, _: Moment) -> str:
        return line(of(one), width + 20) or UNKNOWN

    return Column(key, key, width, lambda one, _: of(one), text)


def _number(key: str, width: int, of: Callable[[Listed], int]) -> Column:
    return Column(key, key, width, lambda one, _: of(one), lambda one, _: count(of(one)), right=True)


def _head(key: str, of: Callable[[Listed], Accuracy | None]) -> Column:
    def text(one: Listed, _: Moment) -> str:
        # that on validation, which a run has until it has read the test set, is marked
        value = of(one)
        return f"{'v' if value and one.run.accuracy_split == 'validation' else ''}{accuracy(value)}"

    return Column(key, key, 11, lambda one, _: None if (a := of(one)) is None else a.value, text, right=True)


def _step(one: Listed, _: Moment) -> str:
    run = one.run
    return count(run.steps) if run.status == "done" else f"{count(run.step)}/{short(run.steps)}"


def _started(one: Listed) -> float:
    return one.run.started_at or one.run.created_at


COLUMNS: dict[str, Column] = {
    column.key: column
    for column in (
        Column("state", " ", 1, lambda one, at: at.status(one), lambda one, at: STATUS[at.status(one)][0]),
        _number("id", 5, lambda one: one.run.id),
        _name("name", 24, lambda one: one.run.name),
        _name("method", 10, lambda one: one.run.method),
        _name("dataset", 12, lambda one: one.run.dataset),
        _name("student", 12, lambda one: one.run.student.rpartition("/")[2]),
        _name("teacher", 18, lambda one: one.run.teacher if one.run.method != "finetune" else ""),
        _head("explain", lambda one: one.run.explain),
        _head("predict", lambda one: one.run.predict),
        Column("step", "step", 10, lambda one, _: one.run.step, _step, right=True),
        _number("iteration", 9, lambda one: one.run.iteration),
        _number("seed", 6, lambda one: one.run.seed),
        Column("cost", "cost", 7, lambda one, _: one.cost, lambda one, _: dollars(one.cost), right=True),
        Column(
            "age",
            "age",
            6,
            lambda one, at: at.now - _started(one),
            lambda one, at: duration(at.now - _started(one)),
            right=True,
        ),
        Column(
            "seconds", "worked", 6, lambda one, _: one.run.seconds, lambda one, _: duration(one.run.seconds), right=True
        ),
        _name("tag", 14, lambda one: " ".join(one.tags)),
        _name("note", 20, lambda one: one.note),
        _name("error", 30, lambda one: one.run.error or ""),
    )
}
"""Those that every run has; any other name is a setting's."""
USUAL = ("state", "name", "method", "student", "teacher", "explain", "predict", "step", "cost", "age")
DROPPED = (("cost", 132), ("student", 100), ("teacher", 120))
"""Of the usual ones, those that need a list so wide."""


@cache
def setting(key: str, at: int) -> Column:
    """The column of a setting, which is number `at` of those that were read."""

    def value(one: Listed, _: Moment) -> Value:
        return one.settings[at] if at < len(one.settings) else None

    def text(one: Listed, moment: Moment) -> str:
        found = value(one, moment)
        if isinstance(found, float):
            return three(found)
        return UNKNOWN if found is None else line(str(found), 40)

    title = key.rpartition(".")[2]
    return Column(key, title, max(8, min(16, len(title))), value, text, right=True)


def column_of(key: str, settings: tuple[str, ...]) -> Column:
    """The column of that name."""
    return COLUMNS[key] if key in COLUMNS else setting(key, settings.index(key) if key in settings else len(settings))


def usual(width: int) -> tuple[str, ...]:
    """The columns that a list of this width has where none were chosen."""
    needs = dict(DROPPED)
    return tuple(key for key in USUAL if needs.get(key, 0) <= width)


def dollars(value: float | None) -> str:
    """$1.84; nothing is free, unknown is a dash."""
    if value is None or value == 0:
        return UNKNOWN if value is None else "free"
    return f"${value:,.2f}" if value >= 0.01 else f"${value:.1g}"


def short(number: int) -> str:
    """2k, 500: a number that needs few cells."""
    return f"{number // 1000}k" if number >= 1000 and number % 1000 == 0 else count(number)
