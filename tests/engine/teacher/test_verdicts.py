"""The judge of steps over real HTTP: through the ledger, once for equal rationales, within the budget's rules."""

from pathlib import Path
from typing import Any

import pytest

from engine.errors import UsageError
from engine.records import Example
from engine.spec.run import RunSpec
from engine.store.ledger.spend import spend
from engine.teacher.verdicts import step_judge_of, verdicts
from engine.voting.step_judge import messages
from tests.engine.teacher.openai_server import serve
from tests.engine.teacher.test_sampling import NoOrders, ledger

QUESTION = Example("q", "2 + 2?")
WANTED = [messages(QUESTION, text) for text in ("Four.", "Five, no doubt.", "Four.")]


def spec(judge: dict[str, Any], **teacher: Any) -> RunSpec:
    return RunSpec.model_validate({"teacher": teacher, "selection": {"judge": judge}})


def reply(question: str, number: int) -> str:
    return "1: no" if "Five" in question else "1: yes"


def test_each_rationale_is_judged_once_and_the_next_run_pays_nothing(tmp_path: Path) -> None:
    said: list[str] = []
    with serve(["500", None], reply) as server:
        asked = spec({"model": "openai/judge", "api_base": server.url}, concurrency=1)
        judge = step_judge_of(asked)
        assert judge is not None
        assert judge.temperature == 0
        with ledger(tmp_path) as mine:
            ask = verdicts(judge, asked.teacher, mine, NoOrders(), lambda level, line: said.append(line))
            assert ask(WANTED) == ["1: yes", "1: no", "1: yes"]
            rows = mine.writer.call(
                lambda db: db.execute("SELECT purpose, state FROM teacher_requests ORDER BY attempt").fetchall()
            ).result()
            assert [tuple(r) for r in rows] == [("judge", "failed"), ("judge", "done"), ("judge", "done")]
            used = mine.writer.call(lambda db: db.execute("SELECT count(*) FROM run_samples").fetchone()[0]).result()
            assert used == 0, "a verdict is no sample"
            (row,) = mine.writer.call(lambda db: [dict(row) for row in spend(db, 1)]).result()
            assert (row["calls"], row["bought_samples"], row["verdicts"]) == (3, 0, 2)
        calls = len(server.requests)
        assert calls == 3
        assert {r["temperature"] for r in server.requests} == {0}
        with ledger(tmp_path, run=2) as later:
            assert verdicts(judge, asked.teacher, later, NoOrders(), lambda *_: None)(WANTED)[1] == "1: no"
        assert len(server.requests) == calls
    assert said[0].startswith("2 rationales go to the judge of steps")


def test_what_cannot_judge_is_refused_before_anything_is_paid_for() -> None:
    assert step_judge_of(RunSpec()) is None
    with pytest.raises(UsageError, match="names no provider"):
        step_judge_of(spec({"model": "nonsense"}))
    with pytest.raises(UsageError, match="chat model"):
        step_judge_of(spec({"model": "text-completion-openai/base"}))
    own = {"model": "openai/judge", "api_base": "http://127.0.0.1:1/v1"}
    with pytest.raises(UsageError, match=r"selection\.judge\.input_usd_per_million"):
        step_judge_of(spec(own, budget_usd=1.0))
    assert step_judge_of(spec({**own, "input_usd_per_million": 0, "output_usd_per_million": 0}, budget_usd=1.0))
    with pytest.raises(ValueError, match="recorded outputs cannot judge"):
        spec({"model": "replay:some.jsonl"})
