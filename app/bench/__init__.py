"""`qcrd bench console`: a database to look at, a terminal to look from, a process that writes meanwhile."""
