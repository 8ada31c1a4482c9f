"""The list of runs before it is drawn: its columns, order and tree, and what stands beside it."""
