"""Several teachers in one run: which of them writes a sample is told by the question and the sample's slot alone."""

import hashlib
from collections.abc import Sequence


def teacher_of(question: str, slot: int, shares: Sequence[float]) -> int:
    """Index of the share that the slot falls to; what the shares leave over of 1 falls to 0, the others count from 1.

    By hash: more samples, other questions or one more teacher at the end leave it where it is, but for the slots that
    the new teacher takes from teacher 0.
    """
    digest = hashlib.sha256(f"{slot}\0{question}".encode("utf-8", "surrogatepass")).digest()
    at = int.from_bytes(digest[:8], "big") / 2**64
    for index, share in enumerate(shares, 1):
        at -= share
        if at < 0:
            return index
    return 0
