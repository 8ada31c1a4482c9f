"""The training methods: one module each, with `supervise` and `loss`; `table` finds them by name."""
