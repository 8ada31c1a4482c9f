"""Sampling against a real HTTP server on 127.0.0.1: every fault a row, nothing bought twice, nothing paid for lost."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from engine.data.arithmetic import generate
from engine.errors import Interrupted, QcrdError, UsageError
from engine.records import Example, Sample
from engine.spec.run import RunSpec
from engine.spec.sections import ArithmeticConfig
from engine.spec.teachers import TeacherConfig
from engine.store.ledger.ledger import Ledger
from engine.store.ledger.rows import Asked
from engine.store.writer import Writer
from engine.teacher.builtin import answer
from engine.teacher.sampling import sample
from tests.engine.teacher.openai_server import FAULTS, serve

KEY = "very-secret-0123456789"
EXAMPLES = generate(0, ArithmeticConfig(train=12, validation=1, test=1, unseen=1)).splits["train"]


class NoOrders:
    def poll(self) -> None:
        pass


class StopAfter:
    """Asks to stop at the poll number `polls`."""

    def __init__(self, polls: int) -> None:
        self.polls = polls

    def poll(self) -> None:
        self.polls -= 1
        if self.polls < 0:
            raise Interrupted("asked to stop")


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QCRD_TEST_KEY", KEY)


@contextmanager
def ledger(folder: Path, run: int = 1) -> Iterator[Ledger]:
    with Writer(folder / "experiments.db") as writer:
        writer.execute(
            "INSERT OR IGNORE INTO runs (id, name, status, method, dataset, teacher, student, seed, spec, folder, "
            "created_at, steps, iterations) VALUES (?, 'r', 'running', 'qcrd', 'd', 't', 's', 0, '{}', '', 0, 1, 1)",
            (run,),
        )
        yield Ledger(writer, run)


def spec(url: str, **teacher: object) -> RunSpec:
    options = {
        "model": "openai/scripted",
        "api_base": url,
        "api_key_env": "QCRD_TEST_KEY",
        "concurrency": 4,
        "timeout": 5.0,
        "samples": 5,
    }
    return RunSpec(teacher=TeacherConfig.model_validate({**options, **teacher}))


def buy(folder: Path, run_spec: RunSpec, run: int = 1, **options: object) -> dict[str, list[Sample]]:
    with ledger(folder, run) as book:
        return sample(run_spec, EXAMPLES, book, **{"orders": NoOrders(), "backoff": 0.001, **options})  # type: ignore[arg-type]


def rows(folder: Path, query: str) -> list[tuple[object, ...]]:
    db = sqlite3.connect(folder / "experiments.db")
    try:
        return db.execute(query).fetchall()
    finally:
        db.close()


def files_of(folder: Path) -> bytes:
    return b"".join(p.read_bytes() for p in sorted(folder.iterdir()) if p.is_file())


def complete(found: dict[str, list[Sample]], k: int = 5) -> bool:
    return list(found) == [e.id for e in EXAMPLES] and all(
        [s.slot for s in v] == list(range(k)) for v in found.values()
    )


def test_a_healthy_server_is_asked_once_for_each_question(tmp_path: Path) -> None:
    with serve() as server:
        progress: list[tuple[int, int]] = []
        found = buy(tmp_path, spec(server.url), on_progress=lambda done, total: progress.append((done, total)))
    assert complete(found)
    assert [r["n"] for r in server.requests] == [5] * 12
    assert all(r["authorization"] == f"Bearer {KEY}" for r in server.requests)
    assert (
        rows(tmp_path, "SELECT state, slots, attempt, status, error FROM attempts") == [("done", 5, 1, 200, None)] * 12
    )
    stored = rows(tmp_path, "SELECT u.example, u.slot, t.text FROM run_samples u JOIN samples s ON s.id = u.sample_id "
                            "JOIN texts t ON t.id = s.text_id ORDER BY 1, 2")  # fmt: skip
    assert stored == sorted((s.example_id, s.slot, s.text) for v in found.values() for s in v)
    # what was billed is stored once: 20 tokens a prompt, 10 a completion
    assert rows(tmp_path, "SELECT sum(input_tokens), sum(output_tokens) FROM samples") == [(240, 600)]
    assert progress[-1] == (12, 12)


@pytest.mark.parametrize(
    ("fault", "status"),
    [("500", 500), ("429", 429), ("429 after 0.01", 429), ("truncated", None), ("short", None), ("reset", None),
     ("no choices", 200), ("empty", 200), ("500 echo", 500), ("html", None)],
)  # fmt: skip
def test_each_fault_is_a_row_and_the_run_completes(tmp_path: Path, fault: str, status: int | None) -> None:
    with serve(lambda number: fault if number % 2 == 0 and number < 12 else None) as server:
        found = buy(tmp_path, spec(server.url, attempts=7))  # one at a time, all six may befall one question
    assert complete(found)
    states = rows(tmp_path, "SELECT state, status FROM attempts")
    assert len(states) == len(server.requests)
    assert states.count(("failed", status)) == 6
    assert states.count(("done", 200)) == 12
    assert KEY.encode() not in files_of(tmp_path)


def test_all_faults_together(tmp_path: Path) -> None:
    recoverable = [f for f in FAULTS if f not in ("401 echo", "404", "400", "400 many", "slow 1.5")]
    with serve([f for fault in recoverable for f in (fault, None)]) as server:
        found = buy(tmp_path, spec(server.url, attempts=8))
    assert complete(found)
    assert rows(tmp_path, "SELECT count(*) FROM attempts") == [(len(server.requests),)]
    failed = [f for f in recoverable if f != "fewer"]
    assert rows(tmp_path, "SELECT count(*) FROM attempts WHERE state = 'failed'") == [(len(failed),)]
    assert rows(tmp_path, "SELECT count(*) FROM attempts WHERE state = 'sent'") == [(0,)]
    assert KEY.encode() not in files_of(tmp_path)


def test_a_server_that_gives_fewer_choices_is_asked_for_the_missing_ones(tmp_path: Path) -> None:
    with serve(lambda number: "fewer") as server:
        found = buy(tmp_path, spec(server.url))
    assert complete(found)
    assert server.choices_sold == 60
    assert sorted(r.get("n", 1) for r in server.requests) == sorted([5, 4, 3, 2, 1] * 12)
    assert rows(tmp_path, "SELECT DISTINCT state, attempt FROM attempts") == [("done", 1)]


def test_a_server_that_refuses_several_choices_is_asked_for_one_at_a_time(tmp_path: Path) -> None:
    with serve(lambda number: "400 many") as server:
        found = buy(tmp_path, spec(server.url))
    assert complete(found)
    assert sum(r["fault"] is None for r in server.requests) == 60
    assert sum(r["fault"] is not None for r in server.requests) <= 4  # those under way when it was learnt
    assert rows(tmp_path, "SELECT count(*) FROM attempts") == [(len(server.requests),)]


def test_a_timeout_is_a_fault(tmp_path: Path) -> None:
    with serve(["slow 1.5"]) as server:
        found = buy(tmp_path, spec(server.url, timeout=0.5))
    assert complete(found)
    (failed,) = rows(tmp_path, "SELECT status, error FROM attempts WHERE state = 'failed'")
    assert failed[0] is None
    assert str(failed[1]).startswith("timeout:")


@pytest.mark.parametrize("polls", [1, 2, 4])
def test_after_an_interruption_nothing_is_bought_twice(tmp_path: Path, polls: int) -> None:
    faults = ["500", None, "429", "truncated"]
    with serve(faults, delay=0.01) as server:
        with pytest.raises(Interrupted):
            buy(tmp_path, spec(server.url, concurrency=2), orders=StopAfter(polls))
        (paid,) = rows(tmp_path, "SELECT count(*) FROM samples")
        assert paid == (server.choices_sold,)  # what was in flight was waited for
        assert 0 < len(server.requests) <= 2 * polls + 3
        assert complete(buy(tmp_path, spec(server.url)))
    assert server.choices_sold == 60
    assert rows(tmp_path, "SELECT count(*) FROM attempts") == [(len(server.requests),)]
    assert rows(tmp_path, "SELECT count(*) FROM run_samples") == [(60,)]


def test_other_runs_reuse_what_is_stored_and_buy_only_what_is_new(tmp_path: Path) -> None:
    with serve() as server:
        first = buy(tmp_path, spec(server.url, samples=3))
        again = buy(tmp_path, spec(server.url, samples=3, concurrency=1, attempts=2), run=2)
        assert again == first
        assert len(server.requests) == 12
        more = buy(tmp_path, spec(server.url, samples=5), run=3)
        assert [r["n"] for r in server.requests[12:]] == [2] * 12
        buy(tmp_path, spec(server.url, samples=3, temperature=0.1), run=4)
        assert len(server.requests) == 36
    assert complete(more)
    assert all(more[e][:3] == first[e] for e in first)
    assert rows(tmp_path, "SELECT run_id, count(*) FROM run_samples GROUP BY 1") == [(1, 36), (2, 36), (3, 60), (4, 36)]


def test_examples_that_ask_the_same_share_their_samples(tmp_path: Path) -> None:
    twins = [Example("a", EXAMPLES[0].question, "1"), Example("b", EXAMPLES[0].question, "2")]
    with serve() as server, ledger(tmp_path) as book:
        found = sample(spec(server.url), twins, book, NoOrders())
    assert len(server.requests) == 1
    assert [s.text for s in found["a"]] == [s.text for s in found["b"]]
    assert {s.example_id for s in found["b"]} == {"b"}


def test_the_answer_lost_with_a_killed_process_is_a_failed_row(tmp_path: Path) -> None:
    with ledger(tmp_path) as book:
        book.begin(Asked("sample", EXAMPLES[0].id, "m", b"other", (0, 1, 2, 3, 4)), 1).result()
    said: list[str] = []
    with serve() as server:
        assert complete(buy(tmp_path, spec(server.url), say=lambda _, line: said.append(line)))
    assert rows(tmp_path, "SELECT error FROM attempts WHERE state = 'failed'") == [
        ("the worker ended before the answer came",)
    ]
    assert rows(tmp_path, "SELECT DISTINCT state FROM requests ORDER BY 1") == [("done",), ("in_doubt",)]


def test_a_question_that_keeps_failing_is_left_out_and_counted(tmp_path: Path) -> None:
    bad = EXAMPLES[3].question

    def reply(question: str, number: int) -> str:
        return "" if question == bad else answer(question, number)

    said: list[str] = []
    failed: list[int] = []
    with serve(reply=reply) as server:
        found = buy(
            tmp_path,
            spec(server.url, attempts=2),
            say=lambda _, line: said.append(line),
            on_failed=failed.append,
        )
    assert (failed[0], failed[-1]) == (0, 1)
    assert found[EXAMPLES[3].id] == []
    assert sum(len(v) for v in found.values()) == 55
    assert rows(tmp_path, "SELECT attempt, state FROM attempts WHERE state = 'failed'") == [
        (1, "failed"),
        (2, "failed"),
    ]
    assert any("1 of 12 questions got fewer samples" in line for line in said)


def test_a_teacher_that_fails_on_most_questions_ends_the_run(tmp_path: Path) -> None:
    with (
        serve(lambda number: None if number == 0 else "500") as server,
        pytest.raises(QcrdError, match="failed on 7 of 12"),
    ):
        buy(tmp_path, spec(server.url, attempts=1, concurrency=1))
    assert rows(tmp_path, "SELECT count(*) FROM samples") == [(5,)]


def test_a_wrong_key_ends_the_run_at_once_and_names_the_variable_not_the_key(tmp_path: Path) -> None:
    with serve(lambda number: "401 echo") as server, pytest.raises(UsageError, match="QCRD_TEST_KEY") as caught:
        buy(tmp_path, spec(server.url))
    assert len(server.requests) <= 4
    assert KEY not in str(caught.value)
    assert KEY.encode() not in files_of(tmp_path)


@pytest.mark.parametrize("fault", ["404", "400"])
def test_a_request_that_is_refused_ends_the_run_at_once(tmp_path: Path, fault: str) -> None:
    with serve(lambda number: fault) as server, pytest.raises(UsageError, match="openai/scripted"):
        buy(tmp_path, spec(server.url))
    assert len(server.requests) <= 8


def test_a_refusal_of_several_choices_does_not_make_more_tries(tmp_path: Path) -> None:
    with serve(lambda number: "400" if number == 0 else "500") as server, pytest.raises(QcrdError, match="failed on 1"):
        buy(tmp_path, spec(server.url, attempts=1, concurrency=1))
    assert len(server.requests) == 2


def test_an_unreachable_server_is_named(tmp_path: Path) -> None:
    with serve() as server:
        url = server.url
    with pytest.raises(QcrdError, match=f"cannot reach .*{url}"):
        buy(tmp_path, spec(url, attempts=9, budget_calls=1))
    assert rows(tmp_path, "SELECT max(attempt), count(*) <= 16 FROM attempts") == [(2, 1)]
    # nothing was ever seen by a provider
    assert rows(tmp_path, "SELECT calls, failed_calls, in_doubt FROM teacher_spend") == [(0, 0, 0)]


def test_a_missing_key_is_told_before_anything_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("QCRD_TEST_KEY")
    with serve() as server, pytest.raises(UsageError, match="QCRD_TEST_KEY is not set"):
        buy(tmp_path, spec(server.url))
    assert server.requests == []


def test_a_local_server_needs_no_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with serve() as server:
        assert complete(buy(tmp_path, spec(server.url, api_key_env=None)))


def test_text_that_is_no_utf8_and_hostile_text_are_kept(tmp_path: Path) -> None:
    hostile = "\x1b]52;c;aGk=\x07[/] \ud800 <Answer>: 1"
    with serve(reply=lambda question, number: hostile) as server:
        found = buy(tmp_path, spec(server.url))
    text = found[EXAMPLES[0].id][0].text
    assert text.startswith("\x1b]52;c;aGk=\x07[/]")
    assert rows(tmp_path, "SELECT count(DISTINCT text_id) FROM samples") == [(1,)]


def test_the_builtin_teacher_takes_the_same_path(tmp_path: Path) -> None:
    found = buy(tmp_path, RunSpec())
    assert complete(found)
    assert all(s.text == answer(e.question, s.slot) for e in EXAMPLES for s in found[e.id])
    greedy = buy(tmp_path, RunSpec(teacher=TeacherConfig(temperature=0.0)), run=2)
    assert all(len({s.text for s in samples}) == 1 for samples in greedy.values())


def test_a_teacher_that_goes_down_ends_the_run_long_before_half_has_failed(tmp_path: Path) -> None:
    many = generate(1, ArithmeticConfig(train=60, validation=1, test=1, unseen=1)).splits["train"]
    with (
        serve(lambda number: None if number < 5 else "500") as server,
        ledger(tmp_path, 1) as book,
        pytest.raises(QcrdError, match=r"went down: no answer for .*HTTP 500.*resume"),
    ):
        sample(spec(server.url, attempts=1, concurrency=2, give_up_after=0.1), many, book, NoOrders(), backoff=0.001)
    assert len(server.requests) < 20
