"""The SQL screen: a query, what it found, and the whole of the value under the cursor."""

import os
import shlex
import sqlite3
import threading
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Static

from engine.errors import UsageError
from engine.exchange.results import SECONDS, check_target, export
from engine.store.connect import database_path
from engine.store.guarded import Result, query
from engine.store.saved import find, folder, save, saved
from engine.store.schema.catalog import Catalog, read_catalog
from screens.ask import AskScreen
from screens.base import View
from screens.confirm import ConfirmScreen
from screens.doing.background import Background, Finished
from screens.keys.table import bindings, hints, key_of
from screens.reading.reader import Snapshot
from screens.saved import SavedScreen
from screens.widgets.footer import Footer
from screens.widgets.grid import Grid, columns_of, ordered
from screens.widgets.result_text import catalog_text, kind_of, told, value_text
from screens.widgets.sql_editor import Offers, SqlEditor
from screens.widgets.words import count, line

ROWS = 1000
"""Rows that are shown; an export has all."""
BYTES = 32 << 20
"""Of the texts that are shown."""


@dataclass(frozen=True, slots=True)
class SqlWatch:
    """What there is to ask."""

    def read(self, con: sqlite3.Connection, kept: dict[str, Any]) -> Catalog:
        """The catalog, read again where the schema has changed."""
        version = con.execute("PRAGMA schema_version").fetchone()[0]
        known, catalog = kept.get("catalog", (None, None))
        if known != version:
            catalog = read_catalog(con)
            kept["catalog"] = (version, catalog)
        return catalog  # type: ignore[no-any-return]

    def at(self, content: Catalog, now: float) -> Catalog:
        """Nothing about it grows old."""
        return content


