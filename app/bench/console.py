"""`qcrd bench console`: how the console feels on a large database, beside the goals.

What a person waits for is measured from outside, on a process in a pseudo-terminal; what the reader's thread does for
the rationale screen, in this process.
"""

import itertools
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from typing import Any

from app.bench.database import Sizes, ensure, reset
from app.bench.terminal import Terminal
from app.settings import CONFIG_VARIABLE
from engine.errors import QcrdError, UsageError
from engine.store.rationales.filter import Filter, parse
from screens.reading.rationale_reading import RationalesWatch, find, into
from screens.reading.reader import Reader

CONSOLE = "from app.start import main; main()"
BARE = """
from textual.app import App
from textual.widgets import Static

class Bare(App):
    def compose(self):
        yield Static("bare and ready")

Bare().run()
"""
ROWS_PER_SECOND = 2000
HEAVY = ("torch", "numpy", "pandas", "pydantic_core", "tokenizers", "pyarrow")
"""Packages that a light process has mapped no library of; transformers, litellm and datasets load some of them."""
GOALS = {
    "start": 0.6,
    "keys": 0.06,
    "open": 0.3,
    "rationales": 0.05,
    "idle": 0.01,
    "memory": 200e6,
}
"""Seconds; of idle: seconds of CPU time a second; of memory: bytes."""
SEARCHES = {
    "a rare name": "4711",
    "a common name": "zoe",
    "a word of every text": "then",
    "a phrase": "the answer is 77",
    "a beginning": "app*",
    "signs": "++",
    "signs of every text": ".",
    "nowhere": "xyzzy",
}
FILTERS = (
    "polarity=negative",
    "source=minority",
    "quality<0.3",
    "polarity=negative quality>0.6",
    "chosen",
    "active=no",
    "answer=wrong",
    "student=wrong",
    "flipped",
    "flagged",
    "text=zoe",
    "text=then",
    "text=++",
    "polarity=positive answer=wrong",
)


@dataclass(frozen=True, slots=True)
class Effort:
    """How often, and how long."""

    turns: int = 5
    """Starts, and openings of a run."""
    keys: int = 60
    """On each of three screens."""
    idle_seconds: float = 20.0
    replay_seconds: float = 60.0
    """What an hour of events is written in: the console looks four times a second."""
    replay_rows: int = 3600 * 10 * 20
    """An hour of ten steps a second, twenty series, and a line of the log each second."""
    pause: float = 1.0
    """Seconds for what is drawn a moment later, before the next thing is measured."""


QUICK = Effort(1, 2, 0.2, 0.2, 4000, 0.1)


def measure(folder: Path | None, sizes: Sizes, effort: Effort) -> dict[str, Any]:
    """Everything, in seconds (`wall`, `cpu`) and bytes. `folder`: where the database is kept; None: nowhere."""
    if not Path("/proc/self/stat").exists():
        raise UsageError("qcrd bench console reads CPU time and memory from /proc, which is not here: run it on Linux")
    with TemporaryDirectory(prefix="qcrd-bench-") as temporary:
        database = ensure(folder or Path(temporary), sizes)
        bench = _Bench(database, sizes, effort, Path(temporary))
        found: dict[str, Any] = {"bench": "console", "sizes": asdict(sizes), "load": os.getloadavg(), "goals": GOALS}
        found |= bench.starts()
        found["keys"] = bench.keys()
        found["rationales"] = bench.rationales()
        found["idle"] = bench.idle()
        found["memory"] = bench.replay()
        reset(database, sizes)
        return found | {"load_at_the_end": os.getloadavg()}


