"""The headless commands: one file a group, `main.py` puts them together and turns errors into one line."""
