"""Answers drawn of a student, each from a stream of its own, clustered as they come."""

from collections.abc import Callable, Mapping, Sequence

from engine.answers.kinds import equal, parse
from engine.evaluation.evaluate import Head, is_right
from engine.evaluation.one_question import Learned
from engine.randomness import derive, uniforms
from engine.records import Example
from engine.store.runs.evaluations import Drawn
from engine.training.batches import explain_prompt, predict_prompt
from engine.training.memory import AtOnce


def draw(
    learned: Learned,
    examples: Sequence[Example],
    head: Head,
    *,
    samples: int,
    temperature: float,
    seed: int,
    there: Mapping[tuple[str, int], Drawn],
    keep: Callable[[list[Drawn]], None],
    between: Callable[[], None],
) -> None:
    """Draws what is not `there` of `samples` answers to each question, the first of all before the second of any.

    `keep` gets every batch as it is made. `between` is called before each: to end it, it raises. A question's sample
    depends on the question's place, its number and the seed, not on what was there.
    """
    student, kind = learned.student, learned.spec.data.answer
    prompt = predict_prompt if head == "predict" else explain_prompt
    prompts = [student.prompt(prompt(x.question)) for x in examples]
    order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
    size, most = learned.spec.evaluation.batch_size, learned.longest[head]
    at_once = AtOnce()
    firsts: dict[str, list[tuple[int, str]]] = {}
    """By question: the first sample of each cluster, with its answer."""
    for one in sorted(there.values(), key=lambda one: one.number):
        if one.cluster == one.number and one.answer is not None:
            firsts.setdefault(one.example, []).append((one.number, one.answer))
    for number in range(samples):
        stream = derive(seed, "drawn", head, number)

        def write(part: Sequence[int], stream: int = stream) -> list[str]:
            return student.generate([prompts[i] for i in part], most, temperature, uniforms(stream, part, most))

        for at in range(0, len(order), size):
            missing = [i for i in order[at : at + size] if (examples[i].id, number) not in there]
            if not missing:
                continue
            between()
            made = []
            for i, text in zip(missing, at_once.each("drawing answers", [missing], write), strict=True):
                x = examples[i]
                answer = (text.strip() or None) if head == "predict" else parse(kind, text, x.choices).answer
                cluster = None
                if answer is not None:
                    mine = firsts.setdefault(x.id, [])
                    cluster = next((first for first, other in mine if equal(kind, other, answer)), None)
                    if cluster is None:
                        cluster = number
                        mine.append((number, answer))
                made.append(Drawn(x.id, number, i, text, answer, cluster, is_right(kind, x.answer, answer)))
            keep(made)