def table(found: Mapping[str, Any]) -> list[dict[str, str]]:
    """What `measure` found, beside the goals, in words."""
    start, opened, page, goals = found["start"], found["open"], found["rationales"]["page"], found["goals"]
    rows = []

    def row(what: str, goal: str, unit: str, value: float, besides: str = "") -> None:
        scale, digits = {"ms": (1e3, 0), "%": (1e2, 2), "MB": (1e-6, 0)}[unit]
        met = "✓" if value <= goals[goal] else "✗"
        told = (f"{scale * number:,.{digits}f} {unit}" for number in (goals[goal], value))
        rows.append(dict(zip(("what", "goal", "measured", "met", "besides"), (what, *told, met, besides), strict=True)))

    def ms(seconds: float) -> str:
        return f"{1000 * seconds:,.0f} ms"

    heavy = f", and loads {', '.join(found['heavy'])}" if found["heavy"] else ""
    row(
        "start to first rows",
        "start",
        "ms",
        start["console"]["wall"]["median"],
        f"CPU {ms(start['console']['cpu']['median'])} (Textual alone {ms(start['textual']['cpu']['median'])}, "
        f"Python alone {ms(start['python']['cpu']['median'])}){heavy}",
    )
    for name, times in found["keys"].items():
        row(f"key to frame, {name}, p95", "keys", "ms", times["p95"], f"median {ms(times['median'])}")
    row("opening the long run", "open", "ms", opened["wall"]["median"], f"CPU {ms(opened['cpu']['median'])}")
    for kind in ("searches", "filters"):
        slowest, arm = max(found["rationales"][kind].items(), key=lambda item: item[1]["wall"]["median"])
        besides = f"CPU {ms(arm['cpu']['median'])}: {slowest}"
        row(f"slowest of {len(found['rationales'][kind])} {kind}", "rationales", "ms", arm["wall"]["median"], besides)
    row("turning to a question", "rationales", "ms", page["wall"]["median"], f"CPU {ms(page['cpu']['median'])}")
    for name, share in found["idle"].items():
        row(f"idle, {name}", "idle", "%", share)
    memory = found["memory"]
    besides = f"{memory['at_the_beginning'] / 1e6:,.0f} at first, {memory['in_the_middle'] / 1e6:,.0f} in the middle"
    row("memory after an hour's events", "memory", "MB", memory["greatest"], besides)
    return rows


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median, the value that 95 % are not above, and the greatest."""
    ordered = sorted(values)
    return {
        "median": statistics.median(ordered),
        "p95": ordered[max(0, -(-95 * len(ordered) // 100) - 1)],
        "greatest": ordered[-1],
    }


@dataclass(frozen=True, slots=True)
class _Bench:
    database: Path
    sizes: Sizes
    effort: Effort
    config: Path
    """A folder for settings, of each console its own: nothing that another was left like is in the way."""

    def console(self) -> Terminal:
        """A console that shows its first rows."""
        terminal = self._terminal(CONSOLE, "--db", str(self.database))
        terminal.wait(rf"bench-{self.sizes.runs}\b")
        return terminal

    def _terminal(self, code: str, *arguments: str) -> Terminal:
        return Terminal(
            [sys.executable, "-c", code, *arguments],
            {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p), CONFIG_VARIABLE: mkdtemp(dir=self.config)},
        )

    def starts(self) -> dict[str, Any]:
        """From exec to the first rows, beside Python alone and Textual alone; then Enter on the long run."""
        taken: dict[str, list[tuple[float, float]]] = {"python": [], "textual": [], "console": [], "open": []}
        heavy: set[str] = set()
        warm_up = int(self.effort.turns > 1)  # of the disk's cache
        for turn in range(self.effort.turns + warm_up):
            kept = taken if turn >= warm_up else {name: [] for name in taken}
            before, began = os.times(), time.perf_counter()
            subprocess.run([sys.executable, "-c", "pass"], check=True)
            after = os.times()
            cpu = after.children_user + after.children_system - before.children_user - before.children_system
            kept["python"].append((time.perf_counter() - began, cpu))
            with self._terminal(BARE) as bare:
                kept["textual"].append((bare.wait("bare and ready") - bare.began, bare.cpu()))
            with self._terminal(CONSOLE, "--db", str(self.database)) as terminal:
                at = terminal.wait(rf"bench-{self.sizes.runs}\b")
                kept["console"].append((at - terminal.began, terminal.cpu()))
                terminal.watch(self.effort.pause)
                cpu, pressed = terminal.cpu(), terminal.press("\r")
                at = terminal.wait("[⠁-⣿]{5}")
                kept["open"].append((at - pressed, terminal.cpu() - cpu))
                heavy |= {name for name in HEAVY if f"/{name}/" in terminal.maps()}
        told = {
            name: {"wall": spread([wall for wall, _ in both]), "cpu": spread([cpu for _, cpu in both])}
            for name, both in taken.items()
        }
        return {"open": told.pop("open"), "start": told, "heavy": sorted(heavy)}

    def keys(self) -> dict[str, dict[str, float]]:
        """Seconds from a key to the frame that answers it, while a writer adds rows to a run."""
        reset(self.database, self.sizes)
        with self._writer(ROWS_PER_SECOND, 3600), self.console() as terminal:
            found = {"list": self._moves(terminal)}
            self._go(terminal, self.sizes.read_run)
            terminal.press("3")
            terminal.wait(r"question 1/")
            found["rationales"] = self._changes(terminal, "J", r"question ([\d\s]+)/")
            terminal.press("1")
            terminal.watch(self.effort.pause)
            self._go(terminal, self.sizes.live_run)
            terminal.press("\r")
            terminal.wait("[⠁-⣿]{5}")
            terminal.watch(self.effort.pause)
            found["live"] = self._changes(terminal, 15 * "h" + 15 * "l", r"at step ([\d\s]+\d)")
        return {name: spread(times) for name, times in found.items()}

    def _go(self, terminal: Terminal, run: int) -> None:
        """To one of the newest runs in the list."""
        terminal.press("g")
        terminal.watch(self.effort.pause)
        for at in range(self.sizes.runs - 1, run - 1, -1):
            terminal.press("j")
            terminal.wait(rf"run {at}\b")

    def _moves(self, terminal: Terminal) -> list[float]:
        """Down the list and up again: how long until the next name has the cursor's colours."""
        terminal.watch(self.effort.pause)
        times, names = [], [f"bench-{self.sizes.runs - i}" for i in range(1 + min(20, self.sizes.runs - 2))]
        terminal.wait(rf"m{names[-1]}  ", coloured=True)
        # the cursor begins on the first row; the last of these has not seen it yet
        cursor, plain = (
            re.findall(rf"\x1b\[([\d;]+)m{name}  ", terminal.coloured)[-1] for name in (names[0], names[-1])
        )
        if cursor == plain:
            raise QcrdError("the list's cursor has no colour of its own here: unset NO_COLOR")
        round_trip = [*[("j", name) for name in names[1:]], *[("k", name) for name in names[-2::-1]]]
        for key, name in itertools.islice(itertools.cycle(round_trip), self.effort.keys):
            pressed = terminal.press(key)
            times.append(terminal.wait(rf"\x1b\[{cursor}m{name}  ", coloured=True) - pressed)
            terminal.watch(0.05)
        return times

    def _changes(self, terminal: Terminal, keys: str, told: str) -> list[float]:
        """The keys again and again, and how long until another value was told."""
        times, before = [], ""
        for key in itertools.islice(itertools.cycle(keys), self.effort.keys):
            other = told.replace("(", rf"((?!{re.escape(before)}\D)", 1) if before else told
            pressed = terminal.press(key)
            times.append(terminal.wait(other) - pressed)
            found = re.search(other, terminal.text)
            before = found[1] if found else ""
            terminal.watch(0.05)
        return times

    def idle(self) -> dict[str, float]:
        """Seconds of CPU time a second: of the list where nothing is written, and of a paused run whose heart beats."""
        reset(self.database, self.sizes, "paused")
        with self.console() as terminal:
            shares = {"list": self._share(terminal)}
            with self._writer(0, 3600):
                self._go(terminal, self.sizes.live_run)
                terminal.press("\r")
                shares["paused run"] = self._share(terminal)
        return shares

    def _share(self, terminal: Terminal) -> float:
        terminal.watch(2 * self.effort.pause)
        before, began = terminal.cpu(), time.perf_counter()
        terminal.watch(self.effort.idle_seconds)
        return (terminal.cpu() - before) / (time.perf_counter() - began)

    def replay(self) -> dict[str, int]:
        """Bytes held on the live screen before, in the middle of and after an hour of events; and the most."""
        reset(self.database, self.sizes)
        with self.console() as terminal:
            self._go(terminal, self.sizes.live_run)
            terminal.press("\r")
            terminal.watch(self.effort.pause)
            held = [terminal.resident()]
            seconds = self.effort.replay_seconds
            with self._writer(self.effort.replay_rows / seconds, seconds):
                for _ in range(20):
                    terminal.watch(seconds / 20)
                    held.append(terminal.resident())
                terminal.watch(self.effort.pause)
            held.append(terminal.resident())
        return {
            "at_the_beginning": held[0],
            "at_a_tenth": held[2],
            "in_the_middle": held[10],
            "at_the_end": held[-1],
            "greatest": max(held),
        }

    def rationales(self) -> dict[str, Any]:
        """Seconds of the reader's thread: each search and filter the first time it is asked, and turning pages."""
        reader, run = Reader(self.database, lambda result: None), self.sizes.read_run
        count = self.sizes.rationales // 10
        searches = {
            name: self._asked(reader, "search", partial(find, reader, run, count // 3, words, 1, Filter()))
            for name, words in SEARCHES.items()
        }
        filters = {
            text: self._asked(reader, "filter", partial(into, reader, run, count // 3, parse(text))) for text in FILTERS
        }
        places = [(i * 7919) % count for i in range(max(4, self.effort.keys))]
        pages = [_timed(partial(reader.read, RationalesWatch(run, i, None).read)) for i in places]
        told = {"wall": spread([wall for wall, _ in pages]), "cpu": spread([cpu for _, cpu in pages])}
        return {"searches": searches, "filters": filters, "page": told}

    def _asked(self, reader: Reader, kept: str, ask: Callable[[], object]) -> dict[str, dict[str, float]]:
        taken = []
        for turn in range(self.effort.turns + 1):
            reader.read(lambda con, known: known.pop(kept, None))
            one = _timed(ask)
            taken += [one] if turn else []
        return {"wall": spread([wall for wall, _ in taken]), "cpu": spread([cpu for _, cpu in taken])}

    @contextmanager
    def _writer(self, rate: float, seconds: float) -> Iterator[None]:
        code = [sys.executable, "-m", "app.bench.writing", str(self.database), str(self.sizes.live_run)]
        environment: Mapping[str, str] = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
        process = subprocess.Popen(
            [*code, str(rate), str(seconds)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
        )
        try:
            yield
        finally:
            process.communicate(timeout=60)


def _timed(call: Callable[[], object]) -> tuple[float, float]:
    """Seconds by the clock and of this thread."""
    wall, cpu = time.perf_counter(), time.thread_time()
    call()
    return time.perf_counter() - wall, time.thread_time() - cpu
