"""Sampling from teachers of other shapes, from several at once, and from one that goes down and comes back."""

import itertools
import time
from collections import Counter
from pathlib import Path

import pytest

from engine.errors import Interrupted, QcrdError
from engine.spec.run import RunSpec
from engine.spec.teachers import TeacherConfig
from engine.teacher import breaker
from engine.teacher.builtin import answer
from engine.teacher.estimate import estimate
from engine.voting.vote import vote
from tests.engine.teacher import openai_server, shaped_servers
from tests.engine.teacher.test_local_model import save
from tests.engine.teacher.test_sampling import EXAMPLES, KEY, buy, complete, files_of, rows, spec

PATHS = {shaped_servers.anthropic: "/v1/messages", shaped_servers.ollama: "/api/chat"}


class StopAt:
    """Asks to stop at a time of the clock."""

    def __init__(self, at: float) -> None:
        self.at = at

    def poll(self) -> None:
        if time.monotonic() >= self.at:
            raise Interrupted("asked to stop")


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QCRD_TEST_KEY", KEY)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(breaker, "FIRST_PAUSE", 0.05)


@pytest.mark.parametrize(
    ("shape", "model"), [(shaped_servers.anthropic, "anthropic/mine"), (shaped_servers.ollama, "ollama_chat/mine")]
)
def test_a_provider_without_n_is_asked_once_for_each_sample(
    tmp_path: Path, shape: shaped_servers.Shape, model: str
) -> None:
    faults = [429, 200, 500, 200, 529]
    with shaped_servers.serve(shape, faults, thinking="I add.", retry_after="0.01") as server:
        found = buy(tmp_path, spec(server.url, model=model, samples=2, attempts=7))
    assert complete(found, 2)
    assert [r["path"] for r in server.requests] == [PATHS[shape]] * (24 + 3)  # litellm asks nothing beside
    assert all(s.text.startswith("<Explanation>") and s.reasoning is None for v in found.values() for s in v)
    assert rows(tmp_path, "SELECT state, count(*) FROM attempts GROUP BY 1") == [("done", 24), ("failed", 3)]
    assert rows(tmp_path, "SELECT sum(input_tokens), sum(output_tokens) FROM samples") == [(480, 240)]
    assert rows(tmp_path, "SELECT DISTINCT t.text FROM samples s JOIN texts t ON t.id = s.reasoning_id") == [
        ("I add.",)
    ]
    assert all(KEY in str(r["headers"]) for r in server.requests)
    assert KEY.encode() not in files_of(tmp_path)


@pytest.mark.parametrize("model", ["anthropic/mine", "ollama_chat/mine"])
def test_an_unreachable_server_of_any_shape_is_named(tmp_path: Path, model: str) -> None:
    with shaped_servers.serve(shaped_servers.ollama) as server:
        url = server.url
    with pytest.raises(QcrdError, match=f"cannot reach .*{url}"):
        buy(tmp_path, spec(url, model=model, attempts=2))


def test_the_hidden_reasoning_is_the_rationale_where_it_is_to_be(tmp_path: Path) -> None:
    with openai_server.serve(reply=lambda q, i: f"<think>\nthoughts {i % 2}\n</think>\n{answer(q, i)}") as server:
        apart = buy(tmp_path, spec(server.url, samples=2))
        used = buy(tmp_path, spec(server.url, samples=2, reasoning="use"), run=2)  # the same answers, read otherwise
    assert len(server.requests) == 12
    assert [s.text for v in apart.values() for s in v] == [s.text for v in used.values() for s in v]
    assert all(s.text.startswith("<Explanation>") for v in used.values() for s in v)

    def rationales(samples: dict) -> Counter[str]:  # type: ignore[type-arg]
        found = vote(EXAMPLES, samples, kind="number", tie="first", labels="teacher", drop_right_negatives="auto")
        return Counter(r.text for v in found.voted for r in (*v.positives, *v.negatives))

    assert set(rationales(used)) == {"thoughts 0", "thoughts 1"}
    assert not any("thoughts" in text for text in rationales(apart))


def test_reasoning_that_never_came_to_an_answer_is_kept_and_said(tmp_path: Path) -> None:
    said: list[str] = []
    with openai_server.serve(reply=lambda q, i: "<think>and then" if i < 5 else answer(q, i)) as server:
        found = buy(tmp_path, spec(server.url, concurrency=1), say=lambda _, line: said.append(line))
    assert len(server.requests) == 12  # paid for, and not bought again
    assert complete(found)
    assert [s.text for s in found[EXAMPLES[0].id]] == [""] * 5
    assert any("5 samples are hidden reasoning alone" in line and "max_tokens" in line for line in said)


