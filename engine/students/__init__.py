"""Small models behind one seam: `encode` a prompt, `score` targets, `generate` text."""
