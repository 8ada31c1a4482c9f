"""Where examples come from: local files, hub ids, presets and the built-in arithmetic generator; and their splits."""
