"""What the live screen draws: pure functions."""
