"""The console's style sheet, which parses each source once a theme.

Textual's parses all of them again whenever a screen comes with a source of its own: half of what they cost at a start.
"""

from textual.cache import LRUCache
from textual.css.stylesheet import Stylesheet

SOURCES = 500
"""More than there are: Textual keeps 64, of which a console with all of its screens would find none again."""


class ParsedOnce(Stylesheet):
    """What is parsed is kept until the theme changes."""

    def __init__(self, variables: dict[str, str]) -> None:
        super().__init__(variables=variables)
        self._parse_cache = LRUCache(SOURCES)

    def reparse(self) -> None:
        """Parse what is new: `set_variables`, of a new theme, has forgotten everything."""
        self.parse()
