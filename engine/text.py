"""The one boundary between texts from outside and a terminal: what is shown is cleaned here first."""

import math
import re
import unicodedata

HOSTILE = re.compile(
    "["
    "\x00-\x08\x0b-\x1f"  # C0 but tab and newline: ESC among them, which terminals obey
    "\x7f-\x9f"  # DEL and C1: 0x9B alone starts a control sequence
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # bidirectional controls, which make a line read as another
    "]"
)
SURROGATE = re.compile("[\ud800-\udfff]")


def clean(text: str) -> str:
    """The text without control characters (newline and tab stay, CRLF becomes LF) and without bidirectional ones.

    Half a surrogate pair becomes U+FFFD, so that the result can always be encoded. It may still look like markup: show
    it as `Text` or `Content`, or with markup off.
    """
    return SURROGATE.sub("\ufffd", HOSTILE.sub("", text))


def one_line(text: str, width: int | None = None) -> str:
    """The cleaned text on one line, each run of white space a blank, cut to `width` terminal cells with "…"."""
    if width is not None:
        text = text[: 8 * max(width, 1) + 64]  # of a text of a megabyte, what could be seen at all
    line = " ".join(clean(text).split())
    if width is None or cells(line) <= width:
        return line
    kept, used = [], 0
    for character in line:
        used += cells(character)
        if used > width - 1:
            break
        kept.append(character)
    return "".join(kept).rstrip() + "…" if width > 0 else ""


def in_dollars(value: float) -> str:
    """US dollars with four digits that count, never in powers of ten: $1,234, $0.0419, $0.00008."""
    if not 0 < value < 1e-4:
        return f"${value:,.4g}"
    return f"${value:.{3 - math.floor(math.log10(value))}f}".rstrip("0")


def cells(text: str) -> int:
    """Terminal cells that the text takes up: two for a wide character, none for one that combines."""
    if text.isascii():
        return len(text)
    return sum(_cells(character) for character in text)


def _cells(character: str) -> int:
    if unicodedata.combining(character) or unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in ("W", "F") else 1
