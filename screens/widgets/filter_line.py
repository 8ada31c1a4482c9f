"""The filter as one types it: terms and their values are offered, the right arrow takes them."""

from textual.suggester import Suggester

from engine.store.rationales.filter import CHOICES, TERMS


class Terms(Suggester):
    """Offers the rest of the last word."""

    def __init__(self) -> None:
        super().__init__(case_sensitive=True)

    async def get_suggestion(self, value: str) -> str | None:
        """The line with its last word made whole."""
        *_, word = value.rsplit(" ", 1)
        name, equals, start = word.partition("=")
        if equals:
            options = [f"{name}={choice}" for choice in CHOICES.get(name, ()) if start]
        else:
            options = [f"{term}=" for term in TERMS] if word else []
        found = next((option for option in options if option.startswith(word) and option != word), None)
        return None if found is None else value[: len(value) - len(word)] + found
