"""What the commands share: names of environment variables and how often things are looked at."""

DB_VARIABLE = "QCRD_DB"
"""Names the database where --db does not."""
POLL_SECONDS = 0.5
"""Between two looks at the database by a command that follows a run."""
LINE_SECONDS = 5.0
"""Between two lines of progress where there is no terminal."""
CLAIM_SECONDS = 30.0
"""How long a worker may take to claim its run before the command that started it says so."""
