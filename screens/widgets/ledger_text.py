"""The teachers' ledger as text: queue, spending, failures, and one request whole. Pure functions."""

import json
import math
import statistics
import time
from collections.abc import Sequence

from textual.content import Content

from engine.store.ledger.requests import STATES, Batch, Budget, LedgerSeen, RequestRow, RequestSeen, Spending, Try
from engine.teacher.outcome import SECRET_LOOK
from screens.widgets.grid import GridColumn
from screens.widgets.words import UNKNOWN, count, line, paragraph, three

SIGNS = {
    "pending": ("◌", "dim"),
    "sent": ("●", "$text-primary"),
    "done": ("✓", "$text-success"),
    "failed": ("✗", "$text-error"),
    "in_doubt": ("?", "$text-warning"),
}
WORDS = {"sent": "under way", "in_doubt": "in doubt"}
MESSAGE_LENGTH = 6000
"""Characters of a message, and of an answer, that are shown."""
RAW_LENGTH = 20_000


def word(state: str) -> str:
    """A request's state as people say it."""
    return WORDS.get(state, line(state, 20))


def usd(value: float | None) -> str:
    """Dollars with three digits that count, to the millionth: what a sample costs is told, too."""
    if value is None:
        return UNKNOWN
    if value <= 0 or value >= 1:
        return f"${value:,.2f}".replace(",", " ")
    return f"${value:.{min(6, 2 - math.floor(math.log10(value)))}f}"


def price(value: float | None) -> str:
    """What was paid for something; nothing is free."""
    return "free" if value == 0 else usd(value)


def seconds(value: float | None) -> str:
    """0.42 s; 75 s."""
    return UNKNOWN if value is None else f"{value:.1f} s" if value < 10 else f"{value:.0f} s"


def queue(seen: LedgerSeen) -> Content:
    """Requests by state, a line each, then pace and tries."""
    parts = []
    most = sum(b.concurrency for _, b in seen.budgets if b.concurrency) if len(seen.budgets) == 1 else 0
    for state in STATES:
        sign, style = SIGNS[state]
        number = seen.in_state(state)
        text = f"{count(number):>8}  {word(state)}"
        if state == "sent" and most and number:
            text += f" (at most {most})"
        if state == "in_doubt" and number:
            known = "unknown price" if seen.doubt_usd is None else f"at most {usd(seen.doubt_usd)}"
            text += f": {known}"
        parts.append(Content.assemble((f"{sign} ", style), (text, "" if number else "dim")))
    rate = UNKNOWN if seen.rate is None else f"{three(seen.rate)} answers/min"
    took = statistics.median(t for _, t in seen.answered) if seen.answered else None
    parts.append(Content(f"{rate} · {seconds(took)} each"))
    parts.append(Content(f"{count(seen.tries)} tries, {count(seen.retries)} retries"))
    return Content("\n").join(parts)


def spending(seen: LedgerSeen, one_run: bool) -> Content:
    """A line a run and model, the budget below it."""
    if not seen.spending:
        return Content.styled("nothing bought or reused", "dim")
    budgets = dict(seen.budgets)
    parts, last = [], None
    for row in seen.spending[:50]:
        if row.run_id != last and not one_run:
            parts.append(Content.styled(f"run {row.run_id}", "bold"))
        last = row.run_id
        parts.append(_spent(row))
        if one_run and row is seen.spending[-1]:
            continue
    for run_id in dict.fromkeys(row.run_id for row in seen.spending):
        limits = _limits(budgets.get(run_id), [row for row in seen.spending if row.run_id == run_id])
        if limits:
            parts.append(Content(limits if one_run else f"run {run_id} {limits}"))
    if len(seen.spending) > 50:
        parts.append(Content.styled(f"50 of {count(len(seen.spending))}; SQL: teacher_spend has all", "dim"))
    return Content("\n").join(parts)


def _spent(row: Spending) -> Content:
    certain = not row.unknown_prices and not row.in_doubt
    paid = price(row.price_usd or 0.0) if certain else usd(row.price_usd)
    rest = f" {count(row.calls)} calls"
    if row.input_tokens is not None or row.output_tokens is not None:
        rest += f" · {count(row.input_tokens)} + {count(row.output_tokens)} tokens"
    if row.unknown_prices:
        rest += f" · {count(row.unknown_prices)} of unknown price"
    if row.reused:
        rest += f" · {count(row.reused)} reused"
    doubt = f" · {count(row.in_doubt)} in doubt: at most {usd(row.in_doubt_usd)}" if row.in_doubt else ""
    return Content.assemble((line(row.model, 40), ""), " ", (paid, "bold"), (rest, "dim"), (doubt, "$text-warning"))


def _limits(budget: Budget | None, rows: Sequence[Spending]) -> str:
    """What a run has spent of what it may; what is in doubt counts at the most that it can have cost."""
    if budget is None:
        return ""
    parts = []
    if budget.usd is not None:
        parts.append(f"{usd(sum((r.price_usd or 0) + (r.in_doubt_usd or 0) for r in rows))} of {usd(budget.usd)}")
    if budget.tokens is not None:
        used = sum((r.input_tokens or 0) + (r.output_tokens or 0) for r in rows)
        parts.append(f"{count(used)} of {count(budget.tokens)} tokens")
    if budget.calls is not None:
        parts.append(f"{count(sum(r.calls for r in rows))} of {count(budget.calls)} calls")
    return "budget " + ", ".join(parts) if parts else ""


