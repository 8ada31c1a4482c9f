"""The list of all runs, read again and again: what can have changed alone, however many there are.

A run changes while it is queued, running or paused, and when it ends (`ended_at`); its marks have a counter of their
own. What is read of the others is kept: ten thousand runs are not ten thousand new objects four times a second.
"""

import json
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from engine.errors import UsageError
from engine.store.runs.browse import RUN_QUERY, RunRow, run_of
from engine.store.runs.fields import COST, SOURCE, Where, json_path
from engine.store.schema.views import STALE_AFTER

WHOLE = 600.0
"""Seconds after which all is read anew: for what nothing announces, such as a name changed by hand."""
MINUTE = 60.0
"""Seconds after which a filter on ages is asked anew."""
LIVE = ("queued", "running", "paused")
NO_FILTER = Where("1", {}, ages=False, archived=False)


@dataclass(frozen=True, slots=True)
class Listed:
    """A run in the list."""

    run: RunRow
    cost: float | None
    """Dollars; None: unknown."""
    star: bool
    archived: bool
    note: str
    tags: tuple[str, ...]
    settings: tuple[str | float | None, ...]
    """The values of the settings that were asked for, in their order."""


@dataclass(frozen=True, slots=True)
class RunList:
    """The runs that the filter lets through, newest first."""

    runs: tuple[Listed, ...]
    found: int
    """How many it lets through: more than `runs` where the newest alone were read."""
    total: int
    """In the file, archived ones and all."""
    away: int
    """Archived, and hidden for that."""
    live: tuple[Listed, ...]
    """Those of `runs` whose worker should be alive."""
    wrong: str | None = None
    """Why the filter means nothing; then the runs are those of the filter before."""


