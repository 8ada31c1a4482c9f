"""Everything that computes: data, teachers, votes, students, losses, training and the store. No terminal in here."""
