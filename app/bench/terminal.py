"""A program in a pseudo-terminal of its own, as over SSH: keys go in, what it writes is waited for."""

import codecs
import fcntl
import os
import re
import select
import struct
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType

from engine.errors import QcrdError

COLUMNS, ROWS = 120, 40
PATIENCE = 60.0
"""Seconds after which what is waited for will not come."""
ESCAPES = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[P^_][^\x1b]*\x1b\\|[^\[\]P^_])|[\x00-\x1f]"
)


class Terminal:
    """Starts the program. A text that it draws is looked for in what it has written since the last key."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        ours, theirs = os.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        inherited = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES", "NO_COLOR")}
        self.began = time.perf_counter()
        self._process = subprocess.Popen(
            command,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            # its controlling terminal: should we end first, it is hung up on
            preexec_fn=partial(fcntl.ioctl, 0, termios.TIOCSCTTY, 0),  # noqa: PLW1509
            env={**inherited, "TERM": "xterm-256color", "COLORTERM": "truecolor", **environment},
        )
        os.close(theirs)
        self._ours = ours
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._written = ""

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._ours)

    @property
    def text(self) -> str:
        """What was written since the last key, without colours and moves of the cursor."""
        return ESCAPES.sub("", self._written)

    def press(self, keys: str) -> float:
        """Send keys; what was written before them is forgotten. Gives the moment."""
        self.quiet(0)
        self._written = ""
        now = time.perf_counter()
        os.write(self._ours, keys.encode())
        return now

    @property
    def coloured(self) -> str:
        """The same with them."""
        return self._written

    def wait(self, wanted: str, coloured: bool = False) -> float:
        """Wait until a text that matches is written; gives the moment. QcrdError where it never is."""
        pattern, end = re.compile(wanted), time.perf_counter() + PATIENCE
        while not pattern.search(self.coloured if coloured else self.text):
            left = end - time.perf_counter()
            if left < 0 or not self._read(left):
                shown = " ".join(self.text.split())
                raise QcrdError(f"the console never showed {wanted!r}; its last words: {shown[-300:]!r}")
        return time.perf_counter()

    def quiet(self, seconds: float) -> None:
        """Take what is written, until nothing was for so long."""
        while self._read(seconds):
            pass

    def watch(self, seconds: float) -> None:
        """Take what is written for so long."""
        end = time.perf_counter() + seconds
        while (left := end - time.perf_counter()) > 0:
            self._read(left)

    def cpu(self) -> float:
        """Seconds of CPU time that it has taken, all threads together."""
        fields = self._proc("stat").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident(self) -> int:
        """Bytes of memory that it holds."""
        lines = self._proc("status").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS:"))

    def maps(self) -> str:
        """What it has mapped of files, libraries among them."""
        return self._proc("maps")

    def _proc(self, name: str) -> str:
        return Path(f"/proc/{self._process.pid}/{name}").read_text()

    def _read(self, seconds: float) -> bool:
        """Take what there is, waiting so long at most; False: nothing came, or the program has ended."""
        ready, _, _ = select.select([self._ours], [], [], max(0.0, seconds))
        if not ready:
            return False
        try:
            raw = os.read(self._ours, 1 << 16)
        except OSError:  # EIO: its end of the terminal is closed
            return False
        self._written += self._decoder.decode(raw)
        return bool(raw)
