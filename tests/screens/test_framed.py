"""The pane that paints its own rows: cell for cell what Textual would paint, and no row that is as it was."""

import random

import pytest
from textual.app import App, ComposeResult
from textual.geometry import Region
from textual.scroll_view import ScrollView
from textual.scrollbar import ScrollBar
from textual.strip import Strip

from screens import themes
from screens.widgets.framed import Framed
from screens.widgets.row import Row, joined
from tests.pilot import shown

STYLES = ("", "bold $success", "reverse $error", "dim", "italic $accent", "bold underline $error")
WORDS = ("then", "12", "[plus]", "４月", "é", "\u200b", "makes", "a" * 70)


class Alone(App[None]):
    """A pane and nothing else."""

    CSS = """
    Framed { height: 10; border: round $foreground 35%; padding: 0 1; scrollbar-gutter: stable;
             scrollbar-size-vertical: 1; overflow-x: auto; }
    Framed:focus { border: round $accent; }
    """

    def compose(self) -> ComposeResult:
        for theme in themes.THEMES:
            self.register_theme(theme)
        yield Framed(id="pane")


def a_row(chance: random.Random) -> Row:
    text, styles = "", []
    for word in chance.choices(WORDS, k=chance.choice((0, 1, 3, 6))):
        styles.append((len(text), len(text) + len(word), chance.choice(STYLES)))
        text += f"{word} "
    return Row(text, tuple(style for style in styles if style[2]))


def cells(strips: list[Strip]) -> list[list[tuple[str, object]]]:
    """Each character with how it looks."""
    looks = [[(c, segment.style) for segment in strip.discard_meta() for c in segment.text] for strip in strips]
    return [[(c, None if style is None else (style.without_color, style.color, style.bgcolor)) for c, style in row]
            if row else [] for row in looks]  # fmt: skip


@pytest.mark.parametrize("theme", ["textual-dark", "light", "safe-dark", "ansi"])
async def test_it_paints_what_textual_would(theme: str) -> None:
    chance = random.Random(theme)
    app = Alone()
    async with app.run_test(size=(40, 12)) as pilot:
        app.theme = theme
        pane = app.query_one(Framed)
        pane.border_title = "a title"
        for count in (0, 3, 30, 5):
            pane.put([a_row(chance) for _ in range(count)], chance.choice((34, 120)))
            for x, y in ((0, 0), (0, 2), (5, 20), (3, 0)):
                pane.scroll_to(x, y, animate=False, force=True)
                app.set_focus(pane if x else None)
                await pilot.pause()
                whole = Region(0, 0, *pane.outer_size)
                assert cells(pane.render_lines(whole)) == cells(ScrollView.render_lines(pane, whole))
                part = Region(4, 2, 20, 3)
                assert cells(pane.render_lines(part)) == cells(ScrollView.render_lines(pane, part))
                bar = pane.vertical_scrollbar
                whole = Region(0, 0, *bar.size)
                assert cells(bar.render_lines(whole)) == cells(super(type(bar), bar).render_lines(whole))
                assert isinstance(bar, ScrollBar)


@pytest.mark.parametrize(
    ("of", "rule", "value"),
    [
        ("#pane", "opacity", 0.5),
        ("Screen", "opacity", 0.5),
        ("#pane", "text_opacity", 0.4),
        ("#pane", "tint", "red 40%"),
        ("SlimBar", "tint", "red 40%"),
        ("SlimBar", "opacity", 0.3),
    ],
)
async def test_tint_and_opacity_are_painted_as_textual_would_while_they_last(of: str, rule: str, value: object) -> None:
    chance = random.Random(rule)
    app = Alone()
    async with app.run_test(size=(40, 12)) as pilot:
        pane = app.query_one(Framed)
        bar = pane.vertical_scrollbar
        styles = {"#pane": pane, "Screen": app.screen, "SlimBar": bar}[of].styles
        whole, along = Region(0, 0, *pane.outer_size), Region(0, 0, 1, pane.size.height)
        rows = [a_row(chance) for _ in range(30)]
        seen = []
        for now in (None, value, None):
            setattr(styles, rule, now)
            for shift in range(3):
                pane.put(rows[shift:], 34)
                bar.refresh()  # Textual keeps a bar as it was when another opacity is given to what it is of
                await pilot.pause()
                painted = [cells(pane.render_lines(whole)), cells(bar.render_lines(along))]
                pane._styles_cache.clear()  # its rows anew
                theirs = [cells(ScrollView.render_lines(pane, whole)), cells(ScrollBar.render_lines(bar, along))]
                assert painted == theirs
            seen.append(painted)
        assert seen[0] == seen[2] != seen[1]


async def test_other_rows_are_shown_and_those_that_stay_are_not_painted_again() -> None:
    app = Alone()
    async with app.run_test(size=(40, 12)) as pilot:
        pane = app.query_one(Framed)
        rows = [Row(f"row {i}") for i in range(40)]
        pane.put(rows, 20)
        await pilot.pause()
        painted = []
        pane.refresh = lambda *regions, **_: painted.append(regions)  # type: ignore[method-assign,assignment]
        pane.put([*rows[:3], Row("another"), *rows[4:]], 20)
        assert painted == [(Region(0, 3, pane.size.width, 1),)]
        pane.put([*rows[:3], Row("another"), *rows[4:20], Row("out of sight"), *rows[21:]], 20)
        assert len(painted) == 1
        del pane.refresh  # type: ignore[method-assign]
        pane.refresh()
        pane.scroll_to(y=13, animate=False)
        await pilot.pause()
        assert "out of sight" in shown(pilot)
        pane.put([*rows[:3], Row("another")], 20)
        await pilot.pause()
        assert "another" in shown(pilot)
        assert "row 20" not in shown(pilot)
        assert pane.scroll_offset.y == 0


def test_rows_are_one_text() -> None:
    text = joined([Row("ab", ((0, 1, "bold"),)), Row(""), Row("cd", ((1, 2, "dim"),))])
    assert text.plain == "ab\n\ncd"
    assert [(s.start, s.end, s.style) for s in text.spans] == [(0, 1, "bold"), (5, 6, "dim")]
