"""Samples of other programs in, samples of ours out."""
