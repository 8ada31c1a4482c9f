"""The schema of experiments.db: tables, triggers and views as SQL, and the steps from one version to the next."""
