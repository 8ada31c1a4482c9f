"""The ledger as it is looked at: every number against a count of the rows by hand."""

import json
import sqlite3
from pathlib import Path

import pytest

from engine.store.ledger.requests import PAGE, STATES, read_ledger, read_request, unpacked, with_clock
from engine.store.ledger.rows import Asked, Begun, begin_many
from engine.store.schema.views import STALE_AFTER
from tests.seeded import NOW, build, question
from tests.seeded_ledger import TURNS, ledger


@pytest.fixture(scope="module")
def con(tmp_path_factory: pytest.TempPathFactory) -> sqlite3.Connection:
    return sqlite3.connect(ledger(build(tmp_path_factory.mktemp("ledger") / "x.db")))


def test_a_run_that_works(con: sqlite3.Connection) -> None:
    seen = with_clock(read_ledger(con, 8, None, 0), NOW)
    assert {state: seen.in_state(state) for state in STATES} == {
        "pending": 1,
        "sent": 3,
        "done": 55,
        "failed": 1,
        "in_doubt": 0,
    }
    states = [(i, "failed" if i == 40 else "pending" if i == 56 else "x") for i in range(60)]
    faults = [i for i, state in states if i % 9 == 4 or state in ("failed", "pending")]
    tries = 60 + len([i for i in faults if i not in (40, 56)])
    assert (seen.tries, seen.retries) == (tries, len(faults) - 2)
    assert len(seen.answered) == 55
    ended = [NOW - 90 + 1.5 * i + 1.2 + i % 5 / 10 for i, _ in states if i < 56 and i != 40]
    assert seen.rate == sum(NOW - 60 < at <= NOW for at in ended)
    assert sorted((f.kind, f.status, f.tries) for f in seen.failures) == sorted(
        {
            (kind, status, len([i for i in faults if i % 3 == which]))
            for which, (kind, status) in enumerate((("rate-limit", 429), ("timeout", None), ("server", 503)))
            if any(i % 3 == which for i in faults)
        },
        key=str,
    )
    (spent,) = seen.spending
    assert (spent.model, spent.input_tokens) == ("gpt-4o-mini", 55 * 80)
    assert spent.price_usd == pytest.approx(55 * 0.00005)
    assert dict(seen.budgets)[8].usd == 2.0
    assert [row.id for row in seen.listed] == list(range(60, 0, -1))
    assert seen.listed_of == 60


def test_what_a_dead_worker_had_sent_is_in_doubt_by_the_clock_alone(con: sqlite3.Connection) -> None:
    read = read_ledger(con, 8, "in_doubt", 0)
    alive, dead = with_clock(read, NOW), with_clock(read, NOW + STALE_AFTER + 1)
    assert (alive.in_state("in_doubt"), alive.doubt_usd, alive.listed, alive.listed_of) == (0, 0, (), 0)
    assert (dead.in_state("in_doubt"), dead.in_state("sent"), dead.listed_of) == (3, 0, 3)
    assert dead.doubt_usd == pytest.approx(3 * 0.0007)
    assert [row.state for row in dead.listed] == ["in_doubt"] * 3
    assert with_clock(read, NOW + 1000).rate is None
    stale = with_clock(read_ledger(con, 6, None, 0), NOW)
    assert stale.in_state("in_doubt") == 2
    assert stale.doubt_usd == pytest.approx(2 * 0.0007)
    assert stale.batches[0].lines == 4


def test_a_line_of_a_batch_waits_for_the_provider_and_not_for_us(tmp_path: Path) -> None:
    con = sqlite3.connect(ledger(build(tmp_path / "x.db")))
    con.execute("UPDATE attempts SET batch_id = 1 WHERE run_id = 6 AND state = 'sent'")
    seen = with_clock(read_ledger(con, 6, None, 0), NOW)
    assert (seen.in_state("sent"), seen.in_state("in_doubt")) == (1, 1)
    assert seen.listed[0].state == "sent"
    con.close()


def test_an_unknown_price_is_unknown(tmp_path: Path) -> None:
    con = sqlite3.connect(ledger(build(tmp_path / "x.db")))
    con.execute("UPDATE requests SET greatest_usd = NULL WHERE run_id = 6 AND state = 'in_doubt'")
    assert with_clock(read_ledger(con, 6, None, 0), NOW).doubt_usd is None
    con.close()


def test_all_runs_and_pages(con: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.store.ledger.requests.PAGE", 10)
    assert PAGE == 1000
    pages = [with_clock(read_ledger(con, None, None, page), NOW) for page in range(8)]
    assert [row.id for page in pages for row in page.listed] == list(range(64, 0, -1))
    assert [row.state for row in with_clock(read_ledger(con, None, "failed", 0), NOW).listed] == ["failed"]


def test_a_request_whole(con: sqlite3.Connection) -> None:
    seen = read_request(con, 5)
    assert seen is not None
    assert seen.question == question(4)[1]
    assert seen.messages == (*((t["role"], t["content"]) for t in TURNS), ("user", question(4)[1]))
    assert [(t.number, t.state, t.billed) for t in seen.tries] == [(1, "failed", 0), (2, "done", 1)]
    assert json.loads(seen.tries[1].raw or "")["id"] == "chatcmpl-5"
    assert read_request(con, 5000) is None


def test_the_messages_of_a_request_are_kept_and_the_worked_examples_once(tmp_path: Path) -> None:
    con = sqlite3.connect(build(tmp_path / "x.db"))
    for example in ("a", "b"):
        messages = [*TURNS, {"role": "user", "content": f"what of {example}?"}]
        begin_many(con, [Begun(8, Asked("sample", example, "m", b"k", (0,), messages=messages), 1)])
    begin_many(con, [Begun(8, Asked("judge", "c", "m", b"k", (0,), messages=[{"role": "user", "content": "?"}]), 1)])
    first, second, third = (read_request(con, i) for i in (1, 2, 3))
    assert first is not None
    assert second is not None
    assert third is not None
    assert first.messages == (*((t["role"], t["content"]) for t in TURNS), ("user", "what of a?"))
    assert second.messages[-1] == ("user", "what of b?")
    assert third.messages == (("user", "?"),)
    assert con.execute("SELECT count(*) FROM messages").fetchone()[0] == 2 + 3  # two lists, three questions
    assert con.execute("SELECT count(*) FROM texts WHERE text LIKE 'what of %'").fetchone()[0] == 0
    con.execute("UPDATE requests SET turns_id = NULL, message_id = NULL")
    assert read_request(con, 1).messages is None
    con.close()


def test_what_is_damaged_is_said() -> None:
    assert unpacked(None) is None
    assert "cannot be read" in (unpacked(b"no zlib") or "")
