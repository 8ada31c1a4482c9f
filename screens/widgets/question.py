"""What stands above the rationales: the question, and who says what of it. Pure functions."""

import re

from textual.content import Content

from engine.store.rationales.questions import Question
from screens.widgets.pair import heading
from screens.widgets.reasons import SHORT
from screens.widgets.words import UNKNOWN, count, line, paragraph

QUESTION_LENGTH = 1500
"""Characters of a question that are shown."""
COUNTED = {"parted": "CE from where it parts", "fork": "CE of the word where it parts"}
"""What a negative's cross-entropy is of, where it is not of all its tokens."""


def title(question: Question) -> Content:
    """Run and moment."""
    when = "not visited yet" if question.iteration is None else f"iteration {question.iteration}/{question.iterations}"
    return Content(f"{line(question.run_name, 50)} · {when}")


def place(question: Question, match: str, filtered: str) -> Content:
    """Which question of how many, which match of a search, which of those that the filter lets in."""
    return Content(" · ".join(part for part in (f"question {count(question.index + 1)}/{count(question.count)}",
                                                match, filtered) if part))  # fmt: skip


def top_text(question: Question, found: re.Pattern[str] | None) -> Content:
    """The question, and who says what of it."""
    asked = Content(paragraph(question.text, QUESTION_LENGTH, question.length) or UNKNOWN)
    for match in found.finditer(asked.plain) if found is not None else ():
        asked = asked.stylize("reverse", *match.span())
    parts: list[Content | tuple[str, str]] = [
        *([("⚑ ", "$accent")] if question.flagged else []),
        asked,
        Content("\n"),
        *([(f"✎ {line(question.note, 1000)}\n", "italic $accent")] if question.note is not None else []),
        Content.styled("gold ", "dim"),
        Content.styled(line(question.gold, 60), "bold"),
        Content.styled(" · vote ", "dim"),
        Content(f"{line(question.vote, 60)} ({question.votes} of {question.samples})"),
    ]
    if question.tie:
        parts.append(Content(" tie"))
    if question.vote_right is not None:
        parts.append(_mark(question.vote_right))
    parts += _student(question)
    rest = [f"{n} dropped" + (f" ({SHORT.get(why, line(why, 30))})" if why else "") for why, n in question.dropped]
    rest += [f"{question.unparsed} unparsed"] if question.unparsed else []
    if rest:
        parts.append(Content.styled(" · " + ", ".join(rest), "dim"))
    return Content.assemble(*parts)


def _student(question: Question) -> list[Content]:
    """What the student answered, and when it was asked."""
    if question.student_step is None:
        unasked = "not asked yet" if question.followed else "not asked: not followed"
        return [Content.styled(f" · student {unasked}", "dim")]
    when = "now" if question.step is None or question.step == question.visits[-1] else "then"
    parts = [Content.styled(f" · student {when} ", "dim"), Content(line(question.student_answer or "no answer", 60))]
    if question.student_right is not None:
        parts.append(_mark(question.student_right))
    return [*parts, Content.styled(f" step {count(question.student_step)}", "dim")]


def _mark(right: bool) -> Content:
    return Content.styled(" ✓", "$success") if right else Content.styled(" ✗", "$error")


def negatives_title(question: Question) -> Content:
    """How many, how many of earlier selves are not shown, and what their cross-entropies are of."""
    earlier = f" · {question.earlier} of other iterations" if question.earlier else ""
    counted = f" · {COUNTED[question.counted]}" if question.counted in COUNTED else ""
    return Content(heading("−", "negatives", question.negatives) + earlier + counted)