@dataclass
class RunListReader:
    """Keeps what it has read."""

    _runs: dict[int, Listed] = field(default_factory=dict)
    _settings: tuple[str, ...] = ()
    _live: frozenset[int] = frozenset()
    _ended: float = 0.0
    _marks: int = 0
    _at: float = -WHOLE
    _asked: tuple[str, bool] | None = None
    _asked_at: float = 0.0
    _where: Where = NO_FILTER
    _wrong: str | None = None
    _matching: set[int] = field(default_factory=set)
    _order: tuple[int, ...] = ()
    _seen: RunList | None = None

    def read(
        self,
        con: sqlite3.Connection,
        where: str,
        settings: tuple[str, ...],
        archived: bool,
        now: float,
        newest: int = 0,
    ) -> RunList:
        """The runs now. `settings`: dotted keys to read of each; `archived`: those too that were put away.

        `newest`: of the first list so many are enough; 0: all are wanted. A filter that means nothing gives the list
        of the last good one, with `wrong` saying why.
        """
        count = con.execute("SELECT count(*) FROM runs").fetchone()[0]
        if newest and self._seen is None and newest < count:
            return self._newest(con, where, settings, archived, now, newest)
        whole = settings != self._settings or not 0 <= now - self._at < WHOLE or count < len(self._runs)
        if whole:
            self._runs.clear()
            self._settings, self._at, self._marks, self._asked = settings, now, 0, None
        changed = self._read_runs(con, None if whole else self._changed(con))
        grown = self._where.ages and now - self._asked_at >= MINUTE  # ages do, without anything being written
        if whole or grown or (where, archived) != self._asked:
            self._asked, self._asked_at = (where, archived), now
            self._compile(con, where)
            self._matching, self._order = self._match(con, None, archived, now), ()
            changed.add(0)
        elif changed:
            matching = (self._matching - changed) | self._match(con, changed, archived, now)
            if matching != self._matching:
                self._matching, self._order = matching, ()
        if changed or self._seen is None:
            if not self._order:
                self._order = tuple(sorted(self._matching & self._runs.keys(), reverse=True))
            runs = tuple(map(self._runs.__getitem__, self._order))
            shows_all = archived or self._where.archived
            away = 0 if shows_all else sum(listed.archived for listed in self._runs.values())
            live = _at_work(runs)
            self._seen = RunList(runs, len(runs), len(self._runs), away, live, self._wrong)
        return self._seen

    def _newest(
        self, con: sqlite3.Connection, where: str, settings: tuple[str, ...], archived: bool, now: float, newest: int
    ) -> RunList:
        """So many at most, of which nothing is kept."""
        part = RunListReader(_settings=settings)
        part._compile(con, where)
        found = sorted(part._match(con, None, archived, now), reverse=True)
        part._read_runs(con, set(found[:newest]))
        runs = tuple(part._runs[key] for key in found[:newest])
        total, away = con.execute(
            "SELECT (SELECT count(*) FROM runs), (SELECT count(*) FROM run_marks WHERE archived = 1)"
        ).fetchone()
        return RunList(
            runs, len(found), total, 0 if archived or part._where.archived else away, _at_work(runs), part._wrong
        )

    def _compile(self, con: sqlite3.Connection, where: str) -> None:
        self._wrong = None
        try:
            if where:
                from engine.store.runs.where import compile_where  # its patterns take a while to compile

                self._where = compile_where(con, where)
            else:
                self._where = NO_FILTER
        except UsageError as error:
            self._wrong = str(error)

    def _changed(self, con: sqlite3.Connection) -> set[int]:
        """The runs that may not be as they were read."""
        live = ", ".join(f"'{status}'" for status in LIVE)
        rows = con.execute(
            f"SELECT id FROM runs WHERE status IN ({live}) UNION SELECT id FROM runs WHERE id > ?"
            " UNION SELECT id FROM runs WHERE ended_at >= ? UNION SELECT run_id FROM run_marks WHERE change > ?",
            (max(self._runs, default=0), self._ended, self._marks),
        )
        return {row[0] for row in rows} | self._live

    def _read_runs(self, con: sqlite3.Connection, ids: set[int] | None) -> set[int]:
        """Read these (None: all) and keep them; gives those that are not as they were."""
        paths = [json_path(key) for key in self._settings]
        columns = "".join(f", json_extract(r.spec, '{path}')" for path in paths)
        some, parameters = _some(ids)
        query = RUN_QUERY.replace(
            "\nFROM", f", {COST}, s.star, s.archived, substr(s.note, 1, 4000), s.tags{columns}\nFROM"
        )
        changed = set()
        for row in con.execute(f"{query} {some}", parameters).fetchall():
            cost, star, archived, note, tags = row[25:30]
            listed = Listed(
                run_of(row[:25]), cost, bool(star), bool(archived), note, tuple(tags.split()), tuple(row[30:])
            )
            if listed != self._runs.get(listed.run.id):
                self._runs[listed.run.id] = listed
                changed.add(listed.run.id)
        touched = self._runs.values() if ids is None else [self._runs[key] for key in ids if key in self._runs]
        self._ended = max([self._ended, *(listed.run.ended_at or 0.0 for listed in touched)])
        self._live = frozenset(listed.run.id for listed in touched if listed.run.status in LIVE)
        self._marks = con.execute("SELECT coalesce(max(change), 0) FROM run_marks").fetchone()[0]
        return changed

    def _match(self, con: sqlite3.Connection, ids: set[int] | None, archived: bool, now: float) -> set[int]:
        """Those of the runs (None: of all) that the filter lets through."""
        hidden = "" if archived or self._where.archived else " AND s.archived = 0"
        some, parameters = _some(ids)
        if not hidden and self._where.sql == "1" and ids is not None:
            return ids & self._runs.keys()
        sql = f"SELECT r.id FROM {SOURCE} {some or 'WHERE 1'} AND ({self._where.sql}){hidden}"
        return {row[0] for row in con.execute(sql, self._where.parameters | {"now": now} | parameters)}


def _at_work(runs: tuple[Listed, ...]) -> tuple[Listed, ...]:
    return tuple(listed for listed in runs if listed.run.status in ("running", "paused"))


def _some(ids: Iterable[int] | None) -> tuple[str, dict[str, Any]]:
    if ids is None:
        return "", {}
    return "WHERE r.id IN (SELECT value FROM json_each(:ids))", {"ids": json.dumps(sorted(ids))}


def stale(listed: tuple[Listed, ...], now: float) -> frozenset[int]:
    """The ids of those whose worker should be alive and has not reported for a while."""
    return frozenset(
        one.run.id
        for one in listed
        if now - (one.run.heartbeat_at or one.run.started_at or one.run.created_at) > STALE_AFTER
    )
