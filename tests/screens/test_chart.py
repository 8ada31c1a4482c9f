"""The braille chart as text."""

import math
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.store.runs.browse import RunRow
from engine.store.runs.curves import Curve
from engine.store.runs.live import Live
from screens.drawing.curves import qualities, zoomed
from screens.widgets.plot import Across, Lens, Line, at_cursor, extent, render


def line(values: list[float], letter: str = "a", steps: list[int] | None = None) -> Line:
    return Line("name", letter, "", Curve("name", tuple(steps or range(len(values))), tuple(values)))


def plain(lines: list[Line], width: int = 30, height: int = 8, **how: Any) -> list[str]:
    return [row.plain for row in render(lines, width, height, Lens(**how))]


def test_a_rising_line_rises_and_the_axes_say_from_where_to_where() -> None:
    rows = plain([line([0.0, 1.0], steps=[100, 2000])])
    assert rows[0].split()[0] == "1.00"
    assert rows[-2].split()[0] == "0.00"
    assert rows[-1].split() == ["0", "2", "000"]
    tops = [row[5:].rstrip() for row in rows[:-1]]
    assert [len(t) for t in tops] == sorted((len(t) for t in tops), reverse=True)


def test_nothing_to_draw_says_so() -> None:
    assert plain([]) == ["no points"]
    assert plain([line([math.nan, math.inf])]) == ["no points"]
    assert plain([line([-1.0, 0.0])], log_y=True) == ["no points"]


def test_a_gap_stays_a_gap() -> None:
    whole = plain([line([1.0] * 60)], 70)
    gap = plain([line([1.0] * 20 + [math.nan] * 20 + [1.0] * 20)], 70)
    drawn = [max(rows, key=lambda r: sum(c >= "⠀" for c in r)) for rows in (whole, gap)]
    middle = slice(30, 45)
    assert " " not in drawn[0][middle]
    assert drawn[1][middle].strip() == ""


def test_a_flat_line_runs_through_the_middle() -> None:
    rows = plain([line([5.0] * 10)], 30, 9)
    filled = [i for i, row in enumerate(rows[:-1]) if any(c > "⠀" for c in row)]
    assert filled in ([3], [4])


def test_a_line_flat_but_for_rounding_gets_no_magnified_axis() -> None:
    rows = plain([line([5.0, 5.0 + 1e-9, 5.0])], 30, 9)
    assert [row.split()[0] for row in (rows[0], rows[-2])] == ["5.50", "4.50"]
    rows = plain([line([0.0, 0.0])], 30, 9)
    assert [row.split()[0] for row in (rows[0], rows[-2])] == ["1.00", "0.00"]


def test_an_axis_spans_its_bounds_at_least() -> None:
    for values in ([0.0], [0.2, 0.6], [1.0, 1.0]):
        rows = [row.plain for row in render([line(values)], 30, 9, bounds=(0.0, 1.0))]
        assert [row.split()[0] for row in (rows[0], rows[-2])] == ["1.00", "0.00"]
    assert render([line([3.0])], 30, 9, bounds=(0.0, 1.0))[0].plain.split()[0] == "3.00"


def test_pre_training_is_drawn_until_there_is_training() -> None:
    before = line([9.0, 8.0], steps=[-499, 0])
    assert plain([before])[-1].split() == ["−499", "0"]
    both = plain([line([9.0, 8.0, 1.0, 2.0], steps=[-499, 0, 1, 750])])
    assert both[-1].split() == ["0", "750"]
    assert both[0].split()[0] == "8.00"
    assert plain([before, line([1.0], "b", [750])])[-1].split() == ["0", "750"]


def test_lines_are_told_apart_without_colour() -> None:
    rows = "\n".join(plain([line([0.0, 1.0], "p"), line([1.0, 0.0], "c")]))
    assert "p" in rows
    assert "c" in rows


def test_letters_of_lines_that_end_together_stand_below_each_other() -> None:
    rows = "\n".join(plain([line([0.0, 1.0], "p"), line([0.5, 1.0], "c")]))
    assert "p" in rows
    assert "c" in rows


