"""What to run: the TOML file's models (`sections`, `methods`, `run`), reading it (`load`) and writing one (`template`)."""
