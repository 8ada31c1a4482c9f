"""What the judge of steps will take at most, told before there is a rationale to judge. Asks nobody."""

from collections.abc import Sequence

from engine.records import Example
from engine.spec.teachers import TeacherConfig
from engine.teacher.estimate import Estimate, Span
from engine.teacher.price import price_of
from engine.teacher.tokens import count
from engine.text import in_dollars
from engine.voting.step_judge import MOST_STEPS, messages

PER_STEP = 4
"""Tokens of a step's number, dot and line."""
BYTES_PER_TOKEN = 8
"""Of a rationale, where the judge's tokeniser is not known: what a request reserves is counted in bytes then."""


def estimate_judge(judge: TeacherConfig, teacher: TeacherConfig, asked: Sequence[Example]) -> Estimate:
    """As if every sample were a positive of max_tokens tokens; those that are none, equal or judged before cost
    nothing."""
    longest = teacher.max_tokens + PER_STEP * min(MOST_STEPS, teacher.max_tokens)
    sent = most_sent = 0
    exact = True
    for example in asked:
        counted = count(judge, messages(example, ""))
        exact = exact and counted.exact
        sent += counted.tokens + longest
        most_sent += counted.most + (longest if counted.exact else BYTES_PER_TOKEN * longest)
    sent, most_sent = sent * teacher.samples, most_sent * teacher.samples
    calls = len(asked) * teacher.samples
    written = calls * judge.max_tokens
    price = price_of(judge)
    most_usd = None if price is None else price.cost(most_sent, written)
    return Estimate(
        model=judge.model,
        samples=calls,
        reused=0,
        bought=calls,
        calls=calls,
        input_tokens=sent,
        exact=exact,
        measured=0,
        output_tokens=Span(0, None, written),
        most_output_tokens=written,
        usd=None if most_usd is None else Span(0.0, None, most_usd),
        most_usd=most_usd,
        most_input_tokens=most_sent,
        upper_bound=True,
    )


def lines(found: Estimate) -> list[tuple[str, str]]:
    """The estimate for a person: (label, text)."""
    rows = [
        ("calls", f"up to {found.calls:,}: one for each positive rationale without a stored verdict"),
        ("tokens", f"up to about {found.input_tokens:,} in and {found.most_output_tokens:,} out"),
    ]
    if found.most_usd is None:
        prices = "selection.judge.input_usd_per_million and output_usd_per_million"
        return [*rows, ("price", f"unknown: LiteLLM's list has no {found.model}; give {prices}")]
    return [*rows, ("price", f"from $0 to about {in_dollars(found.most_usd)}" if found.most_usd else "nothing")]
