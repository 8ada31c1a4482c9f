"""A run's metrics as curves: of each only what is new is read, and no more points are kept than a screen shows."""

import json
import math
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field

from engine.store.runs.browse import NAME_LENGTH

CURVE_POINTS = 2048
"""A curve longer than this is thinned to the lowest and highest of each stretch: no screen has more columns."""
SKETCH_POINTS = 256
"""Points, evenly apart, that a curve longer than that is shown by until it has been read."""
AT_ONCE = 200_000
"""Points of longer curves that are read in one look."""


@dataclass(frozen=True, slots=True)
class Curve:
    """A metric over steps; NaN is a gap."""

    name: str
    steps: tuple[int, ...]
    values: tuple[float, ...]
    times: tuple[float, ...] = ()
    """When each was written, in seconds since 1970."""


@dataclass
class CurveReader:
    """The curves of one run."""

    run_id: int
    _session: int = -1
    _points: dict[int, tuple[str, list[int], list[float], list[float]]] = field(default_factory=dict)
    _curves: dict[int, Curve] = field(default_factory=dict)
    _sketched: set[int] = field(default_factory=set)

    @property
    def sketchy(self) -> bool:
        """Whether there are curves of which only some points were read: the next look reads more of them."""
        return bool(self._sketched)

    def read(self, con: sqlite3.Connection) -> tuple[Curve, ...]:
        """All of the run's curves, by name; long ones are sketched at first, so that such a run opens at once."""
        found = con.execute("SELECT max(id) FROM sessions WHERE run_id = ?", (self.run_id,)).fetchone()
        session = -1 if found[0] is None else int(found[0])
        # a resumed run goes back to its checkpoint and writes later steps again
        if session != self._session:
            self._session = session
            self._points.clear()
            self._curves.clear()
            self._sketched.clear()
        rows = con.execute(
            f"SELECT s.id, substr(s.name, 1, {NAME_LENGTH}),"
            " (SELECT max(p.step) FROM points p WHERE p.series_id = s.id) FROM series s"
            " WHERE s.run_id = ? ORDER BY s.name",
            (self.run_id,),
        ).fetchall()
        curves = []
        left = AT_ONCE
        for key, name, last in rows:
            known = self._points.get(key)
            if known is None or (known[1] and (last is None or last < known[1][-1])):
                known = self._points[key] = (name, [], [], [])
                self._curves.pop(key, None)
                self._sketched.discard(key)
            _, steps, values, times = known
            if last is not None and (key in self._sketched or not steps) and _long(con, key):
                if steps and left > 0:
                    self._sketched.discard(key)
                    found = _extremes(con, key)
                    left -= CURVE_POINTS + found[-1][0] - found[0][0]
                else:
                    self._sketched.add(key)
                    found = _sketch(con, key)
                steps[:], values[:], times[:] = zip(*found, strict=True)
                self._curves.pop(key, None)
            elif last is not None and (not steps or last > steps[-1]):
                new = con.execute(
                    "SELECT step, CASE WHEN special IS NULL THEN value END, at FROM points"
                    " WHERE series_id = ? AND step > ? AND step <= ? ORDER BY step",
                    (key, steps[-1] if steps else -(2**62), last),  # so that all end at the moment of the first query
                ).fetchall()
                steps.extend(row[0] for row in new)
                values.extend(math.nan if row[1] is None else row[1] for row in new)
                times.extend(row[2] for row in new)
                if len(steps) > CURVE_POINTS:
                    kept = thin(values, CURVE_POINTS // 2)
                    steps[:] = [steps[i] for i in kept]
                    values[:] = [values[i] for i in kept]
                    times[:] = [times[i] for i in kept]
                self._curves.pop(key, None)
            if key not in self._curves:
                self._curves[key] = Curve(name, tuple(steps), tuple(values), tuple(times))
            curves.append(self._curves[key])
        return tuple(curves)


def _long(con: sqlite3.Connection, key: int) -> bool:
    found = con.execute(
        "SELECT count(*) FROM (SELECT 1 FROM points WHERE series_id = ? LIMIT ?)", (key, CURVE_POINTS + 1)
    ).fetchone()
    return int(found[0]) > CURVE_POINTS


def _span(con: sqlite3.Connection, key: int) -> tuple[int, int]:
    # each of the two is a seek; asked for together they would be a scan
    first, last = (
        con.execute(f"SELECT {end}(step) FROM points WHERE series_id = ?", (key,)).fetchone()[0]
        for end in ("min", "max")
    )
    return first, last


def _sketch(con: sqlite3.Connection, key: int) -> list[tuple[int, float, float]]:
    """Step, value and time of points evenly apart, the last among them: each is one seek.

    They come in one row: at each row a thread lets others go on, and waits for its turn again. JSON has 15 digits.
    """
    first, last = _span(con, key)
    (found,) = con.execute(
        "WITH RECURSIVE n(i) AS (VALUES (0) UNION ALL SELECT i + 1 FROM n WHERE i < ?3)"
        " SELECT json_group_array(json_array(step, CASE WHEN value IS NOT NULL THEN printf('%!.17g', value) END, at))"
        " FROM (SELECT DISTINCT p.step, p.value, p.at"
        " FROM n JOIN points p ON p.series_id = ?1 AND p.step ="
        " (SELECT q.step FROM points q WHERE q.series_id = ?1 AND q.step >= ?2 + i * (?4 - ?2) / ?3"
        "  ORDER BY q.step LIMIT 1))",
        (key, first, SKETCH_POINTS, last),
    ).fetchone()
    return [(step, math.nan if value is None else float(value), at) for step, value, at in json.loads(found)]


def _extremes(con: sqlite3.Connection, key: int) -> list[tuple[int, float, float]]:
    """Step, value and time of the lowest and the highest point of each stretch, and of the last point, as `thin`."""
    first, last = _span(con, key)
    size = max(1, math.ceil((last - first + 1) / (CURVE_POINTS // 4)))
    # of a query with one min or max SQLite takes the other columns from that row
    found = {
        step: (math.nan if value is None else value, at)
        for end in ("min", "max")
        for step, value, at in con.execute(
            f"SELECT step, {end}(value), at FROM points WHERE series_id = ? GROUP BY (step - ?) / ?", (key, first, size)
        )
    }
    value, at = con.execute("SELECT value, at FROM points WHERE series_id = ? AND step = ?", (key, last)).fetchone()
    found[last] = (math.nan if value is None else value, at)
    return [(step, *found[step]) for step in sorted(found)]


def thin(values: Sequence[float], keep: int) -> list[int]:
    """Places of about `keep` points: of each stretch its lowest and highest; one without a number stays a gap."""
    size = max(2, math.ceil(len(values) / max(1, keep // 2)))
    kept: list[int] = []
    for start in range(0, len(values), size):
        stretch = range(start, min(start + size, len(values)))
        real = [i for i in stretch if not math.isnan(values[i])]
        picked = {min(real, key=values.__getitem__), max(real, key=values.__getitem__)} if real else {start}
        if start + size >= len(values):
            picked.add(len(values) - 1)  # the newest point is what people look at
        kept += sorted(picked)
    return kept
