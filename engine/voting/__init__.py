"""From samples to positives and negatives: the vote, what is selected after it, and reading samples again."""
