"""A ledger for runs of the seeded database: answered, failed, lost, in a batch; `ledger(path)` adds it."""

import json
import sqlite3
import zlib
from pathlib import Path

from engine.store.texts import store_texts
from tests.seeded import NOW, question

TURNS = [
    {"role": "system", "content": "Solve the problem step by step."},
    {"role": "user", "content": "sam has 2 pens. then he finds 3. how many pens?"},
    {"role": "assistant", "content": "<Explanation>: 2 plus 3 makes 5. <Answer>: 5"},
]
SPEC = {"teacher": {"model": "gpt-4o-mini", "budget_usd": 2.0, "budget_calls": 500, "concurrency": 16}}
FAULTS = (
    ("rate-limit", 429, "Rate limit reached for requests; try again in 1s"),
    ("timeout", None, "no answer within 60 s"),
    ("server", 503, "upstream connect error"),
)


def ledger(path: Path) -> Path:
    """Run 8 (running) buys of gpt-4o-mini: 60 requests, 3 of them under way; of run 6 (stale) two are in doubt."""
    con = sqlite3.connect(path)
    con.execute(
        "UPDATE runs SET spec = json_patch(spec, ?), teacher = 'gpt-4o-mini' WHERE id IN (6, 8)", (json.dumps(SPEC),)
    )
    for i in range(60):
        state = "sent" if i >= 57 else "failed" if i == 40 else "pending" if i == 56 else "done"
        request(con, 8, i, state, NOW - 90 + 1.5 * i, fault=FAULTS[i % 3] if i % 9 == 4 or i in (40, 56) else None)
    con.execute(
        "INSERT INTO batches (id, run_id, tag, model, state, provider_id, status, lines, lines_done, lines_failed,"
        " created_at) VALUES (1, 6, 't', 'gpt-4o-mini', 'submitted', 'batch_7', 'in_progress', 4, 1, 0, ?)",
        (NOW - 11000,),
    )
    for i in range(3):
        request(con, 6, i, "done" if i else "in_doubt", NOW - 10900 + i, fault=None)
    request(con, 6, 3, "sent", NOW - 10801, fault=None)
    con.commit()
    con.close()
    return path


def request(
    con: sqlite3.Connection, run_id: int, i: int, state: str, at: float, fault: tuple[str, int | None, str] | None
) -> None:
    """One request with its tries: where there is a fault, the first of them."""
    key, text, gold = question(i % 40)
    asked = store_texts(con, [json.dumps(TURNS), text], "messages")
    number = con.execute(
        "INSERT INTO requests (run_id, purpose, example, model, asked, slots, state, input_tokens, greatest_usd,"
        " created_at, turns_id, message_id) VALUES (?, 'sample', ?, 'gpt-4o-mini', x'00', '[0, 1]', ?, 80, 0.0007,"
        " ?, ?, ?)",
        (run_id, key, state, at, *asked),
    ).lastrowid
    tries = 0
    if fault is not None:
        tries += 1
        kind, status, message = fault
        attempt(con, run_id, number, key, tries, "failed", at, at + 0.4, status, f"{kind}: {message}", 0)
    if state in ("failed", "pending"):
        return
    lost = "the worker ended before the answer came" if state == "in_doubt" else None
    ends = at + 1.2 + i % 5 / 10 if state != "sent" else None
    tried = {"in_doubt": "failed"}.get(state, state)
    row = attempt(con, run_id, number, key, tries + 1, tried, at + 0.5, ends, 200 if state == "done" else None, lost,
                  1 if state == "done" else None)  # fmt: skip
    if state != "done":
        return
    words = f"<Explanation>: we count the things. <Answer>: {gold}"
    raw = {
        "id": f"chatcmpl-{number}",
        "model": "gpt-4o-mini-2024-07-18",
        "choices": [
            {"index": n, "finish_reason": "stop", "message": {"role": "assistant", "content": words}} for n in range(2)
        ],
        "usage": {"prompt_tokens": 80, "completion_tokens": 64},
    }
    con.execute(
        "INSERT INTO responses (attempt_id, received_at, model, provider_id, input_tokens, output_tokens,"
        " reasoning_tokens, price_usd, raw) VALUES (?, ?, ?, ?, 80, 64, NULL, 0.00005, ?)",
        (row, ends, raw["model"], raw["id"], zlib.compress(json.dumps(raw).encode())),
    )


def attempt(
    con: sqlite3.Connection, run_id: int, request_id: int | None, key: str, number: int, state: str, sent: float,
    ended: float | None, status: int | None, error: str | None, billed: int | None,
) -> int | None:  # fmt: skip
    """One try."""
    return con.execute(
        "INSERT INTO attempts (run_id, example, slots, attempt, state, sent_at, ended_at, status, error, request_id,"
        " greatest_usd, greatest_tokens, billed) VALUES (?, ?, 2, ?, ?, ?, ?, ?, ?, ?, 0.0007, 1100, ?)",
        (run_id, key, number, state, sent, ended, status, error, request_id, billed),
    ).lastrowid
