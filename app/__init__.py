"""The entry points: Typer commands, the Textual App object, settings and the key table."""
