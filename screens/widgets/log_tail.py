"""The end of a run's log: only new lines are written; another width breaks them anew."""

import time
from collections import deque

from rich.style import Style
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import RichLog

from engine.store.runs.live import LogLine
from screens.widgets.words import line

KEPT = 2000
LEVELS = ("debug", "info", "warning", "error")


class LogTail(Vertical):
    """Follows the log while its end is in sight."""

    COMPONENT_CLASSES = {f"log--{level}" for level in LEVELS}  # noqa: RUF012
    DEFAULT_CSS = """
    LogTail .log--debug { text-style: dim; }
    LogTail .log--warning { color: $text-warning; }
    LogTail .log--error { color: $text-error; text-style: bold; }
    LogTail RichLog { background: transparent; height: 1fr; scrollbar-size-vertical: 1; scrollbar-size-horizontal: 0;
                      scrollbar-background: $background; }
    """

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._entries: deque[LogLine] = deque(maxlen=KEPT)
        self._run_id: int | None = None
        self._width = 0
        self.level = "debug"
        """The lowest that is shown."""

    def compose(self) -> ComposeResult:
        """One log, no markup."""
        yield RichLog(max_lines=KEPT, wrap=True, markup=False, highlight=False, min_width=1)

    def on_mount(self) -> None:
        """Other colours: the lines are written anew."""
        self.watch(self.app, "theme", self._recolour, init=False)

    def _recolour(self) -> None:
        self._width = 0
        self.call_after_refresh(self._reflow)

    def show(self, run_id: int, logs: tuple[LogLine, ...]) -> None:
        """Add what is new of that run's log."""
        if run_id != self._run_id:
            self._run_id = run_id
            self._entries.clear()
            self.query_one(RichLog).clear()
        last = self._entries[-1].id if self._entries else -1
        new = [entry for entry in logs if entry.id > last]
        self._entries.extend(new)
        self._write(new)

    def next_level(self) -> None:
        """Only lines of the next higher level and above; after errors alone, all."""
        self.level = LEVELS[(LEVELS.index(self.level) + 1) % len(LEVELS)]
        self.query_one(RichLog).clear()
        self._write(self._entries)

    def on_resize(self) -> None:
        """Break the lines anew, once the log itself knows its width."""
        self.call_after_refresh(self._reflow)

    def _reflow(self) -> None:
        log = self.query_one(RichLog)
        width = log.scrollable_content_region.width
        if width and width != self._width:
            self._width = width
            log.clear()
            self._write(self._entries)

    def _write(self, entries: "deque[LogLine] | list[LogLine]") -> None:
        log = self.query_one(RichLog)
        follow = log.is_vertical_scroll_end
        if not self._width:  # on_resize writes it, later
            return
        lowest = LEVELS.index(self.level)
        styles = {level: self.get_component_rich_style(f"log--{level}", partial=True) for level in LEVELS}
        shown = [entry for entry in entries if entry.level not in LEVELS or LEVELS.index(entry.level) >= lowest]
        if shown:  # in one piece: each has its price
            text = Text("\n").join(log_text(entry, styles.get(entry.level, Style())) for entry in shown)
            log.write(text, width=self._width, scroll_end=follow, animate=False)
            if follow:  # now, too, or the lines would be painted before they are scrolled to
                log.scroll_end(animate=False, immediate=True, x_axis=False)


def log_text(entry: LogLine, style: Style) -> Text:
    """A line of the log, its message in `style`; the level in words where it matters."""
    at = time.strftime("%H:%M:%S", time.localtime(entry.at))
    level = f"{entry.level}: " if entry.level in ("warning", "error") else ""
    text = Text()
    text.append(f"{at} ", style="dim")
    if entry.stage:
        text.append(f"{line(entry.stage, 12):<9} ", style="dim")
    text.append(level + line(entry.message, 2000), style=style)
    return text
