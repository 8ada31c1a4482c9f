"""Numbers, times and other people's text."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.store.runs.browse import Accuracy
from screens.widgets.words import accuracy, bar, count, duration, line, marks, paragraph, spark, three


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (math.nan, "–"),
        (math.inf, "∞"),
        (-math.inf, "−∞"),
        (0.0, "0.00"),
        (0.6134, "0.613"),
        (1.874, "1.87"),
        (41.23, "41.2"),
        (4120.4, "4 120"),
        (-0.31, "−0.310"),
        (1e9, "1.00e+09"),
        (1e-5, "1.00e−05"),
    ],
)
def test_three_significant_digits(value: float | None, text: str) -> None:
    assert three(value) == text


def test_unknown_is_a_dash_and_never_nought() -> None:
    assert accuracy(None) == count(None) == duration(None) == line(None) == "–"
    assert accuracy(Accuracy(0.641, 0.611, 0.671)) == "0.64 ±0.03"
    assert count(1312) == "1 312"


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (59, "59 s"), (180, "3 min"), (7200, "2 h"), (432000, "5 d")]
)
def test_durations_take_their_largest_unit(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_small_pictures() -> None:
    assert bar(0.5, 8) == "▓▓▓▓░░░░"
    assert bar(7, 4) == "▓▓▓▓"
    assert spark((1.0, 2.0, 3.0), 10) == "▁▅█"
    assert spark((), 10) == spark((math.nan,), 5) == ""
    assert len(spark(tuple(float(i) for i in range(1000)), 12)) == 12
    assert marks((False, None, True), 10) == "✗·✓"
    assert marks((False, True, True), 2) == "✓✓"


@given(st.text(max_size=400), st.integers(5, 50))
def test_a_line_is_one_short_harmless_line(text: str, limit: int) -> None:
    shown = line(text, limit)
    assert len(shown) <= limit
    assert not any(ord(c) < 32 or 0x7F <= ord(c) < 0xA0 for c in shown)


@given(st.text(max_size=400))
def test_a_paragraph_has_no_control_characters_but_newlines(text: str) -> None:
    assert not any((ord(c) < 32 and c != "\n") or 0x7F <= ord(c) < 0xA0 for c in paragraph(text))


def test_what_is_cut_is_counted() -> None:
    assert paragraph("x" * 10, 4) == "xxxx… (6 more characters)"
    assert paragraph("xxxx", 4, length=1_000_000) == "xxxx… (999 996 more characters)"


def test_a_paragraph_keeps_single_blank_lines_and_no_flood_of_lines() -> None:
    assert paragraph("a\n\nb\n \n\t\n\n\nc\n") == "a\n\nb\n\nc"
    many = paragraph("a \n\t" * 250_000, 20_000)
    assert many.count("\n") < 200
    assert many.endswith("(cut: 1 000 000 characters in all)")
