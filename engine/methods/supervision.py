"""What an example trains on, whatever the method."""

from dataclasses import dataclass

from engine.records import Rationale, Voted


@dataclass(frozen=True, slots=True)
class Supervision:
    """A label for the predict head, positives and negatives for the explain head; any may be missing."""

    label: str | None = None
    trains_label: bool = True
    """False: the label tells right answers from wrong ones, and no head learns it."""
    positives: tuple[Rationale, ...] = ()
    negatives: tuple[Rationale, ...] = ()


def label_of(voted: Voted, labels: str) -> str | None:
    """The gold answer where labels = "gold", the vote elsewhere; None where there is none or selection rejected it."""
    if labels == "gold":
        return voted.example.answer
    return None if voted.rejected else voted.answer
