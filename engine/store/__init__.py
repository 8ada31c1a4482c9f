"""experiments.db: opened, written by one thread, read; rooms for its schema, the ledger, runs and rationales."""