def test_a_logarithmic_axis_is_labelled_with_the_values_themselves() -> None:
    rows = plain([line([0.001, 0.1, 10.0])], 40, 9, log_y=True)
    assert rows[0].strip().startswith("10.0")
    assert rows[-2].strip().startswith("0.001")
    middle = [float(label) for row in rows[1:-2] if (label := row.split()[0])[0].isdigit()]
    assert 0.01 < middle[0] < 1  # on a linear axis: about 5


def test_smoothing_takes_the_noise_out() -> None:
    noisy = [float(i % 2) for i in range(200)]
    rough, smooth = (plain([line(noisy)], 60, 10, smooth=s) for s in (False, True))
    count = [sum(bin(ord(c) - 0x2800).count("1") for row in rows for c in row if c >= "⠀") for rows in (rough, smooth)]
    assert count[1] < count[0]


@given(
    st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=60),
    st.integers(0, 90),
    st.integers(0, 20),
    st.booleans(),
    st.booleans(),
)
def test_any_values_fit_any_size(values: list[float], width: int, height: int, log_y: bool, smooth: bool) -> None:
    rows = render([line(values), line(values[::-1], "b")], width, height, Lens(log_y, smooth))
    assert len(rows) <= max(height, 0)
    if width >= 12:
        assert all(row.cell_length <= width for row in rows)


@pytest.mark.parametrize("points", [5, 4096])
def test_more_points_than_columns_keep_their_extremes(points: int) -> None:
    values = [0.0] * points
    values[points // 2] = 1.0
    rows = plain([line(values)], 40, 6)
    assert any(c > "⠀" for c in rows[0][6:])


def test_a_window_shows_a_part_and_a_mark_tells_where_it_stands() -> None:
    curve = line([0.0, 1.0, 5.0, 2.0], steps=[0, 100, 200, 300])
    whole = plain([curve], 40)
    assert whole[0].split()[0] == "5.00"
    part = plain([curve], 40, window=(0, 100), cursor=50)
    assert part[0].split()[0] == "1.00"
    assert part[-1].split() == ["0", "50", "100"]
    assert any("│" in row for row in part)
    assert curve.curve is not None
    assert [at_cursor(curve.curve, Lens(cursor=x)) for x in (-1, 0, 199, 200, 999)] == [None, 0.0, 1.0, 5.0, 2.0]


def test_the_axis_counts_epochs_or_time() -> None:
    curve = Line("n", "n", "", Curve("n", (0, 50, 100), (1.0, 2.0, 3.0), (1000.0, 1060.0, 1120.0)))
    assert plain([curve], across=Across("epoch", scale=40))[-1].split() == ["0.0", "2.5"]
    assert plain([curve], across=Across("time", origin=1000.0))[-1].split() == ["0", "s", "2", "min"]
    assert extent([curve], Across("epoch", scale=40)) == (0.0, 2.5)


def test_zooming_stays_within_the_curves() -> None:
    assert zoomed((0, 100), (0, 100), 80, 1) == (50, 100)
    assert zoomed((0, 100), (0, 100), None, 1) == (50, 100)
    assert zoomed((50, 100), (0, 100), 10, -1) == (0, 100)
    assert zoomed((0, 100), (0, 100), 10, 1) == (0, 50)


def test_a_side_without_a_score_at_the_newest_step_shows_none() -> None:
    def told(*curves: Curve) -> list[str]:
        live = Live(cast(RunRow, None), (), None, curves, (), (), ())
        return [line.legend for line in qualities(live) if line.letter]

    plus = Curve("quality/positive", (1, 2, 3), (0.5, 0.6, 0.7))
    minus = Curve("quality/negative", (1, 3), (0.1, 0.25))
    assert told(plus, minus) == ["0.70", "0.25"]
    assert told(plus, Curve("quality/negative", (1, 2), (0.1, 0.25))) == ["0.70", "–"]
    assert told(plus) == ["0.70", "–"]
    assert told() == ["–", "–"]
