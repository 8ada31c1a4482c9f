"""The built-in task: multi-step word problems with distractors, seeded, small enough to learn on two CPU cores.

A number is one word and so is every punctuation mark, so a whitespace tokeniser works. Ordinals ("first", "then",
"finally") mark the steps; a sentence about another person's things belongs to no step.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from engine.data.hashing import dataset_hash
from engine.errors import UsageError
from engine.records import Dataset, Example
from engine.spec.sections import ArithmeticConfig

HE = ("ben", "tom", "sam", "leo", "max", "dan", "jim", "ned")
SHE = ("anna", "mia", "eva", "ida", "zoe", "amy", "lily", "kate")
ITEMS = ("apples", "books", "coins", "shells", "cards", "pens", "eggs", "stones",
         "cups", "hats", "keys", "toys", "nuts", "beads", "stamps", "marbles")  # fmt: skip
GAINS = ("finds", "buys", "gets", "wins", "picks", "earns", "collects")
LOSSES = ("sells", "loses", "drops", "gives", "breaks", "trades", "spends")
ORDINALS = ("first", "then", "finally")
LARGEST = 15
"""Totals stay within 0 to this."""
OPERANDS = (1, 2, 3, 4)
USUAL = ArithmeticConfig()
HELD_OUT_SHARE = 0.2
"""Of the sequences of operations, kept for the split "unseen"."""

_PRONOUN = dict.fromkeys(HE, "he") | dict.fromkeys(SHE, "she")
_SIGN = dict.fromkeys(GAINS, "+") | dict.fromkeys(LOSSES, "-")

Operations = tuple[tuple[str, int], ...]
"""Signs and operands, in order: (("+", 4), ("-", 1))."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A question as data."""

    person: str
    item: str
    start: int
    ops: tuple[tuple[str, str, int], ...]
    """(verb, "+" or "-", operand) of each step."""
    distractors: tuple[int, ...]
    """The numbers of sentences about somebody else."""

    @property
    def answer(self) -> int:
        """What the person has in the end."""
        return self.start + sum(n if sign == "+" else -n for _, sign, n in self.ops)


def generate(seed: int, config: ArithmeticConfig = USUAL) -> Dataset:
    """Splits "train", "validation", "test" and "unseen", no question twice; equal seeds give equal questions.

    The sequences of operations (signs with operands, such as +4 -4 +1) of "unseen" occur in no other split. The test
    splits do not change with the size of the training split.
    """
    seen_operations, held_out = _sequences(seed)
    sizes = {"test": config.test, "unseen": config.unseen, "validation": config.validation, "train": config.train}
    taken: set[str] = set()
    made: dict[str, tuple[Example, ...]] = {}
    for split, size in sizes.items():
        pools = held_out if split == "unseen" else seen_operations
        made[split] = _split(split, size, pools, config.steps, random.Random(f"{seed} {split}"), taken)
    splits = {split: made[split] for split in ("train", "validation", "test", "unseen")}
    return Dataset(name="arithmetic", splits=splits, hash=dataset_hash(splits))


def parse(question: str) -> Problem | None:
    """The problem that a question of `generate` states, from its text alone; None for any other text."""
    sentences = [s.split() for s in question.removesuffix("?").split(" . ")]
    match sentences[-1]:
        case ["how", "many", item, "does", person, "have", "now"]:
            pass
        case _:
            return None
    start: int | None = None
    ops: list[tuple[str, str, int]] = []
    distractors: list[int] = []
    for words in sentences[:-1]:
        match words:
            case [who, "has", number, what] if who == person and what == item and start is None and _is_number(number):
                start = int(number)
            case [ordinal, pronoun, verb, number, *rest] if (
                len(ops) < len(ORDINALS)
                and ordinal == ORDINALS[len(ops)]
                and pronoun == _PRONOUN.get(person)
                and verb in _SIGN
                and _is_number(number)
                and rest in ([], ["more"])
            ):
                ops.append((verb, _SIGN[verb], int(number)))
            case [who, _, number, what] if who != person and what != item and _is_number(number):
                distractors.append(int(number))
            case _:
                return None
    if start is None or not ops:
        return None
    return Problem(person, item, start, tuple(ops), tuple(distractors))


def _is_number(word: str) -> bool:
    return word.isascii() and word.isdigit() and len(word) <= 2


def _sequences(seed: int) -> tuple[dict[int, list[Operations]], dict[int, list[Operations]]]:
    """All sequences of one to three operations, by length: those for training, and those held out."""
    single = [(sign, n) for sign in "+-" for n in OPERANDS]
    twos: list[Operations] = [(a, b) for a in single for b in single]
    threes: list[Operations] = [(*ab, c) for ab in twos for c in single]
    rng = random.Random(f"{seed} sequences")
    kept: dict[int, list[Operations]] = {}
    held_out: dict[int, list[Operations]] = {}
    ones: list[Operations] = [(a,) for a in single]
    for steps, pool in ((2, twos), (3, threes), (1, ones)):
        rng.shuffle(pool)
        cut = round(len(pool) * HELD_OUT_SHARE)
        held_out[steps], kept[steps] = pool[:cut], pool[cut:]
    return kept, held_out


def _split(
    split: str,
    size: int,
    pools: dict[int, list[Operations]],
    steps: Sequence[int],
    rng: random.Random,
    taken: set[str],
) -> tuple[Example, ...]:
    examples: list[Example] = []
    for _ in range(100 + 20 * size):
        if len(examples) == size:
            break
        question, answer = _question(rng.choice(pools[rng.choice(steps)]), rng)
        if question not in taken:
            taken.add(question)
            examples.append(Example(f"{split}-{len(examples):05d}", question, str(answer)))
    if len(examples) < size:
        raise UsageError(f"arithmetic: no {size} different questions for the split {split!r}; ask for fewer")
    return tuple(examples)


def _question(operations: Operations, rng: random.Random) -> tuple[str, int]:
    """The text of one question, and its answer."""
    person = rng.choice((*HE, *SHE))
    item = rng.choice(ITEMS)
    changes = [n if sign == "+" else -n for sign, n in operations]
    totals = [sum(changes[:i]) for i in range(len(changes) + 1)]
    start = rng.randint(-min(totals), LARGEST - max(totals))
    sentences = []
    for ordinal, (sign, n) in zip(ORDINALS, operations, strict=False):
        verb = rng.choice(GAINS if sign == "+" else LOSSES)
        more = " more" if sign == "+" and rng.random() < 0.5 else ""
        sentences.append(f"{ordinal} {_PRONOUN[person]} {verb} {n}{more}")
    if rng.random() < 0.5:
        other = rng.choice([p for p in (*HE, *SHE) if p != person])
        thing = rng.choice([i for i in ITEMS if i != item])
        verb = rng.choice(("has", rng.choice((*GAINS, *LOSSES))))
        sentences.insert(rng.randint(0, len(sentences)), f"{other} {verb} {rng.choice(OPERANDS)} {thing}")
    text = " . ".join([f"{person} has {start} {item}", *sentences, f"how many {item} does {person} have now ?"])
    return text, start + totals[-1]
