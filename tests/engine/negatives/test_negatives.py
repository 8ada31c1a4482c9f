"""The sources of negatives: what a perturbed one may be, how sources are mixed, what a band lets in."""

import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from engine.answers.kinds import equal, join, parse
from engine.data.arithmetic import generate
from engine.judge.discriminator import Judged
from engine.negatives import fixed, mixed, peer, perturbed, prepared
from engine.negatives.band import judge_of, marked
from engine.negatives.sampled import How
from engine.randomness import generator
from engine.records import Example, Rationale, Voted
from engine.spec.negatives import Negatives
from engine.spec.run import RunSpec
from engine.spec.sections import ArithmeticConfig
from engine.teacher.builtin import answer
from engine.training.batches import Candidate, Item
from engine.training.checkpoint import Progress, Trained, load, save
from tests.engine.tiny_t5 import item, student

PERTURBED = Negatives(sources=("perturbed",))


def made_item(texts: list[str], right: str, choices: tuple[str, ...] = (), key: str = "x") -> Item:
    positives = tuple(
        Candidate(Rationale(n, key, t, right, "strict", "positive", "teacher"), t, []) for n, t in enumerate(texts)
    )
    return Item(Example(key, "?", right, choices), [], [], [], right, positives, ())


def perturb(items: list[Item], kind="number", seed: int = 0, each: int = 1) -> list[Rationale]:
    config = Negatives(sources=("perturbed",), per_example=each)
    return perturbed.write(items, config, kind=kind, seed=seed, first_number=7, first_slot=5)


def test_perturbed_positives_of_the_built_in_teacher_are_new_and_end_wrong() -> None:
    items = []
    for x in generate(0, ArithmeticConfig(train=60, validation=5, test=5, unseen=5)).splits["train"]:
        parsed = [parse("number", answer(x.question, n)) for n in range(3)]
        right = [p.rationale for p in parsed if p.answer == x.answer]
        if right:
            items.append(made_item(right, x.answer or "", key=x.id))
    found = perturb(items, each=2)
    assert len(found) > 1.9 * len(items)
    by_key = {x.example.id: x for x in items}
    for r in found:
        positives = [" ".join(c.rationale.text.split()) for c in by_key[r.example_id].positives]
        assert " ".join(r.text.split()) not in positives
        right = by_key[r.example_id].answer or ""
        assert r.answer is not None
        assert not equal("number", right, r.answer)
        assert not equal("number", right, parse("number", r.text).answer or "")
        assert (r.source, r.polarity, r.iteration) == ("perturbed", "negative", 0)
    assert [r.number for r in found] == list(range(7, 7 + len(found)))
    assert len({(r.example_id, " ".join(r.text.split())) for r in found}) == len(found)
    assert {r.slot for r in found} == {5, 6}
    assert perturb(items, each=2) == found
    assert [r.text for r in perturb(items[::-1])] == [r.text for r in perturb(items)][::-1]  # a stream an example
    assert [r.text for r in perturb(items, seed=1)] != [r.text for r in perturb(items)]


@settings(max_examples=80, deadline=None)
@given(
    st.text("0123456789 +-*/=().ab\n", max_size=60),
    st.sampled_from(["7", "3/4", "0", "a", "( 84 / 2 )", "0.50"]),
    st.sampled_from(["number", "equation", "text"]),
    st.integers(0, 50),
)
def test_whatever_the_text_a_perturbed_one_neither_reads_nor_ends_as_a_positive(text, right, kind, seed) -> None:
    for r in perturb([made_item([text], right)], kind, seed):
        assert " ".join(r.text.split()) != " ".join(text.split())
        assert r.answer is None or not equal(kind, right, r.answer)
        target = r.text if r.answer is None else join(r.text, r.answer)
        found = parse(kind, target).answer
        assert found is None or not equal(kind, right, found)


