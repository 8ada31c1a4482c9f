"""The virtual table: what is drawn is what is in sight, whatever the values; the cursor stays in it."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from textual.app import App, ComposeResult

from screens.widgets.grid import GAP, Grid, GridColumn, cell, columns_of, fit, ordered
from tests.pilot import shown
from tests.screens.test_hostile_pilot import HOSTILE


class Alone(App[None]):
    """A grid and nothing else."""

    def compose(self) -> ComposeResult:
        yield Grid(id="grid")


def test_a_cell_tells_null_from_an_empty_text_and_bytes_from_texts() -> None:
    assert [cell(v, 20) for v in (None, "", "NULL", b"\xff\x00", 0.1, 12, -1)] == [
        "NULL",
        "",
        "NULL",
        "x'ff00'",
        "0.1",
        "12",
        "-1",
    ]
    assert cell("a\nb\tc", 20) == "a b c"
    assert cell("abcdef", 4) == "abc…"


def test_columns_are_as_wide_as_they_need_and_give_way_where_there_is_no_room() -> None:
    columns = columns_of(["n", "name", "text"], [(1, "ab", "x" * 500), (22, None, "y")])
    assert columns == (GridColumn("n", 2, True), GridColumn("name", 4), GridColumn("text", 200))
    assert [c.width for c in fit(columns, 100)] == [2, 4, 100 - 2 - 4 - 2 * len(GAP)]
    assert [c.width for c in fit(columns, 10)] == [2, 4, 24]
    assert fit((), 10) == ()


@settings(max_examples=40)
@given(st.lists(st.tuples(st.text(max_size=60), st.none() | st.integers() | st.floats() | st.binary(max_size=9))))
def test_any_value_is_a_line_no_wider_than_its_column(rows: list[tuple[Any, ...]]) -> None:
    for column in columns_of(["a", "b"], rows):
        assert 1 <= column.width <= 200
    for value in (v for row in rows for v in row):
        text = cell(value, 12)
        assert len([c for c in text if ord(c) < 32 or 0x7F <= ord(c) < 0xA0]) == 0


async def test_a_hundred_thousand_rows_draw_only_those_in_sight(monkeypatch: pytest.MonkeyPatch) -> None:
    app = Alone()
    async with app.run_test(size=(40, 10)) as pilot:
        grid = app.query_one(Grid)
        rows = [(i, f"row {i}") for i in range(100_000)]
        grid.show(columns_of(["number", "name"], rows), rows)
        await pilot.pause()
        drawn: list[int] = []
        draw = Grid._row
        monkeypatch.setattr(Grid, "_row", lambda self, at, base: drawn.append(at) or draw(self, at, base))
        grid.move(99_999)
        await pilot.pause()
        assert set(drawn) <= set(range(99_980, 100_000))
        lines = shown(pilot).splitlines()
        assert "number" in lines[0]
        assert "row 99999" in lines[-1]
        grid.move(50_000)
        await pilot.pause()
        assert "row 50000" in shown(pilot)
        grid.move(-5)
        await pilot.pause()
        assert "row 0" in shown(pilot).splitlines()[1]


async def test_a_cursor_out_of_sight_to_the_side_scrolls() -> None:
    app = Alone()
    async with app.run_test(size=(40, 6)) as pilot:
        grid = app.query_one(Grid)
        names = [f"column{i}" for i in range(30)]
        grid.show(columns_of(names, [tuple(range(30))]), [tuple(range(30))])
        grid.move(0, 29)
        await pilot.pause()
        assert "column29" in shown(pilot).splitlines()[0]
        assert grid.value == 29
        grid.move(0, 0)
        await pilot.pause()
        assert shown(pilot).startswith("column0")
        await pilot.click(Grid, offset=(12, 1))
        assert grid.column == 1
        for segment in grid._row(grid.row, grid.rich_style):  # what is under the cursor can be read
            assert segment.style.color != segment.style.bgcolor


async def test_hostile_values_are_drawn_harmless_and_in_their_columns() -> None:
    app = Alone()
    async with app.run_test(size=(60, 14)) as pilot:
        grid = app.query_one(Grid)
        rows = [(text, i) for i, text in enumerate(HOSTILE.values())]
        grid.show(columns_of(["text\x1b[2J", "n"], rows), rows)
        for at in range(len(rows)):
            grid.move(at)
            await pilot.pause()
        page = shown(pilot)
        assert not [
            c for c in page if (ord(c) < 32 and c != "\n") or 0x7F <= ord(c) < 0xA0 or c in "\u202e\u2066\u061c"
        ]
        assert "[/] [/foo] [@click=app.quit]x[/]" in page
        assert all(cell_len(line) == 60 for line in page.splitlines())


def test_rows_are_sorted_as_sqlite_orders_values_and_null_is_last() -> None:
    rows = [("b",), (None,), (2,), (b"x",), (10.5,), ("a",), (-1,)]
    assert [row[0] for row in ordered(rows, 0, down=False)] == [-1, 2, 10.5, "a", "b", b"x", None]
    assert [row[0] for row in ordered(rows, 0, down=True)] == [b"x", "b", "a", 10.5, 2, -1, None]
