"""Colours come from the theme, and can be read."""

import re
from pathlib import Path

import pytest
from textual.color import Color

import screens
from screens.remembered.kept import THEMES as NAMES
from screens.themes import THEMES

TEXTS = ("success", "warning", "error", "accent", "primary", "secondary")
NAMED = "red|green|blue|yellow|cyan|magenta|white|black"
FIXED = re.compile(rf"""#[0-9a-fA-F]{{6}}\b|\brgb\(|["' ](?:bold |dim )?(?:bright_)?(?:{NAMED})["';]""")


def luminance(colour: Color) -> float:
    """WCAG 2.1, relative luminance."""
    parts = [v / 255 for v in (colour.r, colour.g, colour.b)]
    red, green, blue = (v / 12.92 if v <= 0.03928 else ((v + 0.055) / 1.055) ** 2.4 for v in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: Color, other: Color) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def test_contrast_is_what_it_is() -> None:
    assert contrast(Color(0, 0, 0), Color(255, 255, 255)) == pytest.approx(21)
    assert contrast(Color(119, 119, 119), Color(255, 255, 255)) == pytest.approx(4.48, abs=0.01)  # the known grey


@pytest.mark.parametrize("theme", [theme for theme in THEMES if not theme.ansi], ids=lambda theme: theme.name)
def test_texts_can_be_read_on_every_ground(theme) -> None:
    colours = theme.to_color_system().generate()
    back = Color.parse(colours["background"])
    fore = Color.parse(colours["foreground"])
    # banners and lists put a shade on the background: foreground on it; states on the cursor's
    grounds = [Color.parse(colours[name]) for name in ("background", "surface", "panel")]
    shades = [back.blend(Color.parse(colours[name]), part) for name, part in (("error", 0.3), ("warning", 0.2))]
    for ground in (*grounds, *shades):
        assert contrast(fore, ground) >= 4.5
    cursor = back.blend(fore, 0.18)
    chosen = back.blend(Color.parse(colours["accent"]), 0.12)
    for name in TEXTS:
        for ground in (*grounds[:2], cursor, chosen):
            text = Color.parse(colours[f"text-{name}"])
            assert contrast(text, ground) >= 4.5, name
            if name not in ("primary", "secondary"):  # used as they are for states, too
                assert contrast(Color.parse(colours[name]), ground) >= 4.4, name


def test_right_and_wrong_are_told_apart_without_red_and_green() -> None:
    for theme in THEMES:
        if theme.name.startswith("safe"):
            right, wrong = Color.parse(theme.success or ""), Color.parse(theme.error or "")
            assert right.b > right.r  # blue
            assert wrong.r > wrong.b  # orange


def test_no_screen_has_a_colour_of_its_own() -> None:
    folder = Path(screens.__file__).parent
    for path in sorted((*folder.rglob("*.py"), *folder.rglob("*.tcss"))):
        if path.name != "themes.py":
            assert not FIXED.search(path.read_text(encoding="utf-8")), path.name


def test_each_theme_can_be_set() -> None:
    assert tuple(theme.name for theme in THEMES) == NAMES
