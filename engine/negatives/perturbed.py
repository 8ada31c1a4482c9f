"""Positives made wrong without a model: numbers or operators exchanged, steps dropped or reordered."""

import re
from collections.abc import Callable, Sequence

import torch

from engine.answers.kinds import equal, join, parse
from engine.negatives.sampled import right_answer
from engine.randomness import generator
from engine.records import Rationale
from engine.spec.negatives import Negatives
from engine.spec.sections import AnswerKind
from engine.training.batches import Item

ATTEMPTS = 3
"""Tries of each kind of change before an example goes without."""
NUMBER = re.compile(r"(?<![\w.])\d+(?:\.\d+)?(?![\w])")
SIGN = re.compile(r"(?<=[\d)\s])[-+*/×÷−](?=[\s\d($])")
BETWEEN_STEPS = re.compile(r"(\s+[.;]\s+|\s*\n\s*|(?<=[.!?;])\s+)")
SIGNS = {"+": "-", "-": "+", "−": "+", "*": "/", "/": "*", "×": "÷", "÷": "×"}
PAIRS = (
    ("plus", "minus"), ("add", "take"), ("adds", "takes"), ("adding", "taking"), ("added", "subtracted"),
    ("gains", "loses"), ("more", "fewer"), ("times", "over"), ("multiply", "divide"), ("multiplied", "divided"),
    ("sum", "difference"), ("product", "quotient"), ("increases", "decreases"), ("before", "after"),
)  # fmt: skip
WORDS = {**dict(PAIRS), **{b: a for a, b in PAIRS}}
OPERATOR_WORD = re.compile(rf"\b(?:{'|'.join(WORDS)})\b")
Change = Callable[[str, torch.Generator], str | None]


def write(
    items: Sequence[Item], config: Negatives, *, kind: AnswerKind, seed: int, first_number: int, first_slot: int
) -> list[Rationale]:
    """At most `per_example` for each item that has a positive, from a stream of the example's own.

    None reads as a positive of its example, and none ends in the answer of one: an item none can be made for has none.
    """
    written: list[Rationale] = []
    for item in items:
        random = generator(seed, "perturbed", item.example.id)
        taken = {_plain(c.rationale.text) for c in item.positives}
        for nth in range(config.per_example if item.positives else 0):
            found = _one(item, kind, taken, random)
            if found is None:
                break
            taken.add(_plain(found[0]))
            written.append(
                Rationale(
                    number=first_number + len(written),
                    example_id=item.example.id,
                    text=found[0],
                    answer=found[1],
                    rule="strict",
                    polarity="negative",
                    source="perturbed",
                    slot=first_slot + nth,
                )
            )
    return written


def _one(item: Item, kind: AnswerKind, taken: set[str], random: torch.Generator) -> tuple[str, str | None] | None:
    """(text, answer) of one that differs from what is taken and ends wrong."""
    right = [a for a in (right_answer(item), *(c.rationale.answer for c in item.positives)) if a is not None]
    texts = [c.rationale.text for c in item.positives]
    for _ in range(ATTEMPTS):
        for at in torch.randperm(len(CHANGES), generator=random).tolist():
            changed = CHANGES[at](texts[_below(len(texts), random)], random)
            if changed is None or not changed.strip():
                continue
            found = _ended_wrong(changed, item, kind, right, random)
            if found is not None and _plain(found[0]) not in taken:
                return found
    return None


def _ended_wrong(
    text: str, item: Item, kind: AnswerKind, right: Sequence[str], random: torch.Generator
) -> tuple[str, str | None] | None:
    """The text with a wrong answer: the one it now ends in, else one made of the right one, put in its place too."""

    def is_right(answer: str | None) -> bool:
        return answer is not None and any(equal(kind, one, answer) for one in right)

    answer = parse(kind, text, item.example.choices).answer
    if answer is None or is_right(answer):
        made = _wrong(answer or (right[0] if right else ""), item, random)
        if answer is not None and made is not None:
            head, found, tail = text.rpartition(answer)
            text = head + made + tail if found else text
        answer = made
    target = text if answer is None else join(text, answer)
    ends = (answer, parse(kind, target, item.example.choices).answer, parse(kind, text, item.example.choices).answer)
    return None if any(map(is_right, ends)) else (text, answer)


def _wrong(answer: str, item: Item, random: torch.Generator) -> str | None:
    """Another option where there are options, else the answer with a number exchanged; None where it has neither."""
    options = [c for c in item.example.choices if c != answer]
    return options[_below(len(options), random)] if options else exchange_numbers(answer, random)


def exchange_numbers(text: str, random: torch.Generator) -> str | None:
    """Two different numbers change places; where there are not two, one is off by one to three."""
    found = list(NUMBER.finditer(text))
    if not found:
        return None
    a = found[_below(len(found), random)]
    others = [m for m in found if m[0] != a[0]]
    if not others:
        off = 1 + _below(3, random)
        whole, dot, rest = a[0].partition(".")
        changed = str(int(whole) + off if _below(2, random) or int(whole) < off else int(whole) - off)
        return text[: a.start()] + changed + dot + rest + text[a.end() :]
    first, second = sorted((a, others[_below(len(others), random)]), key=lambda m: m.start())
    middle = text[first.end() : second.start()]
    return text[: first.start()] + second[0] + middle + first[0] + text[second.end() :]


def exchange_operator(text: str, random: torch.Generator) -> str | None:
    """One sign or word of arithmetic becomes its opposite."""
    found = [*SIGN.finditer(text), *OPERATOR_WORD.finditer(text)]
    if not found:
        return None
    hit = found[_below(len(found), random)]
    return text[: hit.start()] + {**SIGNS, **WORDS}[hit[0]] + text[hit.end() :]


def drop_step(text: str, random: torch.Generator) -> str | None:
    """One step, with what separates it from the next, is left out."""
    parts = BETWEEN_STEPS.split(text)  # step, separator, step, ...
    if len(parts) < 3:
        return None
    at = 2 * _below(len(parts) // 2 + 1, random)
    kept = parts[: at - 1] if at == len(parts) - 1 else parts[:at] + parts[at + 2 :]
    return "".join(kept)


def reorder_steps(text: str, random: torch.Generator) -> str | None:
    """Two different steps change places."""
    parts = BETWEEN_STEPS.split(text)
    a = 2 * _below(len(parts) // 2 + 1, random)
    others = [b for b in range(0, len(parts), 2) if parts[b] != parts[a]]
    if not others:
        return None
    b = others[_below(len(others), random)]
    parts[a], parts[b] = parts[b], parts[a]
    return "".join(parts)


CHANGES: tuple[Change, ...] = (exchange_numbers, exchange_operator, drop_step, reorder_steps)


def _below(count: int, random: torch.Generator) -> int:
    return int(torch.randint(count, (1,), generator=random))


def _plain(text: str) -> str:
    return " ".join(text.split())
