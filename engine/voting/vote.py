"""Self-consistency: answers parsed, clustered, voted; what is left of a sample is a positive or negative rationale."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from engine.answers import kinds
from engine.answers import pattern as own
from engine.records import Example, Parsed, Polarity, Rationale, Reason, Sample, Voted
from engine.spec.sections import AnswerKind


@dataclass(frozen=True, slots=True)
class Vote:
    """The vote over a whole training set."""

    voted: tuple[Voted, ...]
    """One per example, in order."""
    facts: dict[str, float]
    """What was counted: see `vote`."""
    right_shares: tuple[float, ...]
    """Of each question with gold and samples: the share of its samples that are right."""


def vote(
    examples: Sequence[Example],
    samples: Mapping[str, Sequence[Sample]],
    *,
    kind: AnswerKind,
    tie: Literal["drop", "first"],
    labels: Literal["teacher", "gold"],
    drop_right_negatives: Literal["auto", "never"],
    pattern: str | None = None,
    first_number: int = 0,
    on_example: Callable[[int], None] = lambda done: None,
) -> Vote:
    """Sort every sample into positive, negative, dropped or unparsed.

    Answers are clustered in slot order, each new one compared with the first member of each cluster (equality need be
    neither symmetric nor transitive). The largest cluster wins; what cannot be parsed does not vote. On a tie for the
    largest, "drop" leaves the example without an answer, positives or negatives; "first" takes the earliest cluster.

    labels = "teacher": the winning cluster is positive, the rest negative; gold answers are never looked at for that.
    With drop_right_negatives = "auto" a negative that equals the winner after all is dropped.
    labels = "gold": where an example has a gold answer, samples that equal it are positive and those that differ are
    negative, tie or no tie; where it has none, the vote decides. `Voted.answer` is the vote's in either case.
    A sample that is all answer and no rationale votes and is then dropped: under a min-CE choice it would always win.

    Rationales are numbered from `first_number`, in example order, then slot order. `on_example(examples done)` is
    called after each example.

    Facts: "rule/<rule>" (samples parsed by it; "rule/miss" for the rest), "samples", "empty rationales", "ties" and
    "unanswered" (examples), "positives per example" and "negatives per example" (means over all examples),
    "no negative" (share of the examples with a positive), "right negatives dropped", "timeouts" (latex only), "pattern
    timeouts" (texts that `pattern`, the user's own rule, ran out of its time on); and over what has a gold answer
    "sample right", "sample total", "vote right", "vote total" (an unparsed sample and an
    unanswered question count as wrong), "sample accuracy" and "vote accuracy" where their totals are not 0.
    """
    tally: Counter[str] = Counter({"rule/miss": 0, "ties": 0, "unanswered": 0, "empty rationales": 0})
    timeouts = kinds.timeouts()
    slow = own.timeouts(pattern) if pattern else 0
    voted: list[Voted] = []
    number = first_number
    shares: list[float] = []
    for example in examples:
        mine = sorted(samples.get(example.id, ()), key=lambda s: s.slot)
        parsed = [_parse(kind, s, example, pattern) for s in mine]
        ballot = _count(kind, [p.answer for p in parsed], tie)
        polarities = _polarities(kind, example, parsed, ballot, labels, drop_right_negatives)
        rationales = tuple(
            _rationale(number + i, sample, p, *polarity)
            for i, (sample, p, polarity) in enumerate(zip(mine, parsed, polarities, strict=True))
        )
        number += len(mine)
        voted.append(
            Voted(
                example=example,
                answer=ballot.answer,
                votes=ballot.votes,
                parsed=sum(p.answer is not None for p in parsed),
                tie=ballot.tie,
                positives=tuple(r for r in rationales if r.polarity == "positive"),
                negatives=tuple(r for r in rationales if r.polarity == "negative"),
                others=tuple(r for r in rationales if r.polarity in ("dropped", "unparsed")),
            )
        )
        right = _tally(tally, kind, voted[-1], parsed)
        if right is not None:
            shares.append(right / len(parsed))
        on_example(len(voted))
    if kind == "latex":
        tally["timeouts"] = kinds.timeouts() - timeouts
    if pattern:
        tally["pattern timeouts"] = own.timeouts(pattern) - slow
    return Vote(tuple(voted), _facts(tally, voted), tuple(shares))


def _parse(kind: AnswerKind, sample: Sample, example: Example, pattern: str | None) -> Parsed:
    """The answer is the text's; the rationale too, unless the hidden reasoning is to be it."""
    parsed = kinds.parse(kind, sample.text, example.choices, pattern)
    return parsed if sample.reasoning is None else replace(parsed, rationale=sample.reasoning.strip())