def failures(seen: LedgerSeen) -> Content:
    """A line a kind, the newest one's words; then the batches."""
    parts = []
    for failure in seen.failures:
        status = f" {failure.status}" if failure.status else ""
        head = (f"{count(failure.tries):>5} {line(failure.kind, 20)}{status}  ", "$text-error")
        said = failure.last.partition(": ")[2] or failure.last
        parts.append(Content.assemble(head, (line(hidden(said), 160), "dim")))
    if not parts:
        parts.append(Content.styled("no try failed", "dim"))
    parts += [_batch(batch) for batch in seen.batches]
    return Content("\n").join(parts)


def _batch(batch: Batch) -> Content:
    told = f"batch {batch.id} · {batch.state} · {line(batch.status, 30)} · {count(batch.done)} of {count(batch.lines)}"
    failed = f", {count(batch.failed)} failed" if batch.failed else ""
    error = f" · {line(hidden(batch.error), 160)}" if batch.error else ""
    return Content.assemble(told, failed, (error, "$text-error"))


def columns(width: int, one_run: bool) -> tuple[GridColumn, ...]:
    """Of the list of requests, as many as fit."""
    found = [
        *([] if one_run else [GridColumn("run", 4, right=True)]),
        GridColumn("request", 7, right=True),
        GridColumn("state", 11),
        GridColumn("example", 16),
        GridColumn("tries", 5, right=True),
        GridColumn("took", 6, right=True),
        GridColumn("price", 10, right=True),
    ]
    more = [GridColumn("tokens", 6, right=True), GridColumn("at", 8), GridColumn("model", 20)]
    room = width - sum(column.width + 2 for column in found)
    while more and room >= more[0].width + 2 + (22 if len(more) == 1 else 0):
        room -= more[0].width + 2
        found.append(more.pop(0))
    if room >= 16:
        found.append(GridColumn("error", min(60, room)))
    return tuple(found)


def cells(row: RequestRow, names: Sequence[str]) -> tuple[str, ...]:
    """A row of that list."""
    took = None if row.sent_at is None or row.ended_at is None else row.ended_at - row.sent_at
    texts = {
        "run": str(row.run_id),
        "request": str(row.id),
        "state": f"{SIGNS[row.state][0]} {word(row.state)}",
        "example": line(row.example, 16),
        "tries": count(row.tries),
        "took": seconds(took),
        "price": price(row.price_usd) if row.state != "in_doubt" else f"≤{usd(row.greatest_usd)}",
        "tokens": count(row.output_tokens),
        "at": clock(row.sent_at),
        "model": line(row.model, 20),
        "error": line(hidden(row.error or ""), 60),
    }
    return tuple(texts[name] for name in names)


def clock(at: float | None) -> str:
    """The local time of day."""
    return UNKNOWN if at is None else time.strftime("%H:%M:%S", time.localtime(at))


def hidden(text: str) -> str:
    """Without anything that looks like a key: what is stored has had the teacher's removed, not what another echoed."""
    return SECRET_LOOK.sub("[redacted]", text)


def whole(seen: RequestSeen) -> Content:
    """A request as it was sent and came back."""
    row = seen.row
    sign, style = SIGNS[row.state]
    slots = line(row.slots.strip("[]"), 60)
    parts = [
        Content.assemble(
            (f"{sign} {word(row.state)}", style),
            f"  {line(row.purpose, 20)} {slots} of {line(row.example, 80)}  {line(row.model, 80)}  run {row.run_id}",
        )
    ]
    parts += [_try(one, row.state) for one in seen.tries]
    parts.append(Content(""))
    if seen.messages is None:
        parts.append(Content.styled("sent: an earlier version of qcrd did not keep the messages; the question:", "dim"))
        parts.append(Content(paragraph(seen.question or UNKNOWN, MESSAGE_LENGTH)))
    else:
        parts.append(Content.styled("sent", "bold"))
        for role, text in seen.messages:
            parts.append(Content.styled(line(role, 20), "$text-primary"))
            parts.append(Content(paragraph(hidden(text), MESSAGE_LENGTH)))
    for one in seen.tries:
        if one.raw is not None:
            parts += [Content(""), Content.styled(f"came back, try {one.number}", "bold"), Content(pretty(one.raw))]
    return Content("\n").join(parts)


def _try(one: Try, state: str) -> Content:
    sign, style = SIGNS["in_doubt" if state == "in_doubt" and one.billed is None else one.state]
    took = None if one.ended_at is None else one.ended_at - one.sent_at
    told = [f"try {one.number}", clock(one.sent_at), seconds(took)]
    if one.status is not None:
        told.append(f"HTTP {one.status}")
    if one.batch is not None:
        told.append(f"batch {one.batch}")
    if one.billed:
        tokens = f"{count(one.input_tokens)} + {count(one.output_tokens)} tokens"
        thought = f" ({count(one.reasoning_tokens)} of reasoning)" if one.reasoning_tokens else ""
        told += [price(one.price_usd), tokens + thought, line(one.answered_by, 60), line(one.provider_id, 60)]
    else:
        told.append("not billed" if one.billed is False else f"may be billed, at most {usd(one.greatest_usd)}")
    error = f"\n    {line(hidden(one.error), 400)}" if one.error else ""
    return Content.assemble((f"{sign} ", style), " · ".join(told), (error, "$text-error"))


def pretty(raw: str) -> str:
    """JSON with its lines, cleaned; what is none as it is."""
    text = hidden(raw)
    try:
        text = json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return paragraph(text, RAW_LENGTH)
    return paragraph(text, RAW_LENGTH)
