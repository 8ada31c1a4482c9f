"""Why a rationale has no weight in the loss, in words, from what is stored of a visit. Pure functions."""

from engine.store.rationales.questions import Candidate, Question
from screens.widgets.words import line, three

DROPPED = {
    "right": "its answer is right",
    "band": "its quality is outside the band",
    "no vote": "the question has no vote",
}
"""The stored reasons that do not read well by themselves."""
SHORT = {"right": "right answer", "band": "outside the band"}
"""The same, for a count."""


def named(candidate: Candidate) -> str:
    """How one rationale speaks of another: sample 4 (of the teacher), self, it 26."""
    if candidate.source in ("teacher", "minority"):
        return f"sample {candidate.slot + 1}"
    return f"self, it {candidate.iteration}" if candidate.source == "self" else line(candidate.source, 20)


def dropped(reason: str | None) -> str:
    """Why the vote or a check left a rationale out."""
    return "dropped" if not reason else f"dropped: {DROPPED.get(reason, line(reason, 40))}"


def reasons(question: Question) -> dict[int, str]:
    """By number, of every negative without weight and of all that was left aside; `Question.greatest` says by whom.

    Under the paper's max the chosen negative is that of the greatest cross-entropy: beyond the bound it silences all.
    """
    found = {c.number: dropped(c.reason) if c.polarity == "dropped" else "unparsed" for c in question.aside}
    bound, said = _bound(question)
    chosen = next((c for c in question.negatives if c.chosen), None)
    for c in question.negatives:
        if c.cross_entropy is None or (c.chosen and c.active):
            continue
        beyond = bound is not None and c.cross_entropy >= bound
        over = f"{three(c.cross_entropy)} > {said}"
        if c.chosen:
            others = question.greatest and sum(n.cross_entropy is not None for n in question.negatives) > 1
            found[c.number] = (
                "silent" if bound is None else f"silent: {over}" + (", and with it the whole term" if others else "")
            )
        elif chosen is None:
            found[c.number] = "not in the loss: no positive"
        elif question.greatest and chosen.active is False and bound is not None:
            found[c.number] = f"silenced by {named(chosen)}: CE {three(chosen.cross_entropy)} > {said}"
        else:
            found[c.number] = f"silent: {over}" if beyond else "not chosen"
    return found


def _bound(question: Question) -> tuple[float | None, str]:
    """The cross-entropy from which the hinge silences, and how it is written; a margin adds the chosen positive's."""
    if question.delta is None:
        return None, ""
    if not question.margin:
        return question.delta, f"{question.delta:g}"
    reference = [c.cross_entropy for c in question.positives if c.chosen and c.cross_entropy is not None]
    if not reference:
        return None, ""
    mean = sum(reference) / len(reference)
    return mean + question.delta, f"{three(mean)} + {question.delta:g}"
