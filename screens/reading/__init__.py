"""The thread that reads the database, and what it reads for the screens that want most."""