def test_several_teachers_each_write_their_share(tmp_path: Path) -> None:
    with (
        openai_server.serve(reply=lambda q, i: "one " + answer(q, i)) as one,
        shaped_servers.serve(shaped_servers.ollama, reply=lambda q, i: "two " + answer(q, i)) as two,
    ):
        others = [
            {"model": "ollama_chat/two", "share": 0.4, "api_base": two.url},
            {"model": "builtin/arithmetic", "share": 0.2},
        ]
        progress: list[tuple[int, int]] = []
        found = buy(
            tmp_path, spec(one.url, others=others), on_progress=lambda done, total: progress.append((done, total))
        )
        assert complete(found)
        asked = sum(r["sold"] for r in one.requests), len(two.requests)
        assert progress[-1] == (12, 12)
        assert all(done <= 12 for done, _ in progress)
        more = buy(tmp_path, spec(one.url, others=others, samples=7), run=2)
        assert complete(more, 7)
        assert all(more[e][:5] == found[e] for e in found)  # who writes what stays
        assert sum(r["sold"] for r in one.requests) - asked[0] + len(two.requests) - asked[1] < 24
    models = dict(rows(tmp_path, "SELECT s.model, count(*) FROM run_samples u JOIN samples s ON s.id = u.sample_id "
                                 "WHERE u.run_id = 1 GROUP BY 1"))  # fmt: skip
    assert models == {"openai/scripted": asked[0], "ollama_chat/two": asked[1], "builtin/arithmetic": 60 - sum(asked)}
    assert all(10 < n < 45 for n in (*asked,))
    wrote = {"one": "openai/scripted", "two": "ollama_chat/two"}
    for text, model in rows(tmp_path, "SELECT t.text, s.model FROM samples s JOIN texts t ON t.id = s.text_id"):
        assert wrote.get(str(text).split(" ")[0], "builtin/arithmetic") == model


def test_two_accounts_at_one_provider_share_the_work_and_lose_no_sample(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QCRD_OTHER_KEY", "another-secret-0123456789")
    with openai_server.serve() as server:
        mine = {"model": "openai/scripted", "share": 0.4, "api_base": server.url, "input_usd_per_million": 1.0}
        others = [{**mine, "api_key_env": "QCRD_OTHER_KEY", "output_usd_per_million": 2.0}]
        both = spec(server.url, others=others, input_usd_per_million=3.0, output_usd_per_million=4.0)
        told = estimate([(both, EXAMPLES)], tmp_path / "experiments.db")
        assert complete(buy(tmp_path, both))
        assert server.choices_sold == 60
        sold = Counter()
        for request in server.requests:
            sold[request["authorization"]] += request["sold"]
        assert [one.bought for one in told] == [sold[f"Bearer {KEY}"], sold["Bearer another-secret-0123456789"]]
        assert min(sold.values()) > 10
        alone = buy(tmp_path, spec(server.url), run=2)  # the same questions: nobody minds who was paid
        assert complete(alone)
        assert server.choices_sold == 60


def test_a_teacher_that_goes_down_is_probed_and_the_run_goes_on(tmp_path: Path, quick: None) -> None:
    down = itertools.chain([None] * 3, ["500"] * 16, itertools.repeat(None))
    said: list[str] = []
    with openai_server.serve(lambda number: next(down)) as server:
        found = buy(tmp_path, spec(server.url, attempts=11), say=lambda _, line: said.append(line))
    assert complete(found)  # the probes that failed are no question's fault
    assert len(server.requests) == 12 + 16
    assert [("is down" in line, "answers again" in line) for line in said] == [(True, False), (False, True)]


def test_orders_are_listened_to_while_a_teacher_is_down(tmp_path: Path) -> None:
    with (
        openai_server.serve(lambda number: None if number < 3 else "500") as server,
        pytest.raises(Interrupted),
    ):
        buy(tmp_path, spec(server.url), orders=StopAt(time.monotonic() + 1.5))
    assert len(server.requests) < 20  # then nothing but probes, the first in 10 s


def test_retry_after_holds_all_requests(tmp_path: Path) -> None:
    times: list[float] = []

    def note(number: int) -> str | None:
        times.append(time.monotonic())
        return "429 after 1" if number == 4 else None

    with openai_server.serve(note) as server:
        assert complete(buy(tmp_path, spec(server.url, concurrency=2)))
    gap = max((b - a, i) for i, (a, b) in enumerate(itertools.pairwise(times)))
    assert gap[0] >= 0.9
    assert gap[1] >= 4  # a few may have been sent before the 429 was read
    assert len(server.requests) == 13


def test_being_turned_away_is_no_try(tmp_path: Path) -> None:
    with openai_server.serve(lambda number: "429" if number < 5 else None) as server:
        assert complete(buy(tmp_path, spec(server.url, attempts=1, concurrency=1)))
    assert len(server.requests) == 17


def test_a_local_model_takes_the_same_path(tmp_path: Path) -> None:
    teacher = TeacherConfig(
        model=f"local/{save(tmp_path / 'model', 'llama')}", samples=3, max_tokens=6, temperature=1.0, prompt="default"
    )
    prompt = tmp_path / "prompt.toml"
    prompt.write_text('system = ""\nformat = ""\n')
    teacher = teacher.model_copy(update={"prompt": str(prompt)})
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    found = buy(tmp_path / "a", RunSpec(teacher=teacher))
    assert sum(len(v) for v in found.values()) > 20  # a tiny model's text may be empty
    alone = buy(tmp_path / "b", RunSpec(teacher=teacher.model_copy(update={"concurrency": 1})))
    assert alone == found  # whatever was written beside it
    assert rows(tmp_path / "a", "SELECT DISTINCT price_usd FROM responses") == [(0.0,)]
    again = tmp_path / "moved"
    (tmp_path / "model").rename(again)
    moved = teacher.model_copy(update={"model": f"local/{again}"})
    before = rows(tmp_path / "a", "SELECT count(*) FROM samples")
    buy(tmp_path / "a", RunSpec(teacher=moved), run=2)
    assert rows(tmp_path / "a", "SELECT count(*) FROM samples") >= before
    used = rows(tmp_path / "a", "SELECT sum(a.sample_id = b.sample_id) FROM run_samples a JOIN run_samples b "
                                "USING (example, slot) WHERE a.run_id = 1 AND b.run_id = 2")  # fmt: skip
    assert used == [(sum(len(v) for v in found.values()),)]  # the model is told by what it is, not by where it lies
