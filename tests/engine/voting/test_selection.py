"""Selection after the vote: what each check drops, why, and what the methods then see."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.methods.table import METHODS
from engine.records import Example, Sample, Voted, all_rationales
from engine.spec.methods import METHOD_MODELS
from engine.spec.selection import SelectionConfig
from engine.training.batches import items
from engine.voting.selection import REASONS, select, unread
from engine.voting.step_judge import messages, sound, steps
from engine.voting.vote import Vote, vote


def voted(*samples: tuple[str, str], gold: str | None = "4", labels: str = "teacher") -> Vote:
    """The vote over one question whose samples are (rationale, answer)."""
    made = [Sample("q", i, f"{text} Answer: {answer}") for i, (text, answer) in enumerate(samples)]
    return vote([Example("q", "2 + 2?", gold)], {"q": made}, kind="number", tie="drop", labels=labels,
                drop_right_negatives="auto")  # fmt: skip


def chosen(given: Vote, labels: str = "teacher", ask=None, **config) -> tuple[Voted, dict[str, float]]:
    found = select(given, SelectionConfig(**config), kind="number", labels=labels, ask=ask)
    return found.voted[0], found.facts


def fates(one: Voted) -> list[str]:
    return [r.reason or r.polarity for r in all_rationales([one])]


FOUR = ("Two and two make four.", "4")
FIVE = ("Two and two make five.", "5")


def test_without_checks_nothing_changes():
    given = voted(FOUR, FOUR, FIVE)
    assert select(given, SelectionConfig(), kind="number", labels="teacher") == given


def test_the_vote_says_why_it_drops():
    assert fates(voted(FOUR, FIVE).voted[0]) == ["no vote", "no vote"]
    assert fates(voted(("", "4"), FOUR, FIVE).voted[0]) == ["no rationale", "positive", "negative"]


def test_lengths_of_positives_and_negatives():
    given = voted(("Four.", "4"), ("One two three four five.", "4"), ("a b c", "4"), ("No no no no no no.", "5"))
    one, facts = chosen(given, min_words=2, max_words=5)
    assert fates(one) == ["too short", "positive", "positive", "too long"]
    assert (facts["dropped/too short"], facts["dropped/too long"]) == (1, 1)
    assert facts["positives per example"] == 2
    assert facts["negatives per example"] == 0
    assert facts["no negative"] == 1
    assert fates(chosen(given, min_characters=6)[0]) == ["too short", "positive", "too short", "negative"]
    assert fates(chosen(given, max_characters=5)[0]) == ["positive", "too long", "positive", "too long"]
    assert "dropped/not gold" not in facts, "a check that is off counts nothing"


def test_gold_leaves_out_questions_whose_vote_is_wrong():
    wrong, facts = chosen(voted(FIVE, FIVE, FOUR), require_gold=True)
    assert fates(wrong) == ["not gold", "not gold", "not gold"]
    assert (facts["rejected"], facts["dropped/not gold"], facts["vote accuracy"]) == (1, 3, 0)
    assert wrong.answer == "5", "the vote stays what it was"
    for name, method in METHODS.items():
        seen = method.supervise(METHOD_MODELS[name](), wrong, "teacher")
        assert (seen.positives, seen.negatives) == ((), ())
        assert seen.label in (None, "4"), name
    assert fates(chosen(voted(FOUR, FOUR, FIVE), require_gold=True)[0]) == ["positive", "positive", "negative"]
    assert not chosen(voted(FIVE, FIVE, FOUR, gold=None), require_gold=True)[0].rejected
    by_gold = voted(FIVE, FIVE, FOUR, labels="gold")
    assert fates(chosen(by_gold, "gold", require_gold=True)[0]) == ["negative", "negative", "positive"]


def test_near_duplicates_the_first_stays():
    a = ("First 3 and 4 make 7 pears, then 7 less 3 leave 4 of them.", "4")
    b = ("first 3  and 4 make 7 pears,\nthen 7 less 3 leave 4 of those.", "4")
    c = ("Four are left since three of the four plus three are gone.", "4")
    given = voted(a, c, b, ("first 3 and 4 make 7 pears, then 7 less 3 leave 5 of them.", "5"))
    assert fates(chosen(given, near_duplicate=0.7)[0]) == ["positive", "positive", "near duplicate", "negative"]
    assert fates(chosen(given, near_duplicate=1.0)[0]) == ["positive", "positive", "positive", "negative"]
    assert fates(chosen(voted(("7 - 3", "4"), ("3 - 7", "4")), near_duplicate=0.7)[0]) == ["positive"] * 2


def test_dss_of_the_first_sample_takes_the_first_that_was_selected():
    one, _ = chosen(voted(("No.", "5"), FOUR, FOUR), min_words=2)
    seen = METHODS["dss"].supervise(METHOD_MODELS["dss"](samples="first"), one, "teacher")
    assert (seen.label, seen.positives[0].slot) == ("4", 1)


def test_the_judge_is_asked_of_each_positive_and_what_it_cannot_say_stays():
    asked = []

    def ask(requests):
        asked.extend(requests)
        return ["1: yes\n2: yes", "1: yes\n2: no", "I think so", None]

    two = ("One step. Two steps.", "4")
    one, facts = chosen(voted(two, two, two, FIVE, two), ask=ask, judge={"model": "openai/judge"})
    assert fates(one) == ["positive", "unsound step", "positive", "negative", "positive"]
    assert (facts["judged"], facts["judge unreadable"], facts["dropped/unsound step"]) == (2, 2, 1)
    assert asked[0][1]["content"] == "Question: 2 + 2?\n\nSteps:\n1. One step.\n2. Two steps."
    assert "yes" in asked[0][0]["content"]


@pytest.mark.parametrize(("read", "lost", "warned"), [(0, 0, False), (2, 2, False), (2, 3, True), (0, 4, True)])
def test_a_judge_that_is_mostly_unreadable_is_told_of(read, lost, warned):
    warning = unread({"judged": read, "judge unreadable": lost})
    assert (warning is not None) == warned
    if warning is not None:
        assert warning.startswith(f"{lost} of {read + lost} replies")
    assert unread({}) is None


@pytest.mark.parametrize("unit", ["words", "characters"])
def test_lengths_that_nothing_has_are_refused(unit):
    with pytest.raises(ValueError, match=f"min_{unit} = 3 is above max_{unit} = 2"):
        SelectionConfig(**{f"min_{unit}": 3, f"max_{unit}": 2})
    SelectionConfig(**{f"min_{unit}": 2, f"max_{unit}": 2})


@pytest.mark.parametrize(
    ("reply", "verdict"),
    [
        ("1: yes\n2: yes", True),
        ("1. Yes\n\n2) YES, it follows", True),
        ("Step 1: yes\nStep 2: no", False),
        ("1: yes", None),
        ("1: yes\n2: yes\n3: yes", None),
        ("1: yes\n2: yes\n2: no", None),
        ("Sure!\n1: yes\n2: yes", None),
        ("1: yesterday\n2: yes", None),
        ("", None),
        (None, None),
    ],
)
def test_a_verdict_has_one_line_for_each_step(reply, verdict):
    assert sound("One step. Two steps.", reply) is verdict


@given(st.text(max_size=300), st.text(max_size=100))
def test_steps_and_verdicts_of_any_text(text, reply):
    found = steps(text)
    assert "".join("".join(found).split()) == "".join(text.split())
    assert all(found)
    assert f"Steps:\n{'1. ' if found else ''}" in messages(Example("q", "?"), text)[1]["content"]
    assert sound(text, "\n".join(f"{i}: yes" for i in range(1, len(found) + 1))) is True
    sound(text, reply)


sentences = st.lists(st.sampled_from("two and make four less is so x".split()), max_size=6).map(" ".join)


@given(
    st.lists(st.tuples(sentences, st.sampled_from("45")), max_size=6),
    st.sampled_from([None, 0.3, 0.9]),
    st.sampled_from([None, 2]),
    st.booleans(),
    st.sampled_from(["4", "6", None]),
)
def test_no_rationale_is_lost_and_none_comes_back(samples, near, least, gold_only, gold):
    given_ = voted(*samples, gold=gold)
    one, facts = chosen(given_, near_duplicate=near, min_words=least, require_gold=gold_only)
    before = given_.voted[0]
    assert [r.number for r in all_rationales([one])] == [r.number for r in all_rationales([before])]
    assert set(one.positives) <= set(before.positives)
    assert set(one.negatives) <= set(before.negatives)
    gone = [r for r in one.others if r.reason in REASONS]
    assert len(gone) == sum(v for k, v in facts.items() if k.startswith("dropped/"))
    assert all(r.polarity == "dropped" for r in gone)
    if one.rejected:
        assert not items(None, METHODS["qcrd"], METHOD_MODELS["qcrd"](), [one], labels="teacher",
                         answer_in_rationale=True)  # fmt: skip
