"""What reaches a terminal is harmless, whatever a model wrote."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.text import cells, clean, in_dollars, one_line

ANY = st.text(st.characters(exclude_categories=()))
"""Every code point, half surrogates included."""
BIDIRECTIONAL = {chr(c) for c in (0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))}


@given(ANY)
def test_nothing_hostile_is_left(text: str) -> None:
    cleaned = clean(text)
    assert not [c for c in cleaned if unicodedata.category(c) == "Cc" and c not in "\n\t"]
    assert not BIDIRECTIONAL & set(cleaned)
    cleaned.encode()


@given(ANY)
def test_cleaning_again_changes_nothing_and_keeps_the_rest(text: str) -> None:
    cleaned = clean(text)
    assert clean(cleaned) == cleaned
    keeps = [c for c in text if c in "\n\t" or (unicodedata.category(c) not in ("Cc", "Cs") and c not in BIDIRECTIONAL)]
    assert [c for c in cleaned if c != "\ufffd"] == [c for c in keeps if c != "\ufffd"]


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("a\x1b[2Jb", "a[2Jb"),
        ("\x1b]52;c;cm0gLXJm\x07", "]52;c;cm0gLXJm"),
        ("\x9b31m", "31m"),
        ("one\r\ntwo\tthree", "one\ntwo\tthree"),
        ("over\rwritten", "overwritten"),
        ("\u202etxt.exe", "txt.exe"),
        ("[/] [@click=app.quit]", "[/] [@click=app.quit]"),
        ("half \ud800", "half \ufffd"),
        ("naïve 答え 😀", "naïve 答え 😀"),
    ],
)
def test_known_attacks(raw: str, shown: str) -> None:
    assert clean(raw) == shown


def test_a_megabyte() -> None:
    assert clean("x\x1b" * 500_000) == "x" * 500_000
    assert one_line("x \n" * 400_000, 10) == "x x x x x…"


@given(ANY, st.integers(0, 40))
def test_one_line_is_one_line_and_fits(text: str, width: int) -> None:
    line = one_line(text, width)
    assert len(line.splitlines()) <= 1
    assert cells(line) <= width
    assert one_line(text) == " ".join(clean(text).split())


def test_wide_characters_count_twice() -> None:
    assert cells("答e\u0301") == 3
    assert one_line("答え答え", 5) == "答え…"
    assert one_line("答え答え", 8) == "答え答え"


@pytest.mark.parametrize(
    ("value", "written"),
    [(0.0, "$0"), (1234.5678, "$1,235"), (0.04187, "$0.04187"), (8e-05, "$0.00008"), (1.23456e-6, "$0.000001235")],
)
def test_dollars_are_never_in_powers_of_ten(value: float, written: str) -> None:
    assert in_dollars(value) == written
