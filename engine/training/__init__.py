"""Training a student: the loop, its step, batches, losses, what happens when memory runs out, and checkpoints."""
