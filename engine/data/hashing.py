"""The fingerprint of a dataset: runs with equal hashes saw equal questions in equal order."""

import hashlib
import json
from collections.abc import Mapping, Sequence

from engine.records import Example


def dataset_hash(splits: Mapping[str, Sequence[Example]]) -> str:
    """SHA-256 (64 hex digits) over split, id, question, answer and choices of every example, in order."""
    digest = hashlib.sha256()
    for split, examples in splits.items():
        for example in examples:
            row = [split, example.id, example.question, example.answer, *example.choices]
            digest.update(json.dumps(row).encode() + b"\n")
    return digest.hexdigest()
