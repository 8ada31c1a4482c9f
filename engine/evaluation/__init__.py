"""What a student is worth: its answers, intervals, pass@k, and runs side by side."""
