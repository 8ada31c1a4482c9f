"""Keys: what is asked and how, by slot; samples of older databases are found again; doubts go as the spec says."""

import hashlib
import json
from pathlib import Path

import pytest

from engine.errors import QcrdError
from engine.spec.teachers import TeacherConfig
from engine.store.ledger.rows import Asked
from engine.teacher.messages import load_prompt, messages_for
from engine.teacher.requests import key_of, requests_for, slot_key, units
from tests.engine.teacher.openai_server import serve
from tests.engine.teacher.test_sampling import EXAMPLES, buy, complete, ledger, rows, spec


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QCRD_TEST_KEY", "very-secret-0123456789")


@pytest.mark.parametrize(
    "change",
    [{"model": "openai/b"}, {"api_base": "http://x"}, {"temperature": 0.1}, {"top_p": 0.9}, {"max_tokens": 7}],
)
def test_what_changes_the_answer_changes_the_key(change: dict[str, object]) -> None:
    messages = [{"role": "user", "content": "q"}]
    one = TeacherConfig(model="openai/a")
    other = one.model_copy(update=change)
    assert key_of(one, messages, "p") != key_of(other, messages, "p")
    assert key_of(one, messages, "p") != key_of(one, messages, "p2")
    same = one.model_copy(update={"samples": 9, "concurrency": 1, "timeout": 1.0, "attempts": 1, "budget_usd": 1.0})
    assert key_of(one, messages, "p") == key_of(same, messages, "p")


def test_slots_are_bought_in_runs_or_one_by_one() -> None:
    teacher = TeacherConfig(model="openai/a", samples=5)
    (request,) = requests_for(teacher, "number", EXAMPLES[:1])
    request.texts = {1: "stored"}
    assert [u.slots for u in units(request, together=True)] == [(0,), (2, 3, 4)]
    assert [u.slots for u in units(request, together=False)] == [(0,), (2,), (3,), (4,)]
    assert request.open == 4
    assert len({slot_key(request.key, slot) for slot in range(5)}) == 5


def test_samples_under_the_keys_of_older_versions_are_found_and_renamed(tmp_path: Path) -> None:
    with serve() as server:
        run_spec = spec(server.url, samples=2)
        teacher = run_spec.teacher
        prompt = load_prompt(teacher, run_spec.data.answer)
        with ledger(tmp_path) as book:
            book.writer.call(lambda db: db.execute("INSERT INTO texts VALUES (1, x'00', 'old')")).result()
            for example in EXAMPLES:
                asked = [
                    teacher.model,
                    teacher.api_base,
                    messages_for(prompt, example),
                    teacher.temperature,
                    teacher.max_tokens,
                ]
                digest = hashlib.sha256(json.dumps(asked).encode()).digest()
                key = hashlib.sha256(digest + (0).to_bytes(4, "big")).digest()
                book.writer.call(
                    lambda db, key=key: db.execute(
                        "INSERT INTO samples (key, model, text_id, created_at) VALUES (?, 'openai/scripted', 1, 0)",
                        (key,),
                    )
                ).result()
        found = buy(tmp_path, run_spec)
        assert all(samples[0].text == "old" for samples in found.values())
        assert complete(found, 2)
        assert [r.get("n", 1) for r in server.requests] == [1] * 12
        assert buy(tmp_path, run_spec.model_copy(update={"name": "again"}), run=2) == found
        assert len(server.requests) == 12


def lost(folder: Path, url: str) -> None:
    """What a killed worker leaves: the first question's request, sent and not answered."""
    run_spec = spec(url)
    (request,) = requests_for(run_spec.teacher, run_spec.data.answer, EXAMPLES[:1])
    with ledger(folder) as book:
        asked = Asked("sample", EXAMPLES[0].id, "openai/scripted", request.key, request.slots, 50, 0.125, 3000)
        book.begin(asked, 1).result()


def test_requests_in_doubt_are_bought_again_and_counted_or_left_to_the_user(tmp_path: Path) -> None:
    with serve() as server:
        lost(tmp_path, server.url)
        with pytest.raises(QcrdError, match=r"1 requests were .*\$0\.125 at most.*--in-doubt.*in_doubt=again"):
            buy(tmp_path, spec(server.url, in_doubt="stop"))
        assert server.requests == []
        doubtful = "SELECT request_state, greatest_usd FROM teacher_requests"
        assert rows(tmp_path, doubtful) == [("in_doubt", 0.125)]
        said: list[str] = []
        assert complete(buy(tmp_path, spec(server.url), say=lambda _, line: said.append(line)))
        assert rows(tmp_path, "SELECT in_doubt, in_doubt_usd, calls FROM teacher_spend") == [(1, 0.125, 13)]
        assert complete(buy(tmp_path, spec(server.url, in_doubt="stop")))  # nothing of it is missing any more


def test_who_bought_and_who_reused(tmp_path: Path) -> None:
    prices = {"input_usd_per_million": 1.0, "output_usd_per_million": 10.0}
    with serve() as server:
        buy(tmp_path, spec(server.url, samples=3, **prices))
        buy(tmp_path, spec(server.url, samples=5, **prices), run=2)
    spent = rows(tmp_path, "SELECT calls, bought_samples, round(price_usd, 9), reused_samples, round(reused_usd, 9) "
                           "FROM teacher_spend ORDER BY run_id")  # fmt: skip
    first, second = 12 * (20 + 300) / 1e6, 12 * (20 + 200) / 1e6
    assert spent == [(12, 36, round(first, 9), 0, None), (12, 24, round(second, 9), 36, round(first, 9))]
