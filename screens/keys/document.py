"""docs/console.md, made from the table of keys: `python -m screens.keys.document > docs/console.md`."""

from screens.keys.table import KEYS, PLACES
from screens.keys.twins import TWINS
from screens.remembered.kept import Kept
from screens.remembered.preferences import preferences

HEAD = """# The console: keys, command lines, settings

Made from the table of keys: change `screens/keys/table.py` or `screens/keys/twins.py`, then
`python -m screens.keys.document > docs/console.md`.

Every key is an entry of the palette (`Ctrl+P`), by its help; where there is a command line that does the same, the
palette copies it with the run's id and the database (`copy: qcrd …`). Words in capitals are filled in where the screen
knows them. What has none (–) changes only what is in sight: it moves, scrolls, zooms, folds, or opens a box.
"""
THEMED = """## Themes

| theme | what |
|---|---|
| `dark` | the default |
| `light` | dark on light |
| `safe-dark`, `safe-light` | blue for positive and right, orange for negative and wrong (Okabe and Ito 2008) |
| `ansi` | the terminal's own sixteen colours and background |

With `NO_COLOR` in the environment nothing is coloured: letters, glyphs (`+ −`, `● ✓ ✗ ◌ ‖ ■ ?`), bold and reverse carry
everything. Texts have a contrast of at least 4.5 to 1 (WCAG 2.1 AA) in the first four; the terminal decides in `ansi`.
"""
MAPPED = """## Settings and other keys

`F2` shows and changes them, and so does `qcrd settings` (`qcrd settings theme light`; `''` is the default again). Both
are kept in `console.json` in the platform's config folder (or in `$QCRD_CONFIG`), with what the screens were left like.
A key is called as in the tables below:

    qcrd settings keys.live.pause P        # or, in console.json: "keys": {"live.pause": "P,f6"}

Refused, in a line that says what stands: a key that does something else in that place or everywhere, and those that
terminals take (Ctrl+B, S, H, I, J, M; Ctrl+P is the palette's, Ctrl+Q always quits). Help, footer and borders show
what is set.
"""


def document() -> str:
    """The whole page."""
    parts = [HEAD, THEMED, MAPPED, "| setting | default | can be | what |\n|---|---|---|---|"]
    for one in preferences(Kept()):
        if one.choices:
            parts.append(f"| `{one.name}` | {one.default} | {', '.join(one.choices)} | {one.help} |")
    for place, title in PLACES.items():
        parts.append(f"\n## {title}\n\n| key | name | what | command line |\n|---|---|---|---|")
        for key in (key for key in KEYS if key.place == place):
            does = f"`qcrd {TWINS[key.name]}`" if key.name in TWINS else "–"
            parts.append(f"| `{key.shown}` | {key.name} | {key.help} | {does} |")
    return "\n".join(parts) + "\n"


if __name__ == "__main__":
    print(document(), end="")
