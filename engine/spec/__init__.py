"""What to run: the TOML file's models (`sections`, `methods`, `run`), reading it (`load`), writing one (`template`)."""
