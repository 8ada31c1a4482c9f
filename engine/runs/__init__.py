"""A run as a process: from its start to its export, the orders it takes, and the queue of a group."""
