"""What a step, a generation and a training cost, beside what they would cost elsewhere, measured in the same run."""
