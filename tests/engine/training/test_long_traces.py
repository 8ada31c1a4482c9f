"""A rationale of 10 000 tokens: parsed, cut with its answer kept and counted, stepped on, and stored whole."""

from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from engine.answers.kinds import parse
from engine.methods import positives
from engine.records import Example, Rationale, Voted
from engine.spec.methods import Positives
from engine.spec.run import RunSpec
from engine.store.connect import open_reader
from engine.store.recorder import Recorder
from engine.store.runs.run import create_run
from engine.store.writer import Writer
from engine.training.batches import candidate, items
from engine.training.limits import within_limits
from engine.training.step import Row, step
from tests.engine.tiny_causal import student as causal_student
from tests.engine.tiny_t5 import student as t5_student

TOKENS = 10_000
SENTENCES = TOKENS // 6 + 1
TRACE = "\n".join(f"then ben finds {i % 9 + 1} more apples" for i in range(SENTENCES)) + "\nAnswer: 7"


@pytest.mark.parametrize("kind", ["t5", "causal"])
@pytest.mark.parametrize("limit", [64, 2 * TOKENS])
def test_through_parser_items_and_a_step(kind: str, limit: int) -> None:
    parsed = parse("number", TRACE, ())
    assert parsed.answer == "7"
    assert parsed.rationale.count("apples") == SENTENCES
    s = t5_student() if kind == "t5" else causal_student()
    s.max_target = limit
    long = Rationale(0, "x", parsed.rationale, parsed.answer, parsed.rule, "positive", "teacher")
    short = Rationale(1, "x", "ben finds 7", "7", "strict", "positive", "teacher")
    example = Example("x", "ben has two", "7")
    voted = Voted(example, "7", votes=2, parsed=2, tie=False, positives=(long, short), negatives=())
    (item,) = items(s, positives, Positives(), [voted], labels="teacher", answer_in_rationale=True)
    whole = s.target_length(item.positives[0].text)
    assert whole >= TOKENS
    assert len(item.positives[0].tokens) == min(limit, whole)
    assert s.tokenizer.decode(item.positives[0].tokens, skip_special_tokens=True).endswith("Answer: 7")
    assert candidate(s, short, True) == item.positives[1]
    facts: dict[str, float] = {}
    recorder = SimpleNamespace(fact=lambda stage, name, value: facts.update({name: value}), log=lambda *_: None)
    spec = RunSpec.model_validate({"student": {"max_rationale_tokens": limit}})
    assert within_limits(spec, s, [item], recorder) == [item]
    assert facts["rationales cut"] == (limit < TOKENS)
    if limit < TOKENS:
        found = step(s, None, lambda x: positives.loss(Positives(), x), [Row(item, (), True)], torch.rand(1, 2))
        assert torch.isfinite(found.outcome.loss)


@pytest.mark.slow
def test_a_step_on_all_of_it() -> None:
    s = causal_student()
    s.max_target = 2 * TOKENS
    target = s.target(TRACE)
    s.model.train()
    s.score(s.encode([s.prompt("explain: ben has two")]), [0], [target]).sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in s.model.parameters())


def test_the_store_holds_it_whole(tmp_path: Path) -> None:
    database = tmp_path / "experiments.db"
    run = create_run(database, RunSpec())
    with closing(Writer(database)) as writer:
        recorder = Recorder(writer, run)
        recorder.rationales([Rationale(0, "x", TRACE, "7", "strict", "negative", "self", iteration=1)])
        recorder.flush()
    with closing(open_reader(database)) as db:
        (text,) = db.execute("SELECT text FROM rationales JOIN texts ON texts.id = text_id").fetchone()
    assert text == TRACE
