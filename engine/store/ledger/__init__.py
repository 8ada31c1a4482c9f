"""The teachers' ledger: what was asked, what came back and what it cost, written row by row and read again."""
