"""The scripted teacher: as right and as wrong as the recipe says."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from engine.data.arithmetic import generate
from engine.spec.sections import ArithmeticConfig
from engine.teacher.builtin import ERRS, answer


def test_answers_are_deterministic_and_vary_with_the_seed() -> None:
    question = generate(0, ArithmeticConfig(train=1, validation=1, test=1, unseen=1)).splits["train"][0].question
    assert answer(question, 3) == answer(question, 3)
    assert len({answer(question, seed) for seed in range(30)}) >= 4


def test_accuracy_votes_and_unanimity_match_the_recipe() -> None:
    examples = generate(0, ArithmeticConfig(train=2000, validation=1, test=1, unseen=1)).splits["train"]
    right = votes_right = unanimous = positives = wrong_unanimous = 0
    for example in examples:
        answers = [answer(example.question, slot).rsplit(" ", 1)[1] for slot in range(5)]
        winner, size = Counter(answers).most_common(1)[0]
        right += sum(a == example.answer for a in answers)
        votes_right += winner == example.answer
        positives += size
        unanimous += size == 5
        wrong_unanimous += size >= 3 and winner != example.answer
    n = len(examples)
    assert 0.70 <= right / (5 * n) <= 0.76
    assert 0.86 <= votes_right / n <= 0.92
    assert 3.7 <= positives / n <= 4.1
    assert 0.25 <= unanimous / n <= 0.36
    assert wrong_unanimous / n >= 0.05  # the shared misconceptions: the vote is not just a matter of more samples


def test_every_rationale_ends_in_its_answer_and_stays_in_the_small_vocabulary() -> None:
    words: set[str] = set()
    openings: set[str] = set()
    for example in generate(0, ArithmeticConfig(train=300, validation=1, test=1, unseen=1)).splits["train"]:
        text = answer(example.question, 0)
        layout, rationale, given = text.partition(" ")[0], text.split(": ", 1)[1].split(" . <Answer>: ")[0], text[-2:]
        assert layout == "<Explanation>:"
        assert rationale.split(" ")[-1] == given.strip()
        words.update(rationale.split(" "))
        openings.add(rationale.split(" ")[0] if not rationale[0].isdigit() else "number")
    assert len(openings) >= 4
    assert len(words) < 50


@given(st.text(), st.integers())
def test_any_other_text_gets_a_reply_without_an_answer(text: str, seed: int) -> None:
    assert "<Answer>" not in answer(text, seed)


def test_all_samples_of_the_careful_teacher_agree_on_half_of_the_questions() -> None:
    examples = generate(0, ArithmeticConfig(train=1500)).splits["train"]
    errs = ERRS["arithmetic-careful"]
    unanimous = sum(len({answer(x.question, slot, errs).rsplit(" ", 1)[1] for slot in range(5)}) == 1 for x in examples)
    assert 0.45 <= unanimous / len(examples) <= 0.55


def test_questions_of_one_step_are_answered_and_sometimes_wrong() -> None:
    only = ArithmeticConfig(train=80, validation=1, test=1, unseen=0, steps=(1,))
    examples = generate(0, only).splits["train"]
    right = [answer(x.question, slot).endswith(f" {x.answer}") for x in examples for slot in range(5)]
    assert 0.5 < sum(right) / len(right) < 1
