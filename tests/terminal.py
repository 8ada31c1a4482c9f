"""A command in a terminal of its own, driven from outside: keys in, what the screen shows out.

Either a pseudo-terminal and as much of a screen as Textual needs (cursor moves and text; colours are dropped), or tmux.
"""

import codecs
import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import termios
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.cells import cell_len

KEYS = {
    "enter": "\r",
    "escape": "\x1b",
    "tab": "\t",
    "space": " ",
    "backspace": "\x7f",
    "up": "\x1b[A",
    "down": "\x1b[B",
    "right": "\x1b[C",
    "left": "\x1b[D",
    "f2": "\x1bOQ",
    "f5": "\x1b[15~",
    "ctrl+c": "\x03",
    "ctrl+e": "\x05",
    "ctrl+p": "\x10",
    "ctrl+r": "\x12",
    "ctrl+u": "\x15",
}
"""What a terminal sends; every other key is its own letters."""

CONTROL = re.compile(
    r"\x1b\[(?P<csi>[0-9;:?<=>!$ ]*)(?P<end>[@-~])|\x1b[\]P^_].*?(?:\x07|\x1b\\)|\x1b[()#%].|\x1b[=>78cDEHMNOZ]",
    re.DOTALL,
)
PATIENCE = 120.0
"""Seconds until something that never comes is given up: the machine may be busy."""


class Screen:
    """The cells of a terminal, as the cursor moves and writes."""

    def __init__(self, columns: int, rows: int) -> None:
        self.resize(columns, rows)

    def resize(self, columns: int, rows: int) -> None:
        """Blank, of another size."""
        self.columns, self.rows = columns, rows
        self.cells = [[" "] * columns for _ in range(rows)]
        self.x = self.y = 0
        self._rest = ""

    def feed(self, text: str) -> None:
        """Take what a program wrote."""
        text, self._rest, at = self._rest + text, "", 0
        while at < len(text):
            if text[at] != "\x1b":
                self._write(text[at])
                at += 1
            elif (found := CONTROL.match(text, at)) is not None:
                self._obey(found["csi"], found["end"])
                at = found.end()
            else:
                self._rest = text[at:]
                return

    def text(self) -> str:
        """A line a row."""
        return "\n".join("".join(row).rstrip() for row in self.cells)

    def _obey(self, numbers: str | None, end: str | None) -> None:
        values = [int(n) if n.isdigit() else 1 for n in (numbers or "").split(";")]
        if end in ("H", "f"):
            self.y, self.x = values[0] - 1, (values[1] if len(values) > 1 else 1) - 1
        elif end == "J":
            self.cells = [[" "] * self.columns for _ in range(self.rows)]
        elif end == "K" and 0 <= self.y < self.rows:
            self.cells[self.y][self.x :] = [" "] * (self.columns - self.x)

    def _write(self, letter: str) -> None:
        if letter == "\n":
            self.y += 1
        elif letter == "\r":
            self.x = 0
        elif letter >= " ":
            width = cell_len(letter)
            if 0 <= self.y < self.rows and self.x < self.columns:
                if width:
                    self.cells[self.y][self.x] = letter
                    self.cells[self.y][self.x + 1 : self.x + width] = [""] * min(width - 1, self.columns - self.x - 1)
                else:  # it sits on the letter before
                    self.cells[self.y][max(0, self.x - 1)] += letter
            self.x += width


