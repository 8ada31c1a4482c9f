"""What a student answers to a question, and what is known of it, as text: pure functions."""

from dataclasses import dataclass, field

from textual.content import Content

from engine.evaluation.reply import Asked, Head, Ready, Told, Votes
from engine.store.rationales.known import Known
from screens.keys.table import key_of
from screens.widgets.pair import Drawing, heading, layout
from screens.widgets.reasons import reasons
from screens.widgets.words import UNKNOWN, bar, count, line, paragraph, three, two

LONGEST = 8000
"""Characters of an answer that are shown."""
RIGHT = {True: (" ✓", "$success"), False: (" ✗", "$error"), None: ("", "")}


@dataclass
class Exchange:
    """A question that was asked, and what has come of it so far."""

    asked: Asked
    since: float = 0.0
    """When, by the monotonic clock."""
    doing: str = "asking"
    ready: Ready | None = None
    pieces: dict[Head, str] = field(default_factory=dict)
    told: dict[Head, Told] = field(default_factory=dict)
    votes: dict[Head, Votes] = field(default_factory=dict)
    failed: str | None = None
    over: bool = False


def student_title(exchange: Exchange | None) -> Content:
    """Which weights answer, and how."""
    if exchange is None or exchange.ready is None:
        return Content("student")
    step = exchange.ready.step
    who = "exported" if step is None else f"best checkpoint, step {count(step)}"
    asked = exchange.asked
    how = f"{asked.samples} samples at {asked.temperature:g}" if asked.samples else "greedy"
    return Content(f"student · {who} · {how}")


def student_text(exchange: Exchange | None, waited: float = 0.0) -> Content:
    """Both heads' answers as far as they are known; `waited`: seconds since they were asked for."""
    if exchange is None:
        return Content.styled(
            f"{key_of('try.ask')} asks; {key_of('try.vote')} draws several answers, to see how sure it is", "dim"
        )
    parts: list[Content] = []
    heads: tuple[Head, ...] = ("predict", "explain") if exchange.ready is None else exchange.ready.heads
    if exchange.ready is not None:
        for head in heads:
            parts += _votes(exchange.votes[head]) if head in exchange.votes else _greedy(exchange, head)
        if exchange.ready.note:
            parts.append(Content.styled(line(exchange.ready.note, 300), "$warning"))
    if exchange.failed is not None:
        parts = [*parts, Content.styled(f"✗ {line(exchange.failed, 600)}", "$error")]
    elif not exchange.over and (exchange.ready is None or exchange.asked.samples):
        told = f"  {waited:.0f} s" if waited >= 1 else ""
        parts.append(Content.styled(f"● {line(exchange.doing, 200)} …{told}", "$warning"))
    elif exchange.over and not exchange.votes and len(exchange.told) < len(heads):
        parts.append(Content.styled(f"■ stopped; {key_of('try.ask')} asks again", "$warning"))
    return Content("\n").join(parts)


def _greedy(exchange: Exchange, head: Head) -> list[Content]:
    if exchange.asked.samples:
        return []
    told = exchange.told.get(head)
    if told is None:
        text = exchange.pieces.get(head)
        cursor = "" if exchange.over else "▌"
        return [] if text is None else [Content.assemble((f"{head:<8} ", "dim"), paragraph(text, LONGEST), cursor)]
    if head == "predict":
        answer = line(told.answer, 300) if told.answer is not None else "no answer"
        took = (f"   {three(told.seconds)} s", "dim")
        return [Content.assemble((f"{head:<8} ", "dim"), (answer, "bold"), RIGHT[told.right], took)]
    parts = [Content.assemble((f"{head:<8} ", "dim"), paragraph(told.text, LONGEST) or "(nothing)")]
    answer = f"{line(told.answer, 300)}" if told.answer is not None else "no rule finds one"
    rule = f"  by rule {line(told.rule, 30)}" if told.answer is not None else ""
    parts.append(
        Content.assemble(
            (f"{'answer':<8} ", "dim"),
            (answer, "bold"),
            RIGHT[told.right],
            (f"{rule}   {three(told.seconds)} s", "dim"),
        )
    )
    if told.quality is not None:
        parts.append(
            Content.assemble((f"{'quality':<8} ", "dim"), f"s {two(told.quality)} ", (bar(told.quality, 12), "$accent"))
        )
    return parts


def _votes(votes: Votes) -> list[Content]:
    """The answers with how often each was given, and the first text of the commonest explanation."""
    total = sum(one.count for one in votes.given)
    parts = []
    for place, one in enumerate(votes.given[:10]):
        answer = UNKNOWN if one.answer is None else line(one.answer, 60)
        style = "bold" if place == 0 else ""
        parts.append(
            Content.assemble(
                (f"{votes.head if place == 0 else '':<8} ", "dim"),
                (bar(one.count / total, 12), "$accent"),
                f" {one.count:>3} of {total}  ",
                (answer, style),
                RIGHT[one.right],
                ("  no answer found" if one.answer is None else "", "dim"),
            )
        )
    if len(votes.given) > 10:
        rest = sum(one.count for one in votes.given[10:])
        parts.append(Content.styled(f"{'':<8} and {rest} samples of {len(votes.given) - 10} other answers", "dim"))
    if votes.head == "explain" and votes.given:
        parts.append(Content.assemble((f"{'e.g.':<8} ", "dim"), paragraph(votes.given[0].text, LONGEST)))
    return parts


def known_text(known: Known | None, asked: bool, width: int) -> Content:
    """Gold, vote, former answers, and the teacher's rationales in `width` cells."""
    if known is None:
        words = "not a question of this run's data: no gold answer, nothing of the teacher's" if asked else ""
        taken = f"{key_of('try.next')} {key_of('try.previous')}"
        words = words or f"what is known of a question stands here: {taken} take those of the run"
        return Content.styled(words, "dim")
    gold = Content.assemble(("gold ", "dim"), (line(known.gold, 200), "bold"))
    question = known.question
    if question is not None:
        vote = f"{line(question.vote, 200)} ({question.votes} of {question.samples})"
        gold = Content.assemble(gold, (" · vote ", "dim"), vote, RIGHT[question.vote_right])
    parts = [gold]
    for one in known.answered:
        answer = "no answer" if one.answer is None else line(one.answer, 100)
        when = (f"  step {count(one.step)}", "dim")
        parts.append(Content.assemble((f"evaluation, {one.head}: ", "dim"), answer, RIGHT[one.right], when))
    if question is None:
        parts.append(Content.styled("the teacher was not asked this question", "dim"))
        return Content("\n").join(parts)
    drawing = Drawing(reasons=reasons(question), visited=question.step is not None or known.split != "train")
    for sign, name, candidates in (
        ("+", "positives", question.positives),
        ("−", "negatives", question.negatives),
    ):
        parts.append(Content.styled(f"\n{heading(sign, name, candidates)}", "bold"))
        parts.append(layout(candidates, width, drawing).content)
    return Content("\n").join(parts)
