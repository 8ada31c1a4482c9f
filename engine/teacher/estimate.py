"""What sampling will take, told before anything is spent: calls, tokens, price. Asks no teacher."""

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import starmap
from pathlib import Path

from engine.evaluation.intervals import t_interval
from engine.records import Example
from engine.spec.run import RunSpec
from engine.spec.teachers import TeacherConfig
from engine.store.connect import open_reader
from engine.store.ledger.ledger import stored_keys
from engine.teacher import client
from engine.teacher.batches import api
from engine.teacher.budget import check_budget
from engine.teacher.price import Price, price_of
from engine.teacher.requests import Request, requests_for, slot_key, units
from engine.teacher.tokens import count
from engine.text import in_dollars

LATEST = 2000
"""Samples of the same model that its usual length is taken from, the newest."""


@dataclass(frozen=True, slots=True)
class Span:
    """A number and its range."""

    low: float
    expected: float | None
    """None: nothing is known but the range."""
    high: float


@dataclass(frozen=True, slots=True)
class Estimate:
    """For one teacher; several runs that ask the same count once."""

    model: str
    samples: int
    """Wanted."""
    reused: int
    """Of those, already in the database."""
    bought: int
    """To be bought; questions that ask the same share theirs."""
    calls: int
    """Without retries."""
    input_tokens: int
    exact: bool
    """Whether the input was counted with the model's own tokeniser."""
    measured: int
    """Samples in the database that the length of the model's answers is taken from; below 2 nothing is known of it."""
    output_tokens: Span
    most_output_tokens: int
    """If every answer were cut at max_tokens."""
    usd: Span | None
    """None: the price is unknown."""
    most_usd: float | None
    other_usd: Span | None = None
    """Through the provider's batch API where `teacher.batch` is off, without it where it is on; None: there is none, or
    its price is unknown. So the next."""
    other_most_usd: float | None = None
    most_input_tokens: int = 0
    """More than any tokeniser makes of it; what a request reserves."""
    upper_bound: bool = False
    """Whether all of it may turn out not to be asked: of a judge, before there is anything to judge."""
    api_base: str | None = None
    batch: bool = False
    max_tokens: int = 0
    """Of one answer, the largest limit."""


def estimate(asked: Sequence[tuple[RunSpec, Sequence[Example]]], database: Path) -> list[Estimate]:
    """Of all these runs with the questions that each asks, by teacher. Raises UsageError as `client.check` does."""
    requests: dict[tuple[object, ...], Request] = {}
    for spec, examples in asked:
        for request in requests_for(spec.teacher, spec.data.answer, examples):
            known = requests.setdefault((request.key, _seller(request.teacher)), request)
            known.slots = tuple(sorted({*known.slots, *request.slots}))
    by_teacher: dict[tuple[object, ...], list[Request]] = {}
    for request in requests.values():
        by_teacher.setdefault(_seller(request.teacher), []).append(request)
    stored, lengths = _look_up(database, list(requests.values()))
    return list(starmap(_estimate, ((found, stored, lengths) for found in by_teacher.values())))


def _seller(teacher: TeacherConfig) -> tuple[object, ...]:
    """What tells one that is paid from another; what a run asks of it may differ."""
    prices = (teacher.input_usd_per_million, teacher.output_usd_per_million)
    return teacher.model, teacher.api_base, teacher.api_key_env, teacher.api_key_keyring, teacher.batch, *prices


def _estimate(requests: Sequence[Request], stored: set[bytes], lengths: Mapping[str, Sequence[int]]) -> Estimate:
    teacher = requests[0].teacher
    client.check(teacher)
    price = price_of(teacher)
    check_budget(teacher, price)
    if teacher.batch:
        api.check(teacher)
    together = client.accepts_n(teacher)
    samples = reused = calls = sent = most_sent = most_written = bought = 0
    exact = True
    for request in requests:
        samples += len(request.slots) * len(request.examples)
        for slot in request.slots:
            if slot_key(request.key, slot) in stored or (
                request.older_key is not None and slot_key(request.older_key, slot) in stored
            ):
                request.texts[slot] = ""
                reused += len(request.examples)
        for unit in units(request, together):
            counted = count(teacher, request.messages)
            exact = exact and counted.exact
            calls += 1
            sent += counted.tokens
            most_sent += counted.most
            bought += len(unit.slots)
            most_written += len(unit.slots) * request.teacher.max_tokens
    known = lengths.get(teacher.model, ())
    written = _written(known, bought, most_written)
    usd, most_usd = _price(price, sent, most_sent, written, most_written)
    other = teacher.model_copy(update={"batch": not teacher.batch})
    # of a server of one's own nobody knows whether it takes batches, unless the run says so
    batches = api.provider(teacher) in api.PROVIDERS and (teacher.batch or not teacher.api_base)
    known_other = price_of(other) if batches else None
    return Estimate(
        teacher.model, samples, reused, bought, calls, sent, exact, len(known), written, most_written, usd, most_usd,
        *_price(known_other, sent, most_sent, written, most_written), most_sent,
        api_base=teacher.api_base, batch=teacher.batch, max_tokens=max(r.teacher.max_tokens for r in requests),
    )  # fmt: skip


