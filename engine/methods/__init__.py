"""The training methods: one module each, with the same two functions `supervise` and `loss`; `table` finds them by name."""
