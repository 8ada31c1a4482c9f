"""A provider's batch API over real HTTP: found again after every kind of end, nothing bought twice, nothing lost."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import certifi
import pytest

from engine.data.arithmetic import generate
from engine.errors import Interrupted, QcrdError, UsageError
from engine.records import Sample
from engine.spec.run import RunSpec
from engine.spec.sections import ArithmeticConfig
from engine.spec.teachers import TeacherConfig
from engine.store.ledger.ledger import Ledger
from engine.store.writer import Writer
from engine.teacher.batches import buying
from engine.teacher.batches.buying import buy_in_batches
from engine.teacher.batches.cancel import cancel
from engine.teacher.budget import budget_of
from engine.teacher.builtin import answer
from engine.teacher.requests import requests_for
from engine.teacher.sampling import fill, reuse, sample
from tests.engine.teacher.batch_server import serve

KEY = "very-secret-0123456789"
EXAMPLES = generate(0, ArithmeticConfig(train=12, validation=1, test=1, unseen=1)).splits["train"]


class NoOrders:
    def poll(self) -> None:
        pass


class Clock:
    """Time that passes only while somebody waits, and orders that stop the run at a given second."""

    def __init__(self, stop_at: float = float("inf")) -> None:
        self.now = 0.0
        self.stop_at = stop_at

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def poll(self) -> None:
        if self.now >= self.stop_at:
            raise Interrupted("asked to stop")


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    monkeypatch.setenv("QCRD_TEST_KEY", KEY)
    # each call has a client of its own, which reads all authorities for a connection that is not encrypted: one will do
    bundle = Path(certifi.where()).read_text("utf-8")
    end = "-----END CERTIFICATE-----"
    few = tmp_path_factory.mktemp("ca") / "one.pem"
    few.write_text(bundle[bundle.index("-----BEGIN") : bundle.index(end)] + end + "\n", "utf-8")
    monkeypatch.setenv("SSL_CERT_FILE", str(few))


@contextmanager
def ledger(folder: Path, run: int = 1) -> Iterator[Ledger]:
    with Writer(folder / "experiments.db") as writer:
        writer.execute(
            "INSERT OR IGNORE INTO runs (id, name, status, method, dataset, teacher, student, seed, spec, folder, "
            "created_at, steps, iterations) VALUES (?, 'r', 'running', 'qcrd', 'd', 't', 's', 0, '{}', '', 0, 1, 1)",
            (run,),
        )
        yield Ledger(writer, run)


def teacher(url: str, **options: object) -> TeacherConfig:
    given = {"model": "openai/scripted", "api_base": url, "api_key_env": "QCRD_TEST_KEY", "timeout": 5.0, "batch": True}
    return TeacherConfig.model_validate({**given, **options})


def buy(
    folder: Path,
    one: TeacherConfig,
    clock: Clock | None = None,
    say: Callable[[str, str], None] | None = None,
    run: int = 1,
) -> dict[str, list[Sample]]:
    """What `sampling.sample` does, by a clock of ours."""
    clock = clock or Clock()
    said = say or (lambda level, line: None)
    with ledger(folder, run) as book:
        book.close_stray().result()
        requests = requests_for(one, "number", EXAMPLES)
        reuse(requests, book)
        buy_in_batches(
            requests, book, clock, budget_of(one, book.spent().result()), len(EXAMPLES), say=said, backoff=0.001,
            sleep=clock.sleep, clock=lambda: clock.now,
        )  # fmt: skip
        found = {e: [Sample(e, slot, r.texts[slot]) for slot in sorted(r.texts)] for r in requests for e in r.examples}
        return {example.id: found[example.id] for example in EXAMPLES}


def rows(folder: Path, query: str) -> list[tuple[Any, ...]]:
    db = sqlite3.connect(folder / "experiments.db")
    try:
        return db.execute(query).fetchall()
    finally:
        db.close()


def complete(found: dict[str, list[Sample]], k: int = 5) -> bool:
    return all([s.slot for s in v] == list(range(k)) for v in found.values())


def settled(folder: Path) -> bool:
    """Nothing is under way any more, and each sample has its response."""
    left = rows(folder, "SELECT (SELECT count(*) FROM batches WHERE state <> 'ended'),"
                        " (SELECT count(*) FROM attempts WHERE state = 'sent'),"
                        " (SELECT count(*) FROM requests WHERE state IN ('sent', 'pending', 'in_doubt')),"
                        " (SELECT count(*) FROM samples WHERE response_id IS NULL)")  # fmt: skip
    return left == [(0, 0, 0, 0)]


def test_a_job_is_one_batch_and_its_answers_are_the_ledgers(tmp_path: Path) -> None:
    with serve() as server:
        server.looks = 3
        clock = Clock()
        found = buy(tmp_path, teacher(server.url), clock)
        assert server.calls == ["upload", "create", "look", "look", "look", "fetch"]
        assert server.lines == [12]
        assert all(line["body"]["n"] == 5 for line in server.batches[0]["asked"])
        assert server.sold == 60
        again = buy(tmp_path, teacher(server.url), run=2)
        assert again == found
        assert len(server.calls) == 6
    assert complete(found)
    assert clock.now == pytest.approx(30 + 45)
    assert settled(tmp_path)
    assert rows(tmp_path, "SELECT DISTINCT state, billed, batch_id FROM attempts") == [("done", 1, 1)]
    assert rows(tmp_path, "SELECT status, lines, lines_done, lines_failed, provider_id FROM batches") == [
        ("completed", 12, 12, 0, "batch_0")
    ]
    # each question its own answers, though the output came in reverse
    asked = {e.id: e.question for e in EXAMPLES}
    stored = rows(tmp_path, "SELECT u.example, t.text FROM run_samples u JOIN samples s ON s.id = u.sample_id "
                            "JOIN texts t ON t.id = s.text_id WHERE run_id = 1")  # fmt: skip
    assert sorted(stored) == sorted((e, text) for e in asked for text in [s.text for s in found[e]])
    assert all(text in {answer(asked[e], i) for i in range(60)} for e, text in stored)


@pytest.mark.parametrize(
    ("call", "fault"),
    [("upload", "500"), ("upload", "late"), ("create", "429"), ("create", "500"), ("create", "late"), ("look", "500"),
     ("fetch", "500")],
)  # fmt: skip
def test_a_call_that_fails_is_made_again_and_no_batch_twice(tmp_path: Path, call: str, fault: str) -> None:
    with serve() as server:
        server.on[call] = [fault]
        assert complete(buy(tmp_path, teacher(server.url)))
        assert len(server.batches) == 1
        assert server.sold == 60
    assert settled(tmp_path)


def test_a_submission_in_doubt_is_looked_for_when_the_run_is_resumed(tmp_path: Path) -> None:
    with serve() as server:
        server.on["create"] = ["late"]
        with pytest.raises(QcrdError, match=r"nobody can tell whether openai/scripted has taken batch 1"):
            buy(tmp_path, teacher(server.url, attempts=1))
        assert complete(buy(tmp_path, teacher(server.url, attempts=1)))
        assert server.calls == ["upload", "create", "list", "look", "fetch"]
    assert settled(tmp_path)


def test_a_batch_that_is_not_listed_is_looked_for_twice_before_it_is_submitted_again(tmp_path: Path) -> None:
    with serve() as server:
        server.on["create"] = ["500"]
        clock = Clock()
        assert complete(buy(tmp_path, teacher(server.url), clock))
        assert server.calls == ["upload", "create", "list", "list", "create", "look", "fetch"]
        assert clock.now == pytest.approx(30, abs=1)


def test_what_does_not_fit_into_one_file_is_several_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serve() as server:
        monkeypatch.setattr(buying, "MOST_BYTES", 8_000)
        assert complete(buy(tmp_path, teacher(server.url)))
        assert len(server.lines) > 2
        assert sum(server.lines) == 12
        assert max(len(f) for name, f in server.files.items() if name.startswith("file-0")) <= 8_000
        assert server.sold == 60
    assert settled(tmp_path)


def test_one_of_two_teachers_in_batches(tmp_path: Path) -> None:
    with serve() as server, ledger(tmp_path) as book:
        other = {"model": "openai/other", "share": 0.5, "api_base": server.url, "batch": False}
        one = teacher(server.url, others=[{**other, "api_key_env": "QCRD_TEST_KEY"}])
        requests = requests_for(one, "number", EXAMPLES)
        fill(one, requests, len(EXAMPLES), book, NoOrders())
        batched = sum(line["body"].get("n", 1) for line in server.batches[0]["asked"])
        assert server.calls.count("single") > 0
        assert 0 < batched < 60
        assert server.sold == 60
    assert not any(r.missing for r in requests)


def test_azures_form_of_the_api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_API_VERSION", "2024-10-21")
    with serve() as server:
        server.on["create"] = ["late"]
        server.file_status = "pending"
        one = teacher(server.url.removesuffix("/v1"), model="azure/my-deployment")
        assert complete(buy(tmp_path, one))
        assert server.calls == ["upload", "read", "create", "list", "look", "fetch"]
        assert {line["url"] for line in server.batches[0]["asked"]} == {"/chat/completions"}
    assert settled(tmp_path)


def test_a_wrong_key_is_told_and_not_shown(tmp_path: Path) -> None:
    with serve() as server:
        server.on["upload"] = ["401 echo"]
        with pytest.raises(UsageError, match="QCRD_TEST_KEY") as caught:
            buy(tmp_path, teacher(server.url))
    assert KEY not in str(caught.value)
    assert KEY.encode() not in b"".join(p.read_bytes() for p in tmp_path.iterdir() if p.is_file())
    assert rows(tmp_path, "SELECT DISTINCT billed FROM attempts") == [(0,)]


def test_a_stop_leaves_the_batch_with_the_provider_and_says_so(tmp_path: Path) -> None:
    said: list[str] = []
    with serve() as server:
        server.looks = 4
        with pytest.raises(Interrupted):
            buy(tmp_path, teacher(server.url), Clock(stop_at=40), say=lambda _, line: said.append(line))
        assert "12 requests stay with the provider" in said[-1]
        assert "batch_0" in said[-1]
        assert rows(tmp_path, "SELECT state, count(*) FROM requests GROUP BY 1") == [("sent", 12)]
        assert complete(buy(tmp_path, teacher(server.url), say=lambda _, line: said.append(line)))
        assert server.calls.count("create") == 1
    assert any("taken up again: 12 requests" in line for line in said)
    assert settled(tmp_path)


def test_a_teacher_without_batches_is_refused_by_name(tmp_path: Path) -> None:
    with (
        ledger(tmp_path) as book,
        pytest.raises(UsageError, match=r"builtin/arithmetic has no batch API .*openai and azure"),
    ):
        sample(RunSpec(teacher=TeacherConfig(batch=True)), EXAMPLES, book, NoOrders())


def test_a_cancelled_batch_is_fetched_as_far_as_it_is_done_and_the_rest_bought_singly(tmp_path: Path) -> None:
    with serve() as server:
        server.looks = 99
        one = teacher(server.url)
        with pytest.raises(Interrupted):
            buy(tmp_path, one, Clock(stop_at=1))
        server.plan = lambda batch, number, line: "expired" if number >= 8 else "ok"
        server.before["cancel"] = lambda: server.work(server.batches[0])
        (line,) = cancel(one, tmp_path / "experiments.db", 1)
        assert line == "batch 1 (batch_0) is cancelled: 8 of 12 requests answered"
        with ledger(tmp_path) as book:
            single = one.model_copy(update={"batch": False})
            requests = requests_for(single, "number", EXAMPLES)
            fill(single, requests, len(EXAMPLES), book, NoOrders())
        assert server.lines == [12]
        assert server.calls.count("single") == 4
        assert server.sold == 60
    assert not any(r.missing for r in requests)
    assert settled(tmp_path)


def test_a_batch_that_the_provider_has_lost_can_be_given_up(tmp_path: Path) -> None:
    with serve() as server:
        server.looks = 99
        with pytest.raises(Interrupted):
            buy(tmp_path, teacher(server.url), Clock(stop_at=1))
        (lost,) = server.batches
        lost["public"]["id"] = "another"
        with pytest.raises(QcrdError, match=r"does not show batch batch_0 .*cancel-batch 1"):
            buy(tmp_path, teacher(server.url))
        (line,) = cancel(teacher(server.url), tmp_path / "experiments.db", 1)
        assert "12 requests are in doubt" in line
        assert rows(tmp_path, "SELECT state, count(*) FROM requests GROUP BY 1") == [("in_doubt", 12)]
        server.looks = 1
        assert complete(buy(tmp_path, teacher(server.url)))
        assert server.lines == [12, 12]


def test_sampling_takes_the_way_of_batches(tmp_path: Path) -> None:
    with serve() as server, ledger(tmp_path) as book:
        one = teacher(server.url)
        requests = requests_for(one, "number", EXAMPLES)
        fill(one, requests, len(EXAMPLES), book, NoOrders())
        assert server.lines == [12]
    assert not any(r.missing for r in requests)
