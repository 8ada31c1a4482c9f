"""What the console remembers from one start to the next, and what of it are settings."""