def _price(
    price: Price | None, sent: int, most_sent: int, written: Span, most_written: int
) -> tuple[Span | None, float | None]:
    """In US dollars, with the most that it can be, which is what requests reserve; None where the price is unknown."""
    if price is None:
        return None, None
    fixed = price.input * sent
    expected = None if written.expected is None else fixed + price.output * written.expected
    most = price.input * most_sent + price.output * most_written
    high = most if expected is None else fixed + price.output * written.high
    return Span(fixed + price.output * written.low, expected, high), most


def _written(known: Sequence[int], samples: int, most: int) -> Span:
    """Tokens of so many answers: their mean's 95 % t interval times the number, else from 1 to max_tokens each."""
    interval = t_interval([float(n) for n in known])
    if interval is None or not samples:
        return Span(samples, None, most)
    low, high = interval
    mean = sum(known) / len(known)
    return Span(max(samples, low * samples), mean * samples, min(most, high * samples))


def _look_up(database: Path, requests: Sequence[Request]) -> tuple[set[bytes], dict[str, list[int]]]:
    """Keys of what is stored, and by model the tokens of its latest samples; nothing where there is no database yet."""
    if not database.exists() or not database.stat().st_size:
        return set(), {}
    keys = [
        slot_key(key, slot) for r in requests for key in (r.key, r.older_key) if key is not None for slot in r.slots
    ]
    with closing(open_reader(database)) as conn:
        models = dict.fromkeys(r.teacher.model for r in requests)
        return stored_keys(conn, keys), {model: _lengths(conn, model) for model in models}


def _lengths(conn: sqlite3.Connection, model: str) -> list[int]:
    rows = conn.execute(
        "SELECT output_tokens FROM samples WHERE model = ? AND output_tokens > 0 ORDER BY id DESC LIMIT ?",
        (model, LATEST),
    )
    return [row[0] for row in rows]


def lines(found: Estimate) -> list[tuple[str, str]]:
    """The estimate for a person: (label, text)."""
    text = f"{found.samples:,} wanted, {found.reused:,} of them are in the database already, {found.bought:,} to buy"
    rows = [("samples", text), ("calls", f"{found.calls:,}, without retries")]
    if not found.calls or found.most_usd == 0:
        return [*rows, ("price", "nothing")]
    how = "counted with the model's tokeniser" if found.exact else "an estimate: its tokeniser is not at hand"
    rows.append(("input", f"{found.input_tokens:,} tokens, {how}"))
    out, limit = found.output_tokens, f"{found.most_output_tokens:,} if every answer were cut at {found.max_tokens}"
    if out.expected is None:
        pilot = "`qcrd sample --pilot N` learns the length from N calls"
        rows.append(("output", f"from {out.low:,.0f} tokens to {limit}; {pilot}"))
    else:
        span = f"about {out.expected:,.0f} tokens ({out.low:,.0f} to {out.high:,.0f}"
        rows.append(("output", f"{span}, from {found.measured:,} samples of this model in the database); {limit}"))
    if found.usd is None or found.most_usd is None:
        wanted = f"batch price of {found.model}" if found.batch else found.model
        rows.append(
            (
                "price",
                f"unknown: LiteLLM's list has no {wanted}; give teacher.input_usd_per_million and "
                "output_usd_per_million",
            )
        )
    else:
        rows.append(("price", dollars(found.usd, found.most_usd) + (", in batches" if found.batch else "")))
    if found.other_usd is not None and found.other_most_usd is not None:
        how = "each request by itself" if found.batch else "through the provider's batch API (teacher.batch = true)"
        rows.append(("", f"{dollars(found.other_usd, found.other_most_usd)}, {how}"))
    return rows


def dollars(price: Span, most: float) -> str:
    """A price for a person."""
    low, high, greatest = in_dollars(price.low), in_dollars(price.high), in_dollars(most)
    if price.expected is None:
        return f"from {low} to {greatest}"
    return f"about {in_dollars(price.expected)} ({low} to {high}); {greatest} at most"
