"""Several processes for one run: what they say to each other, and who starts and watches them."""
