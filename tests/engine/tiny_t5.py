"""A tiny T5 student on a small text, for tests of everything that stands on one."""

import torch
from transformers import T5ForConditionalGeneration

from engine.records import Example, Polarity, Rationale
from engine.students import tiny
from engine.students.t5 import T5Student
from engine.training.batches import Candidate, Item

WORDS = "ben has two three four five apples first then he finds loses more makes Answer: 1 2 3 4 5 6 7 8 9".split()


def student(dropout: float = 0.0, seed: int = 0) -> T5Student:
    tokenizer = tiny.build_tokenizer(["predict: explain: " + " ".join(WORDS)])
    torch.manual_seed(seed)
    model = T5ForConditionalGeneration(tiny.config(tokenizer, dropout))
    # larger than T5's own start, so that cross-entropies differ and the hinge has both sides
    with torch.no_grad():
        for p in model.parameters():
            p.mul_(1.5)
    return T5Student(
        model, tokenizer, device=torch.device("cpu"), bf16=False, max_prompt=64, max_target=64, position_bias_lr=20.0
    )


def text(generator: torch.Generator, shortest: int = 1, longest: int = 12) -> str:
    length = int(torch.randint(shortest, longest + 1, (1,), generator=generator))
    return " ".join(WORDS[int(i)] for i in torch.randint(len(WORDS), (length,), generator=generator))


def rationale(number: int, words: str, polarity: Polarity, source: str = "teacher") -> Rationale:
    return Rationale(number, "x", words, "3", "strict", polarity, source)


def item(s: T5Student, generator: torch.Generator, positives: int, negatives: int, label: bool = True) -> Item:
    question = text(generator, 4)

    def candidates(count: int, polarity: Polarity) -> tuple[Candidate, ...]:
        made = []
        for number in range(count):
            words = text(generator)
            made.append(Candidate(rationale(number, words, polarity), words, s.target(words)))
        return tuple(made)

    return Item(
        example=Example("x", question, "3"),
        predict=s.prompt(f"predict: {question}"),
        explain=s.prompt(f"explain: {question}"),
        label=s.target("3") if label else None,
        answer="3" if label else None,
        positives=candidates(positives, "positive"),
        negatives=candidates(negatives, "negative"),
    )
