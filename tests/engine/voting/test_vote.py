"""The vote: who wins, what becomes of each sample, and what is counted."""

import gzip
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.records import Example, Sample, all_rationales
from engine.voting.vote import vote


def run(*answers, gold="4", kind="number", tie="drop", labels="teacher", drop="auto", choices=()):
    """The vote over one example whose samples end in these answers; None: a sample without one."""
    texts = ["who knows" if a is None else f"because {i}. Answer: {a}" for i, a in enumerate(answers)]
    samples = [Sample("q", i, t) for i, t in enumerate(texts)]
    made = vote([Example("q", "?", gold, choices)], {"q": samples}, kind=kind, tie=tie, labels=labels,
                drop_right_negatives=drop)  # fmt: skip
    return made.voted[0], made.facts


def polarities(voted):
    return [r.polarity for r in all_rationales([voted])]


def test_the_largest_cluster_is_positive_and_the_rest_negative():
    voted, facts = run("5", "4", None, "4.0", "6", "4")
    assert (voted.answer, voted.votes, voted.parsed, voted.tie) == ("4", 3, 5, False)
    assert polarities(voted) == ["negative", "positive", "unparsed", "positive", "negative", "positive"]
    assert [r.source for r in voted.negatives] == ["minority", "minority"]
    assert [r.text for r in voted.positives] == ["because 1.", "because 3.", "because 5."]
    assert [r.slot for r in voted.negatives] == [0, 4]
    assert facts["rule/strict"] == 5
    assert facts["rule/miss"] == 1
    assert facts["sample accuracy"] == 0.5
    assert facts["vote accuracy"] == 1
    assert facts["positives per example"] == 3
    assert facts["no negative"] == 0


def test_a_tie_drops_the_example_or_takes_the_first_cluster():
    voted, facts = run("5", "4", "4", "5", None)
    assert (voted.answer, voted.votes, voted.tie) == (None, 2, True)
    assert polarities(voted) == ["dropped"] * 4 + ["unparsed"]
    assert [r.reason for r in all_rationales([voted])] == ["no vote"] * 4 + [""]
    assert facts["ties"] == 1
    assert facts["vote right"] == 0
    voted, facts = run("5", "4", "4", "5", tie="first")
    assert (voted.answer, voted.votes, voted.tie) == ("5", 2, True)
    assert polarities(voted) == ["positive", "negative", "negative", "positive"]
    assert facts["ties"] == 1


def test_the_vote_never_looks_at_gold():
    voted, facts = run("5", "5", "4", gold="4")
    assert polarities(voted) == ["positive", "positive", "negative"]
    assert facts["vote accuracy"] == 0
    without, _ = run("5", "5", "4", gold=None)
    assert polarities(without) == polarities(voted)


def test_gold_labels_overrule_the_vote_where_there_is_gold():
    voted, _ = run("5", "5", "4", labels="gold")
    assert voted.answer == "5"
    assert polarities(voted) == ["negative", "negative", "positive"]
    assert polarities(run("5", "4", labels="gold")[0]) == ["negative", "positive"], "a tie matters not"
    voted, facts = run("5", "5", "4", gold=None, labels="gold")
    assert polarities(voted) == ["positive", "positive", "negative"]
    assert "vote accuracy" not in facts
    assert facts["vote total"] == 0


def test_a_negative_that_equals_the_winner_after_all_is_dropped():
    # equality of choices is by letter or by text; of numbers and equations by value, where there is one. Latex is not
    # transitive: "x=4" equals "4" and "4" equals "k=4", but "x=4" does not equal "k=4".
    answers = ("$x=4$", "$4$", "$k=4$", "$k=4$", "$k=4$")
    voted, facts = run(*answers, kind="latex")
    assert voted.answer == "k=4"
    assert polarities(voted)[:2] == ["negative", "dropped"] or polarities(voted)[:2] == ["dropped", "dropped"]
    assert facts["right negatives dropped"] >= 1
    kept, facts = run(*answers, kind="latex", drop="never")
    assert polarities(kept)[:2] == ["negative", "negative"]
    assert facts["right negatives dropped"] == 0


def test_an_answer_without_a_rationale_votes_but_is_never_trained_on():
    samples = [Sample("q", 0, "Answer: 4"), Sample("q", 1, "so. Answer: 4"), Sample("q", 2, "hm. Answer: 5")]
    made = vote([Example("q", "?")], {"q": samples}, kind="number", tie="drop", labels="teacher",
                drop_right_negatives="auto")  # fmt: skip
    assert made.voted[0].votes == 2
    assert polarities(made.voted[0]) == ["dropped", "positive", "negative"]
    assert made.facts["empty rationales"] == 1


def test_no_samples_and_no_answers_are_unanswered():
    assert run()[0].answer is None
    voted, facts = run(None, None)
    assert (voted.answer, voted.votes, voted.tie) == (None, 0, False)
    assert facts["unanswered"] == 1
    assert facts["vote accuracy"] == 0
    assert vote([], {}, kind="number", tie="drop", labels="teacher", drop_right_negatives="auto").voted == ()


@given(
    st.lists(st.lists(st.sampled_from(["1", "2", "3", None]), max_size=6), max_size=6),
    st.sampled_from(["drop", "first"]),
    st.sampled_from(["teacher", "gold"]),
)
def test_every_sample_has_one_rationale_numbered_in_order(answers, tie, labels):
    examples = [Example(f"q{i}", "?", "1" if i % 2 else None) for i in range(len(answers))]
    samples = {
        f"q{i}": [Sample(f"q{i}", s, "hm" if a is None else f"so. Answer: {a}") for s, a in enumerate(mine)][::-1]
        for i, mine in enumerate(answers)
    }
    made = vote(examples, samples, kind="number", tie=tie, labels=labels, drop_right_negatives="auto")
    rationales = all_rationales(made.voted)
    assert [r.number for r in rationales] == list(range(sum(map(len, answers))))
    assert [(r.example_id, r.slot) for r in rationales] == [
        (f"q{i}", s) for i, mine in enumerate(answers) for s in range(len(mine))
    ]
    assert sum(v for k, v in made.facts.items() if k.startswith("rule/")) == len(rationales) == made.facts["samples"]
    assert made == vote(examples, samples, kind="number", tie=tie, labels=labels, drop_right_negatives="auto")
    for v in made.voted:
        assert not {r.answer for r in v.positives} & {r.answer for r in v.negatives}
        if v.tie and tie == "drop" and (labels == "teacher" or v.example.answer is None):
            assert (v.answer, v.positives, v.negatives) == (None, (), ())


@pytest.mark.parametrize("name", ["math_prealgebra_gpt35x8", "math_number_theory_gpt35x8"])
def test_the_vote_over_recorded_solutions_is_better_than_one_of_them(shared_data, name):
    with gzip.open(shared_data / f"{name}.jsonl.gz", "rt", encoding="utf-8") as f:
        rows = [json.loads(line) for line in f][150:300]  # before them stands a power that takes its 2 s eight times
    made = vote(
        [Example(r["id"], r["question"], r["answer"] or None) for r in rows],
        {r["id"]: [Sample(r["id"], i, t) for i, t in enumerate(r["samples"])] for r in rows},
        kind="latex", tie="drop", labels="teacher", drop_right_negatives="auto",
    )  # fmt: skip
    assert made.facts["vote accuracy"] > made.facts["sample accuracy"] + 0.04
    assert made.facts["rule/boxed"] > 0.98 * 8 * len(rows)
