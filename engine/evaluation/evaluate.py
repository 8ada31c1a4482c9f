"""What a student answers: both heads, greedily, and how often it is right."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from engine.answers.kinds import equal, parse
from engine.evaluation.sampled import Sampled
from engine.parallel.ranks import ALONE, Ranks
from engine.randomness import derive, uniforms
from engine.records import Example
from engine.spec.sections import AnswerKind
from engine.students.seam import Student
from engine.training.batches import explain_prompt, predict_prompt
from engine.training.memory import AtOnce

Head = Literal["predict", "explain"]
SAMPLING_TEMPERATURE = 0.7
"""Of the samples behind majority vote and pass@k."""


@dataclass(frozen=True, slots=True)
class Answered:
    """A student's text for a question, and the answer found in it."""

    example: Example
    text: str
    answer: str | None


def answer(
    student: Student,
    examples: Sequence[Example],
    head: Head,
    kind: AnswerKind,
    *,
    max_new: int,
    batch_size: int,
    temperature: float = 0.0,
    seed: int = 0,
    ranks: Ranks = ALONE,
    at_once: AtOnce | None = None,
    between: Callable[[], None] = lambda: None,
) -> list[Answered]:
    """One answer an example, in order. The predict head's text is its answer; the explain head's ends in one.

    `between` is called before each group of questions: to end it, it raises.
    """
    at_once = at_once or AtOnce()
    prompt = predict_prompt if head == "predict" else explain_prompt
    prompts = [student.prompt(prompt(x.question)) for x in examples]
    order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
    streams = derive(seed, "evaluate", head)

    def some(places: Sequence[int]) -> list[Answered]:
        groups = [places[at : at + batch_size] for at in range(0, len(places), batch_size)]
        texts = at_once.each("answering", groups, write)
        return [found(i, text) for i, text in zip(places, texts, strict=True)]

    def write(part: Sequence[int]) -> list[str]:
        between()
        draws = uniforms(streams, part, max_new) if temperature > 0 else None
        return student.generate([prompts[i] for i in part], max_new, temperature, draws)

    def found(place: int, text: str) -> Answered:
        x = examples[place]
        return Answered(x, text, (text.strip() or None) if head == "predict" else parse(kind, text, x.choices).answer)

    by_place = dict(zip(order, ranks.spread(order, some), strict=True))
    return [by_place[i] for i in range(len(examples))]


def is_right(kind: AnswerKind, wanted: str | None, answered: str | None) -> bool | None:
    """None where there is nothing to compare with; no answer is a wrong one."""
    if wanted is None:
        return None
    return answered is not None and equal(kind, wanted, answered)


def right_of(kind: AnswerKind, answered: Sequence[Answered], wanted: dict[str, str | None]) -> tuple[int, int]:
    """(right, compared): answers without anything to compare with are left out of both."""
    verdicts = [is_right(kind, wanted.get(a.example.id), a.answer) for a in answered]
    return sum(v is True for v in verdicts), sum(v is not None for v in verdicts)


def majority_class(labels: Sequence[str]) -> str | None:
    """The commonest training label, the first among equals."""
    return Counter(labels).most_common(1)[0][0] if labels else None


def alike(kind: AnswerKind, answers: Sequence[str]) -> list[list[str]]:
    """Clusters as the teacher's answers are put in: each is compared with the first member of each cluster."""
    clusters: list[list[str]] = []
    for text in answers:
        home = next((c for c in clusters if equal(kind, c[0], text)), None)
        if home is None:
            clusters.append([text])
        else:
            home.append(text)
    return clusters


def judge_sampled(
    kind: AnswerKind, wanted: dict[str, str | None], rounds: Sequence[Sequence[Answered]]
) -> dict[str, Sampled]:
    """By example id: what of `rounds` of sampled answers to the same questions is right; those without gold left out.

    The majority is that of `alike`'s largest cluster, the earliest among equals.
    """
    found: dict[str, Sampled] = {}
    for answers in zip(*rounds, strict=True):
        example = answers[0].example.id
        gold = wanted.get(example)
        if gold is None:
            continue
        given = [a.answer for a in answers if a.answer is not None]
        right = {text: equal(kind, gold, text) for text in set(given)}  # equal texts once: latex takes its time
        clusters = alike(kind, given)
        majority = bool(clusters) and right[max(clusters, key=len)[0]]
        found[example] = Sampled(len(answers), sum(right[text] for text in given), majority)
    return found
