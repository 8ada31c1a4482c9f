"""Runs: their rows, marks, groups and curves, and the lists, filters and sums that they are seen by."""