@dataclass(frozen=True, slots=True)
class _Ballot:
    answer: str | None
    votes: int
    tie: bool
    winners: frozenset[int]
    """Positions of the samples in the winning cluster; empty where a tie drops the example."""


def _count(kind: AnswerKind, answers: Sequence[str | None], tie: Literal["drop", "first"]) -> _Ballot:
    clusters: list[list[int]] = []
    for i, answer in enumerate(answers):
        if answer is None:
            continue
        for cluster in clusters:
            first = answers[cluster[0]]
            assert first is not None
            if kinds.equal(kind, first, answer):
                cluster.append(i)
                break
        else:
            clusters.append([i])
    if not clusters:
        return _Ballot(None, 0, False, frozenset())
    most = max(len(c) for c in clusters)
    largest = [c for c in clusters if len(c) == most]
    tied = len(largest) > 1
    if tied and tie == "drop":
        return _Ballot(None, most, True, frozenset())
    return _Ballot(answers[largest[0][0]], most, tied, frozenset(largest[0]))


def _polarities(
    kind: AnswerKind,
    example: Example,
    parsed: Sequence[Parsed],
    ballot: _Ballot,
    labels: Literal["teacher", "gold"],
    drop_right_negatives: Literal["auto", "never"],
) -> list[tuple[Polarity, Reason]]:
    by_gold = labels == "gold" and example.answer is not None
    found: list[tuple[Polarity, Reason]] = []
    for i, p in enumerate(parsed):
        if p.answer is None:
            found.append(("unparsed", ""))
        elif not p.rationale:
            found.append(("dropped", "no rationale"))
        elif ballot.answer is None and not by_gold:
            found.append(("dropped", "no vote"))
        elif by_gold:
            assert example.answer is not None
            found.append(("positive" if kinds.equal(kind, example.answer, p.answer) else "negative", ""))
        elif i in ballot.winners:
            found.append(("positive", ""))
        else:
            assert ballot.answer is not None
            right = drop_right_negatives == "auto" and kinds.equal(kind, ballot.answer, p.answer)
            found.append(("dropped", "right") if right else ("negative", ""))
    return found


def _rationale(number: int, sample: Sample, parsed: Parsed, polarity: Polarity, reason: Reason) -> Rationale:
    return Rationale(
        number=number,
        example_id=sample.example_id,
        text=parsed.rationale,
        answer=parsed.answer,
        rule=parsed.rule,
        polarity=polarity,
        source="minority" if polarity == "negative" else "teacher",
        slot=sample.slot,
        reason=reason,
    )


def _tally(tally: Counter[str], kind: AnswerKind, voted: Voted, parsed: Sequence[Parsed]) -> int | None:
    """Counts one example; how many of its samples are right, None where that cannot be told."""
    tally.update(f"rule/{p.rule}" for p in parsed)
    tally["samples"] += len(parsed)
    tally["empty rationales"] += sum(p.answer is not None and not p.rationale for p in parsed)
    tally["ties"] += voted.tie
    tally["unanswered"] += voted.parsed == 0
    if voted.answer is not None:
        tally["right negatives dropped"] += sum(r.reason == "right" for r in voted.others)
    gold = voted.example.answer
    if gold is None or not parsed:
        return None
    right = sum(p.answer is not None and kinds.equal(kind, gold, p.answer) for p in parsed)
    tally["sample total"] += len(parsed)
    tally["sample right"] += right
    tally["vote total"] += 1
    tally["vote right"] += voted.answer is not None and kinds.equal(kind, gold, voted.answer)
    return right


def _facts(tally: Counter[str], voted: Sequence[Voted]) -> dict[str, float]:
    names = ("samples", "right negatives dropped", "sample right", "sample total", "vote right", "vote total")
    facts = {name: float(tally[name]) for name in sorted({*tally, *names})}
    facts |= balance(voted)
    for what in ("sample", "vote"):
        if facts[f"{what} total"]:
            facts[f"{what} accuracy"] = facts[f"{what} right"] / facts[f"{what} total"]
    return facts


def balance(voted: Sequence[Voted]) -> dict[str, float]:
    """How many positives and negatives there are; nothing where there are no examples."""
    facts: dict[str, float] = {}
    if voted:
        facts["positives per example"] = sum(len(v.positives) for v in voted) / len(voted)
        facts["negatives per example"] = sum(len(v.negatives) for v in voted) / len(voted)
    with_positive = [v for v in voted if v.positives]
    if with_positive:
        facts["no negative"] = sum(not v.negatives for v in with_positive) / len(with_positive)
    return facts
