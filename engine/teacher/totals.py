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
    calls = sum(one.calls for one in found)
    least_calls = sum(one.calls for one in found if not one.upper_bound)
    least_tokens = sum(_likely(one.output_tokens) + one.input_tokens for one in found if not one.upper_bound)
    most_tokens = sum(one.most_input_tokens + one.most_output_tokens for one in found)
    least_usd = sum(_likely(one.usd) for one in found if one.usd is not None and not one.upper_bound)
    most_usd = sum(one.most_usd or 0.0 for one in found)
    told = []
    for name, limit, likely, most in (
        ("calls", limits.budget_calls, least_calls, calls),
        ("tokens", limits.budget_tokens, least_tokens, most_tokens),
        ("usd", limits.budget_usd, least_usd, most_usd),
    ):
        if limit is None or most <= limit:
            continue
        sure = likely > limit
        need = likely if sure else most
        at = limit if name == "calls" else int(calls * limit / need)
        word = "would" if sure else "may"
        told.append(
            f"teacher.budget_{name} = {limit:,g} is too little: the run {word} stop at about {at:,g} of {calls:,} calls"
        )
    return told


def _likely(span: Span) -> float:
    return span.low if span.expected is None else span.expected
