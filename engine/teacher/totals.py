"""All that a run will buy, added up: what it costs in total, and where its budget would end it."""

from collections.abc import Sequence

from engine.spec.teachers import TeacherConfig
from engine.teacher.estimate import Estimate, Span, dollars


def total(found: Sequence[Estimate]) -> str | None:
    """The price over all teachers and the judge; None for one alone, or where a price is unknown."""
    if len(found) < 2:
        return None
    low = high = most = 0.0
    expected: float | None = 0.0
    for one in found:
        if one.usd is None or one.most_usd is None:
            return f"unknown: nobody knows the price of {one.model}"
        low, high, most = low + one.usd.low, high + one.usd.high, most + one.most_usd
        expected = None if expected is None or one.usd.expected is None else expected + one.usd.expected
    return dollars(Span(low, expected, high), most)


def beyond(limits: TeacherConfig, found: Sequence[Estimate]) -> list[str]:
    """For each limit that the run may not stay within: at which of its calls it would stop.

    Reckoned with the expected where it is known, else with the least, and where that fits with the most ("may stop").
    """
    sure = [one for one in found if not one.upper_bound]
    calls = sum(one.calls for one in found)
    told = []
    for name, limit, likely, most in (
        ("calls", limits.budget_calls, [float(one.calls) for one in sure], [float(one.calls) for one in found]),
        (
            "tokens",
            limits.budget_tokens,
            [one.input_tokens + _likely(one.output_tokens) for one in sure],
            [float(one.most_input_tokens + one.most_output_tokens) for one in found],
        ),
        (
            "usd",
            limits.budget_usd,
            [_likely(one.usd) if one.usd else 0.0 for one in sure],
            [one.most_usd or 0.0 for one in found],
        ),
    ):
        if limit is None or sum(most) <= limit:
            continue
        word, needs = ("would", likely) if sum(likely) > limit else ("may", most)
        at = _calls_within(limit, [one.calls for one in found], needs)
        told.append(
            f"teacher.budget_{name} = {limit:,g} is too little: the run {word} stop at about {at:,} of {calls:,} calls"
        )
    return told


def _calls_within(limit: float, calls: Sequence[int], needs: Sequence[float]) -> int:
    """How many calls a limit is enough for, taken in this order: the judge comes last."""
    made = 0
    for many, need in zip(calls, needs, strict=False):
        if need > limit:
            return made + int(many * limit / need)
        made, limit = made + many, limit - need
    return made


def _likely(span: Span) -> float:
    return span.low if span.expected is None else span.expected
