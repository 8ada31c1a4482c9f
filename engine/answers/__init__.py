"""Finding the answer in a text and telling whether two answers are equal: one file a kind of answer."""