class SqlScreen(View):
    """An editor above, its result below. Queries run on a thread and a connection of their own."""

    CSS_PATH = "sql.tcss"
    AUTO_FOCUS = "#editor"
    PLACE = "sql"
    BINDINGS = bindings("sql")

    def __init__(self, database: Path) -> None:
        super().__init__()
        self._database = database
        self._job: Background | None = None
        self._begun = 0.0
        self._sql = ""
        """Of the result that is shown."""
        self._result: Result | None = None
        self._by: int | None = None
        """The column that the rows are sorted by; None: as the query has them."""
        self._down = False

    def compose(self) -> ComposeResult:
        """Editor and catalog above, result and value below."""
        yield self.problem()
        with Horizontal(id="upper"):
            with Vertical(id="editor-pane") as pane:
                pane.border_title = Content.styled("SQL", "bold")
                pane.border_subtitle = Content(hints("sql", "editor"))
                yield SqlEditor(id="editor")
            with VerticalScroll(id="catalog", can_focus=False) as pane:
                pane.border_title = Content("views and tables")
                yield Static("", markup=False)
        with Vertical(id="result") as pane:
            pane.border_title = Content("result")
            pane.border_subtitle = Content(hints("sql", "result"))
            yield Static("", id="wrong", markup=False)
            yield Static("", id="welcome", markup=False)
            yield Grid(id="grid")
        with VerticalScroll(id="value", can_focus=False) as pane:
            pane.border_subtitle = Content(hints("sql", "value"))
            yield Static("", markup=False)
        yield Offers(id="offers")
        yield Footer()

    def on_mount(self) -> None:
        """A query that runs says for how long."""
        self._ticks = self.set_interval(0.25, self._tell_running, pause=True)

    def on_unmount(self) -> None:
        """No query outlives the console."""
        if self._job is not None:
            self._job.stop()

    def blanks(self) -> dict[str, str]:
        """The query in the editor."""
        sql = self.query_one(SqlEditor).text.strip()
        return {"SQL": shlex.quote(sql)} if sql else {}

    def wanted(self) -> SqlWatch:
        """The catalog."""
        return SqlWatch()

    def show(self, snapshot: Snapshot) -> None:
        """Draw the catalog."""
        catalog: Catalog | None = snapshot.content
        editor = self.query_one(SqlEditor)
        if catalog is not None and catalog != editor.catalog:
            editor.catalog = catalog
            self.query_one("#catalog Static", Static).update(catalog_text(catalog))
        self.query_one("#welcome", Static).update(_welcome())

    def on_sql_editor_offered(self) -> None:
        """The editor offers other words."""
        self.query_one(Offers).show(self.query_one(SqlEditor), self.region)

    def on_finished(self, message: Finished) -> None:
        """A query is over."""
        if message.job is not self._job:
            return
        self._job = None
        self._ticks.pause()
        pane = self.query_one("#result")
        if message.error is not None:
            pane.border_title = self._title()
            wrong = self.query_one("#wrong", Static)
            wrong.update(Content(f"✗ {line(message.error, 400)}"))
            wrong.add_class("-shown")
        elif isinstance(message.result, Result):
            self._draw(message.result)
        else:
            path, rows = message.result
            pane.border_title = self._title()
            self.notify(f"{count(rows)} rows in {line(str(path), 200)}", markup=False)

    def _draw(self, result: Result) -> None:
        self._result, self._by = result, None
        self.query_one("#result").border_title = self._title()
        self.add_class("-answered")
        grid = self.query_one(Grid)
        grid.column = 0
        grid.show(columns_of(result.columns, result.rows), result.rows)
        self._draw_value()
        if result.rows:
            grid.focus()

    def _title(self) -> Content:
        found = self._result
        return Content("result") if found is None else Content(told(found))

    def on_grid_moved(self) -> None:
        """Another cell."""
        self._draw_value()

    def _draw_value(self) -> None:
        pane, found, grid = self.query_one("#value"), self._result, self.query_one(Grid)
        if found is None or not found.rows:
            pane.border_title = Content("value")
            self.query_one("#value Static", Static).update("")
            return
        value = grid.value
        name = line(found.columns[grid.column], 60)
        pane.border_title = Content(f"{name} · {kind_of(value)} · row {count(grid.row + 1)}")
        self.query_one("#value Static", Static).update(value_text(value))
        pane.scroll_home(animate=False)

    def _tell_running(self) -> None:
        if self._job is None:
            return  # a tick from before its end
        title = Content.styled(
            f"running {time.monotonic() - self._begun:.0f} s · {key_of('sql.stop-leave')} stops it", "$text-warning"
        )
        self.query_one("#result").border_title = title

    def _begin(self, job: Background) -> None:
        self._job, self._begun = job, time.monotonic()
        self.query_one("#wrong").remove_class("-shown")
        self._ticks.resume()
        self._tell_running()

    def action_run(self) -> None:
        """Ask the database."""
        if self._job is not None:
            self.notify(f"a query runs: {key_of('sql.stop-leave')} stops it", severity="warning", markup=False)
            return
        editor = self.query_one(SqlEditor)
        sql = editor.text
        if not sql.strip():
            told = f"nothing to run: write a query, or take a saved one with {key_of('sql.saved')}"
            self.notify(told, severity="warning", markup=False)
            return
        editor.remember(sql)
        self._sql = sql
        self._begin(Background(self, partial(_ask, self._database, sql)))

    async def action_leave(self) -> None:
        """Stop a query; else from the editor to the result; else back."""
        editor = self.query_one(SqlEditor)
        if self._job is not None:
            self._job.stop()
        elif self.has_class("-tall"):
            self.remove_class("-tall")
        elif editor.has_focus and self._result is not None:
            self.query_one(Grid).focus()
        elif editor.has_focus:
            self.set_focus(None)
        else:
            await self.run_action("app.go('runs')")

    def action_edit(self) -> None:
        """To the editor."""
        self.remove_class("-tall")
        self.query_one(SqlEditor).focus()

    def action_clear(self) -> None:
        """An empty editor."""
        self.query_one(SqlEditor).put("")
        self.action_edit()

    def action_saved(self) -> None:
        """Take a saved query."""
        try:
            queries = saved()
        except OSError as error:
            self.notify(f"cannot read {folder()}: {error.strerror}", severity="error", markup=False)
            return
        self.app.push_screen(SavedScreen(queries), self._take)

    def _take(self, sql: str | None) -> None:
        if sql:
            editor = self.query_one(SqlEditor)
            editor.put(sql)
            editor.move_cursor((0, 0))
            editor.focus()

    def action_save(self) -> None:
        """Keep the query under a name."""
        detail = f"letters, digits, . _ and -; kept in {line(str(folder()), 200)}"
        self.app.push_screen(AskScreen("Save the query as", detail), self._save)

    def _save(self, name: str | None, force: bool = False) -> None:
        sql = self.query_one(SqlEditor).text
        if not name:
            return
        try:
            path = save(name, sql, force)
        except UsageError as error:
            if not force and _is_own(name):
                question = f"Overwrite the saved query {line(name, 60)}?"
                then = partial(self._save_over, name)
                self.app.push_screen(ConfirmScreen(question, "What it was is lost."), then)
                return
            self.notify(line(str(error), 400), severity="error", markup=False)
        except OSError as error:
            self.notify(f"cannot write to {folder()}: {error.strerror}", severity="error", markup=False)
        else:
            self.notify(f"saved as {line(str(path), 200)}; also: qcrd query --saved {name}", markup=False)

    def _save_over(self, name: str, yes: bool | None) -> None:
        if yes:
            self._save(name, force=True)

    def action_export(self) -> None:
        """Write all rows of the result's query to a file."""
        if self._result is None or self._job is not None:
            told = f"nothing to export: run a query first ({key_of('sql.run')})"
            self.notify(told, severity="warning", markup=False)
            return
        detail = f"all rows, not only those shown; .csv .json .jsonl or .parquet; in {line(os.getcwd(), 200)}"
        self.app.push_screen(AskScreen("Export to file", detail, "result.csv"), self._export)

    def _export(self, name: str | None, force: bool = False) -> None:
        if not name:
            return
        path = Path(name).expanduser()
        try:
            check_target(path, force=True)
        except UsageError as error:
            self.notify(line(str(error), 400), severity="error", markup=False)
            return
        if path.exists() and not force:
            then = partial(self._export_over, name)
            self.app.push_screen(ConfirmScreen(f"Overwrite {line(name, 200)}?", "What is in it is lost."), then)
            return
        self._begin(Background(self, partial(_export, self._database, self._sql, path, force)))

    def _export_over(self, name: str, yes: bool | None) -> None:
        if yes:
            self._export(name, force=True)

    def action_copy(self) -> None:
        """The command line that asks the same."""
        sql = self._sql or self.query_one(SqlEditor).text
        here = self._database.absolute() == database_path(None).absolute()
        words = ["qcrd", "query", sql.strip(), *([] if here else ["--db", str(self._database)])]
        self.app.copy_to_clipboard(shlex.join(words))
        self.notify("copied: qcrd query …", markup=False)

    def action_tall(self) -> None:
        """More room for the value, and less."""
        self.toggle_class("-tall")

    def action_move(self, by: int) -> None:
        """The cursor down or up."""
        self.action_cell(by, 0)

    def action_cell(self, rows: int, columns: int) -> None:
        """The cursor down or up, right or left."""
        grid = self.query_one(Grid)
        grid.move(grid.row + rows, grid.column + columns)

    def action_sort(self) -> None:
        """The rows shown by the column under the cursor; again: the other way round."""
        self.on_grid_titled(Grid.Titled(self.query_one(Grid).column))

    def on_grid_titled(self, message: Grid.Titled) -> None:
        """By the column that was clicked."""
        found = self._result
        if found is None or not found.rows:
            return
        self._down = not self._down if message.column == self._by else False
        self._by = message.column
        rows = ordered(found.rows, message.column, down=self._down)
        arrow = "▼" if self._down else "▲"
        names = [f"{name} {arrow}" if at == self._by else name for at, name in enumerate(found.columns)]
        self.query_one(Grid).show(columns_of(names, rows), rows)
        self._draw_value()

    def action_page(self, by: int) -> None:
        """A page down or up."""
        grid = self.query_one(Grid)
        grid.move(grid.row + by * grid.page)

    def action_end(self, by: int) -> None:
        """The first row, or the last."""
        grid = self.query_one(Grid)
        grid.move(by * len(grid.rows))


def _ask(database: Path, sql: str, stop: threading.Event) -> Result:
    return query(database, sql, limit_rows=ROWS, seconds=SECONDS, limit_bytes=BYTES, stop=stop)


def _export(database: Path, sql: str, path: Path, force: bool, stop: threading.Event) -> tuple[Path, int]:
    return path, export(database, sql, path, force, stop)


def _is_own(name: str) -> bool:
    try:
        return not find(name).shipped
    except UsageError:
        return False


def _welcome() -> Content:
    """What an empty result says."""
    lines = [
        f"{key_of('sql.run')} asks the database; it can only be read.",
        "",
        f"{key_of('sql.saved')} saved queries:",
    ]
    try:
        lines += [f"   {line(query.name, 30):<20} {line(query.about, 100)}" for query in saved()[:8]]
    except OSError as error:
        lines.append(f"   cannot read {line(str(folder()), 200)}: {error.strerror}")
    return Content("\n".join(lines))
