"""What processes that answer in lines of JSON on standard output have in common."""

import os
from typing import TextIO

from engine.cores import cores

MOST_THREADS = 4
"""The machine may be training."""


def prepare() -> TextIO:
    """Standard output for lines of ours alone, and few threads; before torch is imported."""
    os.environ.setdefault("OMP_NUM_THREADS", str(min(cores(), MOST_THREADS)))
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print is for nobody who reads lines of ours
    return out


def write(out: TextIO, text: str) -> None:
    """Ends the process where nobody reads any more."""
    try:
        out.write(text)
        out.flush()
    except BrokenPipeError:
        os._exit(0)