class Driven:
    """A process in a terminal: what both kinds of terminal can do."""

    def press(self, *keys: str) -> None:
        """Send keys, by the names that Textual gives them; several letters are typed."""
        for key in keys:
            self.send(KEYS.get(key, key).encode())
            if key == "escape":
                time.sleep(0.3)  # a key that follows at once would be taken for Alt and that key

    def until(self, wanted: str | Callable[[str], object], patience: float = PATIENCE) -> str:
        """Wait until that is shown, or holds of what is shown; returns the screen."""
        give_up = time.monotonic() + patience
        while True:
            text = self.shown()
            if wanted in text if isinstance(wanted, str) else wanted(text):
                return text
            assert not self.ended(), f"it ended before {wanted!r}:\n{text}"
            assert time.monotonic() < give_up, f"never came: {wanted!r}; on screen:\n{text}"
            time.sleep(0.05)

    def until_ended(self, patience: float = PATIENCE) -> None:
        """Wait for its end."""
        give_up = time.monotonic() + patience
        while not self.ended():
            assert time.monotonic() < give_up, f"it does not end; on screen:\n{self.shown()}"
            time.sleep(0.05)

    def __exit__(self, *_: object) -> None:
        self.close()

    def send(self, data: bytes) -> None:
        raise NotImplementedError

    def shown(self) -> str:
        raise NotImplementedError

    def ended(self) -> bool:
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError


class Terminal(Driven):
    """A pseudo-terminal of ours: it is everywhere, and quick."""

    def __init__(
        self, command: Sequence[str], folder: Path, environment: Mapping[str, str], columns: int = 120, rows: int = 40
    ) -> None:
        self._screen = Screen(columns, rows)
        self._ours, theirs = pty.openpty()
        self.raw = b""
        """Everything it wrote."""
        self._size(columns, rows)
        self.process = subprocess.Popen(
            command,
            cwd=folder,
            env={**environment, "TERM": "xterm-256color", "LC_ALL": "C.UTF-8"},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def __enter__(self) -> "Terminal":
        return self

    def send(self, data: bytes) -> None:
        """Bytes, as from a keyboard."""
        os.write(self._ours, data)

    def shown(self) -> str:
        """What stands on the screen."""
        with self._lock:
            return self._screen.text()

    def ended(self) -> bool:
        """Whether the process is over."""
        return self.process.poll() is not None

    def resize(self, columns: int, rows: int) -> None:
        """Another size, as when a window is drawn larger."""
        with self._lock:
            self._screen.resize(columns, rows)
        self._size(columns, rows)
        self.process.send_signal(signal.SIGWINCH)  # as the terminal that a process belongs to does

    def close(self) -> None:
        """End it where it still runs, and forget the terminal."""
        if not self.ended():
            self.process.kill()
            self.process.wait()
        self._thread.join(5)
        os.close(self._ours)

    def _size(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self._ours, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def _listen(self) -> None:
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        while True:
            try:
                data = os.read(self._ours, 65536)
            except OSError:  # the other side is closed
                return
            if not data:
                return
            with self._lock:
                self.raw += data
                self._screen.feed(decoder.decode(data))


class Tmux(Driven):
    """A pane of a tmux server of our own: the terminal that people use over SSH."""

    def __init__(
        self, command: Sequence[str], folder: Path, environment: Mapping[str, str], columns: int = 120, rows: int = 40
    ) -> None:
        self._server = f"qcrd-test-{os.getpid()}"
        size = ("-x", str(columns), "-y", str(rows))
        self._tmux("-f", "/dev/null", "new-session", "-d", *size, *command, cwd=folder, env=dict(environment))

    def __enter__(self) -> "Tmux":
        return self

    def send(self, data: bytes) -> None:
        """Bytes, as from a keyboard."""
        self._tmux("send-keys", "-H", *(f"{byte:02x}" for byte in data))

    def shown(self) -> str:
        """What stands on the screen; nothing once it is over."""
        return self._tmux("capture-pane", "-p", check=False)

    def ended(self) -> bool:
        """Whether the process is over: its session ends with it."""
        return not self._tmux("list-sessions", check=False)

    def close(self) -> None:
        """End the server and what runs in it."""
        self._tmux("kill-server", check=False)

    def _tmux(self, *arguments: str, check: bool = True, **options: Any) -> str:
        command = ["tmux", "-u", "-L", self._server, *arguments]
        return subprocess.run(command, check=check, capture_output=True, text=True, timeout=60, **options).stdout