def test_a_perturbed_choice_ends_in_another_option() -> None:
    one = made_item(["It barks. Dogs bark. So it is a dog."], "dog", ("cat", "dog", "cow"))
    (found,) = perturb([one], "choice")
    assert found.answer in ("cat", "cow")


def test_each_change_by_hand() -> None:
    random = generator(0, "test")
    assert perturbed.exchange_numbers("3 plus 4", random) == "4 plus 3"
    assert re.fullmatch(r"step [1-9]\d*", perturbed.exchange_numbers("step 5", random) or "")
    assert perturbed.exchange_numbers("none", random) is None
    assert perturbed.exchange_operator("2 plus 3", random) == "2 minus 3"
    assert perturbed.exchange_operator("a well-known 2 × 3", random) == "a well-known 2 ÷ 3"
    assert perturbed.exchange_operator("nothing", random) is None
    assert perturbed.drop_step("one", random) is None
    assert perturbed.drop_step("a . b", random) in ("a", "b")
    assert perturbed.reorder_steps("A. B.", random) == "B. A."
    assert perturbed.reorder_steps("same\nsame", random) is None


def candidates(*sources: str) -> list[Candidate]:
    return [
        Candidate(Rationale(n, "x", "t", None, "miss", "negative", source), "t", []) for n, source in enumerate(sources)
    ]


def test_shares_draw_one_source_among_those_that_are_there() -> None:
    negatives = candidates("minority", "self", "minority", "peer")
    shares = {"minority": 0.5, "self": 0.3, "fixed": 5.0, "peer": 0.2}
    assert mixed.drawn({}, negatives, 0.9) == tuple(negatives)
    assert mixed.drawn(shares, [], 0.5) == ()
    draws = [(n + 0.5) / 1000 for n in range(1000)]
    found = Counter(tuple(c.rationale.source for c in mixed.drawn(shares, negatives, d)) for d in draws)
    assert found == {("minority", "minority"): 500, ("self",): 300, ("peer",): 200}
    assert [c.rationale.source for c in mixed.drawn(shares, candidates("self"), 0.999999)] == ["self"]


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"shares": {"self": 1.0}}, "give each source a share"),
        ({"sources": ["peer"]}, "go together"),
        ({"peers": ["3"]}, "go together"),
        ({"band": [0.8, 0.2]}, "lower quality comes first"),
    ],
)
def test_negatives_that_do_not_fit_together_are_refused(table, said) -> None:
    with pytest.raises(ValidationError, match=said):
        Negatives.model_validate(table)


def test_a_fixed_negative_lags_like_a_self_adversarial_one() -> None:
    assert Negatives(sources=("peer",), peers=(3, "runs/4")).peers == ("3", "runs/4")
    with pytest.raises(ValidationError, match="lag = 5 must be smaller"):
        RunSpec.model_validate({"method": {"name": "orpo", "negatives": {"sources": ["fixed"]}},
                                "training": {"iterations": 5}})  # fmt: skip


HOW = How(kind="number", max_new=8, drop_right=True)


def tiny_items(s, count: int = 4) -> list[Item]:
    random = torch.Generator().manual_seed(0)
    return [item(s, random, 2, 1) for _ in range(count)]


def test_fixed_negatives_are_kept_in_the_checkpoint(tmp_path: Path) -> None:
    s = student()
    found = fixed.write(s, tiny_items(s), Negatives(sources=("fixed",), lag=3), seed=0, first_number=5, how=HOW)
    assert {(r.source, r.iteration) for r in found} == {("fixed", 3)}
    trained = Trained(s.model, torch.optim.AdamW(s.model.parameters()))
    save(tmp_path, trained, Progress(step=1, fixed=found))
    assert load(tmp_path, 1, trained).fixed == found


