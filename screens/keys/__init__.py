"""The one table of keys, other keys over it, and the command line that does the same as each."""
