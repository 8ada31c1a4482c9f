"""The built-in task: its recipe, its splits, and reading a question back."""

import string

from hypothesis import given
from hypothesis import strategies as st

from engine.data.arithmetic import generate, parse
from engine.data.hashing import dataset_hash
from engine.spec.sections import ArithmeticConfig


def _operations(question: str) -> tuple[tuple[str, int], ...]:
    problem = parse(question)
    assert problem is not None
    return tuple((sign, n) for _, sign, n in problem.ops)


def test_same_seed_same_questions_and_other_seed_others() -> None:
    assert generate(3) == generate(3)
    assert generate(3).hash != generate(4).hash
    assert len(generate(3).hash) == 64


def test_splits_have_the_sizes_asked_for_and_share_no_question() -> None:
    data = generate(0, ArithmeticConfig(train=300, validation=40, test=50, unseen=60))
    assert {split: len(examples) for split, examples in data.splits.items()} == {
        "train": 300,
        "validation": 40,
        "test": 50,
        "unseen": 60,
    }
    questions = [e.question for examples in data.splits.values() for e in examples]
    assert len(set(questions)) == len(questions)
    ids = [e.id for examples in data.splits.values() for e in examples]
    assert len(set(ids)) == len(ids)
    assert ids[17] == "train-00017"


def test_unseen_sequences_of_operations_occur_nowhere_else() -> None:
    splits = generate(1).splits
    unseen = {_operations(e.question) for e in splits["unseen"]}
    others = {_operations(e.question) for s in ("train", "validation", "test") for e in splits[s]}
    assert unseen
    assert not unseen & others


def test_test_splits_do_not_depend_on_the_size_of_training() -> None:
    small, large = generate(0, ArithmeticConfig(train=10)).splits, generate(0, ArithmeticConfig(train=1000)).splits
    assert small["test"] == large["test"]
    assert small["unseen"] == large["unseen"]


def test_every_question_follows_the_recipe() -> None:
    data = generate(0)
    words: set[str] = set()
    lengths = []
    for examples in data.splits.values():
        for example in examples:
            problem = parse(example.question)
            assert problem is not None
            assert str(problem.answer) == example.answer
            totals = [problem.start]
            for _, sign, n in problem.ops:
                assert 1 <= n <= 4
                totals.append(totals[-1] + (n if sign == "+" else -n))
            assert len(problem.ops) in (2, 3)
            assert all(0 <= t <= 15 for t in totals)
            tokens = example.question.split(" ")
            assert all(t.isalnum() or t in ".?" for t in tokens)
            words.update(tokens)
            lengths.append(len(tokens))
    assert 25 < sum(lengths) / len(lengths) < 30
    assert 60 < len(words) < 110
    assert all(w == w.lower() for w in words)


def test_parse_reads_the_example_of_the_console() -> None:
    problem = parse(
        "ben has 8 apples . first he finds 4 more . tom has 4 books . then he sells 4 . finally he buys 1 . "
        "how many apples does ben have now ?"
    )
    assert problem is not None
    assert (problem.person, problem.item, problem.start, problem.answer) == ("ben", "apples", 8, 9)
    assert problem.ops == (("finds", "+", 4), ("sells", "-", 4), ("buys", "+", 1))
    assert problem.distractors == (4,)


@given(st.text() | st.text(alphabet=string.ascii_lowercase + string.digits + " .?"))
def test_parse_survives_any_text(text: str) -> None:
    parse(text)
    parse(f"ben has {text} apples . how many apples does ben have now ?")


def test_hash_depends_on_order_split_and_answer() -> None:
    splits = generate(0, ArithmeticConfig(train=3, validation=1, test=1, unseen=1)).splits
    reordered = {**splits, "train": splits["train"][::-1]}
    swapped = {**splits, "validation": splits["test"], "test": splits["validation"]}
    assert len({dataset_hash(splits), dataset_hash(reordered), dataset_hash(swapped)}) == 3


def test_only_questions_of_the_asked_number_of_steps_are_made() -> None:
    small = {"train": 60, "validation": 5, "test": 20, "unseen": 10}
    for steps in ((1,), (3,), (1, 3)):
        splits = generate(0, ArithmeticConfig(steps=steps, **small)).splits
        problems = [(parse(x.question), x.answer) for part in splits.values() for x in part]
        assert {len(p.ops) for p, _ in problems if p} == set(steps)
        assert all(p and str(p.answer) == answer for p, answer in problems)
