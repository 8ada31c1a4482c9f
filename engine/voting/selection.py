"""After the vote: which of its rationales are trained on. Every check is optional, and what it drops says why."""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

from engine.answers import kinds
from engine.records import Rationale, Reason, Voted
from engine.spec.sections import AnswerKind
from engine.spec.selection import SelectionConfig
from engine.voting import step_judge
from engine.voting.step_judge import Ask
from engine.voting.vote import Vote, balance

NOT_GOLD: Reason = "not gold"
TOO_SHORT: Reason = "too short"
TOO_LONG: Reason = "too long"
NEAR_DUPLICATE: Reason = "near duplicate"
UNSOUND: Reason = "unsound step"
REASONS = frozenset((NOT_GOLD, TOO_SHORT, TOO_LONG, NEAR_DUPLICATE, UNSOUND))
"""Why a rationale was dropped by selection, and not by the vote."""
WORD = re.compile(r"\d+(?:[.,]\d+)*|\w+|[^\w\s]")


def select(vote: Vote, config: SelectionConfig, *, kind: AnswerKind, labels: str, ask: Ask | None = None) -> Vote:
    """The vote with what the checks drop among its `others`, each with its reason, and the facts to match.

    In this order: length (positives and negatives), gold, near duplicates (positives, the first by slot stays), judge
    (positives). A question whose vote is not its gold answer is `rejected` by the gold check: no rationale of it is
    left, and its vote is no label; where labels = "gold" nothing is left to check. `ask` asks the judge of steps:
    messages of many requests -> their answers, None where there is none; it is needed where the spec has one.

    Facts: "dropped/<reason>" for each check that is on, "rejected" (questions), "judged" and "judge unreadable"
    (rationales; what cannot be judged stays); the vote's shares of positives and negatives are counted again.
    """
    voted = list(vote.voted)
    facts: Counter[str] = Counter(dict.fromkeys((f"dropped/{reason}" for reason in _checks(config)), 0))
    if config.min_words or config.max_words or config.min_characters or config.max_characters:
        voted = [_drop(v, lambda r: _length(config, r.text)) for v in voted]
    if config.require_gold and labels != "gold":
        voted = [_by_gold(kind, v) for v in voted]
        facts["rejected"] = sum(v.rejected for v in voted)
    if config.near_duplicate is not None:
        voted = [_without_near_duplicates(v, config.near_duplicate) for v in voted]
    if config.judge.model is not None:
        assert ask is not None
        voted = _judged(voted, ask, facts)
    facts.update(f"dropped/{r.reason}" for v in voted for r in v.others if r.reason in REASONS)
    return replace(vote, voted=tuple(voted), facts={**vote.facts, **dict(facts), **balance(voted)})


def _checks(config: SelectionConfig) -> list[Reason]:
    """Reasons that could be given."""
    on = {
        TOO_SHORT: config.min_words or config.min_characters,
        TOO_LONG: config.max_words or config.max_characters,
        NOT_GOLD: config.require_gold,
        NEAR_DUPLICATE: config.near_duplicate is not None,
        UNSOUND: config.judge.model is not None,
    }
    return [reason for reason, wanted in on.items() if wanted]


def _drop(voted: Voted, why: Callable[[Rationale], Reason]) -> Voted:
    """The vote without the positives and negatives that there is a reason against."""
    reasons = {r.number: why(r) for r in (*voted.positives, *voted.negatives)}
    gone = [
        replace(r, polarity="dropped", source="teacher", reason=reasons[r.number])
        for r in (*voted.positives, *voted.negatives)
        if reasons[r.number]
    ]
    return replace(
        voted,
        positives=tuple(r for r in voted.positives if not reasons[r.number]),
        negatives=tuple(r for r in voted.negatives if not reasons[r.number]),
        others=tuple(sorted((*voted.others, *gone), key=lambda r: r.number)),
    )


def _length(config: SelectionConfig, text: str) -> Reason:
    words = len(text.split())
    if words < (config.min_words or 0) or len(text) < (config.min_characters or 0):
        return TOO_SHORT
    if words > (config.max_words or words) or len(text) > (config.max_characters or len(text)):
        return TOO_LONG
    return ""


def _by_gold(kind: AnswerKind, voted: Voted) -> Voted:
    gold = voted.example.answer
    if gold is None or voted.answer is None:
        return voted
    if not kinds.equal(kind, gold, voted.answer):
        return replace(_drop(voted, lambda r: NOT_GOLD), rejected=True)

    def why(r: Rationale) -> Reason:  # latex: equal to the vote is not always equal to what the vote equals
        right = r.answer is not None and kinds.equal(kind, gold, r.answer)
        return "" if right == (r.polarity == "positive") else NOT_GOLD

    return _drop(voted, why)


def _without_near_duplicates(voted: Voted, threshold: float) -> Voted:
    kept: list[frozenset[tuple[str, ...]]] = []
    gone: set[int] = set()
    for r in voted.positives:
        pairs = _pairs(r.text)
        if any(_jaccard(pairs, other) >= threshold for other in kept):
            gone.add(r.number)
        else:
            kept.append(pairs)
    return _drop(voted, lambda r: NEAR_DUPLICATE if r.number in gone else "")


def _pairs(text: str) -> frozenset[tuple[str, ...]]:
    """Neighbouring words, case and white space aside; of a text of one word that word."""
    words = WORD.findall(text.casefold())
    return frozenset(pairwise(words)) if len(words) > 1 else frozenset((w,) for w in words)


def _jaccard(a: frozenset[tuple[str, ...]], b: frozenset[tuple[str, ...]]) -> float:
    """The resemblance of Broder 1997 ("On the resemblance and containment of documents"), in [0, 1]."""
    return len(a & b) / len(a | b) if a | b else 1.0


def _judged(voted: Sequence[Voted], ask: Ask, facts: Counter[str]) -> list[Voted]:
    asked = [(v.example, r) for v in voted for r in v.positives]
    replies = ask([step_judge.messages(example, r.text) for example, r in asked])
    verdicts = [step_judge.sound(r.text, reply) for (_, r), reply in zip(asked, replies, strict=True)]
    facts["judged"] = sum(v is not None for v in verdicts)
    facts["judge unreadable"] = sum(v is None for v in verdicts)
    unsound = {r.number for (_, r), verdict in zip(asked, verdicts, strict=True) if verdict is False}
    return [_drop(v, lambda r: UNSOUND if r.number in unsound else "") for v in voted]


def unread(facts: Mapping[str, float]) -> str | None:
    """What to tell of a judge most of whose replies cannot be read; None where most can."""
    read, lost = int(facts.get("judged", 0)), int(facts.get("judge unreadable", 0))
    if lost <= read:
        return None
    return (
        f"{lost} of {read + lost} replies of the judge of steps cannot be read: those rationales were kept without a "
        "verdict; it must reply one line a step, raise selection.judge.max_tokens or name another model"
    )