def test_a_peer_writes_from_its_own_folder_and_is_asked_once(tmp_path: Path) -> None:
    s = student()
    s.save(tmp_path / "peer")
    items = tiny_items(s)
    spec = RunSpec.model_validate(
        {"method": {"name": "orpo", "negatives": {"sources": ["peer", "perturbed"], "peers": [str(tmp_path / "peer")]}}}
    )
    folder = tmp_path / "run"
    folder.mkdir()
    made = prepared.prepare(spec, items, folder, [tmp_path / "peer"], None, first_number=10, how=HOW)
    assert {r.source for r in made} == {"peer", "perturbed"}
    assert [r.number for r in made] == list(range(10, 10 + len(made)))
    assert {r.slot for r in made if r.source == "peer"} == {6}  # after five samples and one perturbed
    again = prepared.prepare(spec, items, folder, [Path("gone")], None, first_number=10, how=HOW)
    assert again == made
    whole = prepared.joined(spec, items, made, s)
    kept = sum(r.polarity == "negative" for r in made)
    # the tiny items share one id, so each has all of them
    assert [len(x.negatives) for x in whole] == [1 + kept] * len(items)


def test_a_band_keeps_what_its_own_judge_scores_within_it(tmp_path: Path) -> None:
    s = student()
    items = tiny_items(s)
    examples = [Judged("q", ("ben has two",), ("ben loses two",))]

    def band(low: float, high: float):
        table = {"band": [low, high]}
        spec = RunSpec.model_validate({"method": {"name": "orpo", "negatives": table}})
        return judge_of(spec, s, examples, examples, tmp_path, lambda step, loss: None)

    everything = band(0.0, 1.0)
    assert everything is not None
    assert everything.keep(items) == items
    pairs = [(x.example.question, c.text) for x in items for c in x.negatives]
    scores = everything.judge.judge([everything.judge.pair(*p) for p in pairs]).tolist()
    middle = sorted(scores)[1]
    half = band(middle, 1.0)  # the judge comes back from the run's folder
    assert half is not None
    assert half.within(pairs) == [score >= middle for score in scores]
    written = [Rationale(n, str(n), text, None, "miss", "negative", "self") for n, (_, text) in enumerate(pairs)]
    questions = {str(n): q for n, (q, _) in enumerate(pairs)}
    dropped = [r.polarity == "dropped" for r in half.sort(written, questions)]
    assert dropped == [score < middle for score in scores]
    assert {r.reason for r in half.sort(written, questions)} == {"", "band"}


def test_what_the_band_takes_from_a_vote_is_told_apart() -> None:
    s = student()
    one, two = (
        [replace(c, rationale=replace(c.rationale, number=n)) for n, c in enumerate(x.negatives, 10 * i)]
        for i, x in enumerate([item(s, torch.Generator().manual_seed(0), 1, 3) for _ in range(2)])
    )
    unused = Rationale(99, "x", "t", "4", "strict", "negative", "minority")
    voted = Voted(Example("x", "q"), "3", 3, 4, False, (), (*(c.rationale for c in one), unused))
    other = Voted(Example("y", "q"), "3", 3, 4, False, (), tuple(c.rationale for c in two))
    whole = [replace(item(s, torch.Generator().manual_seed(0), 1, 0), negatives=tuple(some)) for some in (one, two)]
    left = [replace(whole[0], negatives=(one[1],)), whole[1]]
    first, second = marked((voted, other), whole, left)
    assert [r.number for r in first.negatives] == [1, 99]  # the last one was never an item's
    assert [(r.number, r.polarity, r.reason) for r in first.others] == [(0, "dropped", "band"), (2, "dropped", "band")]
    assert second == other


def test_a_peer_that_is_not_there_is_named(tmp_path: Path) -> None:
    from engine.errors import UsageError
    from engine.store.runs.run import create_run

    database = tmp_path / "experiments.db"
    create_run(database, RunSpec())
    for name, said in (("9", "there is no run 9"), ("1", "no exported student"), (str(tmp_path), "no exported")):
        with pytest.raises(UsageError, match=said):
            peer.folders(Negatives(sources=("peer",), peers=(name,)), database)
