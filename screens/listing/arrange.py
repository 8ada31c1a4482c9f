"""The order of the list: sorted by a column, as a tree by others."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from engine.store.runs.listing import Listed
from screens.listing.columns import Column, Moment, Value

Path = tuple[str, ...]
"""Of a group: the values it is made by, outermost first."""


@dataclass(frozen=True, slots=True)
class Group:
    """The line above the runs of a group."""

    path: Path
    run_ids: tuple[int, ...]
    folded: bool

    @property
    def depth(self) -> int:
        """0 for the outermost."""
        return len(self.path) - 1


Row = int | Group
"""A run's id, or a group."""


def ordered(runs: Sequence[Listed], sort: Column | None, moment: Moment, ascending: bool) -> list[Listed]:
    """The runs sorted; None keeps their order (newest first). Unknown values are last whichever way."""
    if sort is None:
        return list(reversed(runs)) if ascending else list(runs)
    known = [(value, one) for one in runs if (value := sort.value(one, moment)) is not None and value != ""]
    # numbers apart from texts: a setting can be both
    known.sort(key=lambda pair: (isinstance(pair[0], str), _low(pair[0])), reverse=not ascending)
    there = {one.run.id for _, one in known}
    return [one for _, one in known] + [one for one in runs if one.run.id not in there]


def tree(
    runs: Sequence[Listed],
    groups: Sequence[Callable[[Listed], str]],
    folded: frozenset[Path],
    path: Path = (),
) -> list[Row]:
    """The rows: runs in their order, below the groups they are in; a group is where its first run is."""
    if not groups:
        return [one.run.id for one in runs]
    parts: dict[str, list[Listed]] = {}
    for one in runs:
        parts.setdefault(groups[0](one), []).append(one)
    rows: list[Row] = []
    for name, part in parts.items():
        inner = (*path, name)
        rows.append(Group(inner, tuple(one.run.id for one in part), inner in folded))
        if inner not in folded:
            rows += tree(part, groups[1:], folded, inner)
    return rows


def _low(value: Value) -> str | float:
    return value.lower() if isinstance(value, str) else value or 0.0
