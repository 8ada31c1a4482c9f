"""One question to a trained student: both heads' answers as they are written, or several drawn ones and their vote."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from engine.answers.kinds import join, parse
from engine.evaluation.evaluate import Answered, alike, answer, is_right
from engine.evaluation.reply import Asked, Given, Head, Piece, Told, Votes
from engine.judge.discriminator import Discriminator
from engine.randomness import derive
from engine.records import Example
from engine.spec.run import RunSpec
from engine.students.seam import Student
from engine.training.batches import explain_prompt, predict_prompt

SHOWN_EVERY = 0.05
"""Seconds between two pieces of a text: more would only be drawn over each other."""


@dataclass(frozen=True)
class Learned:
    """A run's student, and its discriminator where it has one."""

    spec: RunSpec
    step: int | None
    """Of its checkpoint; None: the exported student."""
    student: Student
    judge: Discriminator | None
    longest: dict[Head, int]
    """Tokens that a head's text has at most."""
    note: str = ""
    """Why there is no discriminator, where the run has one."""

    @property
    def heads(self) -> tuple[Head, ...]:
        """Those that the run's method teaches."""
        return self.spec.heads


def greedy(learned: Learned, asked: Asked, example: Example, stopped: Callable[[], bool]) -> Iterator[Piece | Told]:
    """Each head's text as it grows, then the whole; ends early once `stopped` says so."""
    for head in learned.heads:
        begun = shown = time.monotonic()
        prompt = predict_prompt if head == "predict" else explain_prompt
        text = ""
        student = learned.student
        for text in student.stream(student.prompt(prompt(example.question)), learned.longest[head]):
            if stopped():
                return
            if time.monotonic() - shown >= SHOWN_EVERY:
                shown = time.monotonic()
                yield Piece(asked.id, head, text)
        found, rule, rationale = _read(learned, head, text, example)
        yield Told(
            asked.id,
            head,
            text,
            found,
            rule,
            is_right(learned.spec.data.answer, example.answer, found),
            _quality(learned, example, rationale, found) if head == "explain" else None,
            time.monotonic() - begun,
        )


def doubts(learned: Learned, example: Example) -> str:
    """What is not as it should be: no discriminator, a question that is cut or has unknown words; '' where all is."""
    student = learned.student
    found = [learned.note] if learned.note else []
    limit = learned.spec.student.max_question_tokens
    length = max(student.prompt_length(prompt(example.question)) for prompt in (predict_prompt, explain_prompt))
    if length > limit:
        found.append(f"the question is cut: {length} tokens, student.max_question_tokens = {limit}")
    unknown = student.tokenizer.unk_token_id
    words = [] if unknown is None else student.prompt(explain_prompt(example.question))
    if (count := words.count(unknown)) > 0:
        found.append(f"{count} of {len(words)} tokens of the question are unknown to its tokeniser")
    return "; ".join(found)


def drawn(learned: Learned, asked: Asked, example: Example, stopped: Callable[[], bool]) -> Iterator[Votes]:
    """`asked.samples` answers of each head at `asked.temperature`, clustered; the same draws each time it is asked."""
    kind = learned.spec.data.answer
    for head in learned.heads:
        if stopped():
            return
        begun = time.monotonic()
        answered = answer(
            learned.student,
            [example] * asked.samples,
            head,
            kind,
            max_new=learned.longest[head],
            batch_size=learned.spec.evaluation.batch_size,
            temperature=asked.temperature,
            seed=derive(learned.spec.seed, "try", example.question),
        )
        yield Votes(asked.id, head, asked.temperature, _votes(learned, answered, example), time.monotonic() - begun)


def _votes(learned: Learned, answered: list[Answered], example: Example) -> tuple[Given, ...]:
    kind = learned.spec.data.answer
    texts = {a.answer: a.text for a in reversed(answered)}
    given = [
        Given(same[0], len(same), is_right(kind, example.answer, same[0]), texts[same[0]])
        for same in alike(kind, [a.answer for a in answered if a.answer is not None])
    ]
    given.sort(key=lambda one: -one.count)  # stable: the earliest among equals is the vote's
    none = sum(a.answer is None for a in answered)
    if none:
        given.append(Given(None, none, is_right(kind, example.answer, None), texts[None]))
    return tuple(given)


def _read(learned: Learned, head: Head, text: str, example: Example) -> tuple[str | None, str, str]:
    """Answer, rule and rationale, as `evaluate.answer` reads them."""
    if head == "predict":
        return text.strip() or None, "", ""
    parsed = parse(learned.spec.data.answer, text, example.choices)
    return parsed.answer, parsed.rule, parsed.rationale


def _quality(learned: Learned, example: Example, rationale: str, found: str | None) -> float | None:
    """Of the rationale in the form in which the discriminator has read the teacher's."""
    if learned.judge is None or not rationale:
        return None
    whole = join(rationale, found) if learned.spec.student.answer_in_rationale and found is not None else rationale
    return float(learned.judge.judge([learned.judge.pair(example.question, whole)])[0])
