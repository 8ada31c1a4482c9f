"""experiments.db: its schema and migrations, the one writer thread, orders to a run, and the queries that read it."""
