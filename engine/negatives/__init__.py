"""Sources of negative rationales, one file a source: each gives a list of `Rationale`, numbered from where it is told.

minority comes with the vote; perturbed and peer are made once before training (`prepared`); self and fixed are written
by the student while it trains (`during`). `mixed` draws among sources, `band` keeps those of a quality.
"""
