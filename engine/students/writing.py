"""Writing text a token at a time, greedily or sampled, by rows that leave the batch when they are finished."""

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import torch
from torch import Tensor

from engine.students.seam import Student, Tokens

LEAVE_AT = 0.75
"""Share of a batch that is still being written, at which the finished rows leave it."""


class Writing(Protocol):
    """A decoder with its caches."""

    def step(self, token: Tensor) -> Tensor:
        """(rows,) the tokens written last -> (rows, width) the state that the next ones are drawn from."""
        ...

    def keep(self, rows: Tensor) -> None:
        """Goes on with those rows (indices) alone."""
        ...


@torch.no_grad()
def texts(
    student: Student, prompts: Sequence[Tokens], written: Callable[[list[Tokens], Tensor], list[list[int]]]
) -> list[str]:
    """One text a prompt, in evaluation mode. Equal prompts are read once: `written(distinct, rows)` gives the tokens
    of row j, which goes on from distinct[rows[j]]."""
    if not prompts:
        return []
    place = {p: at for at, p in enumerate(dict.fromkeys(tuple(p) for p in prompts))}
    rows = torch.tensor([place[tuple(p)] for p in prompts], device=student.device)
    was_training = student.model.training
    student.model.eval()
    try:
        tokens = written(list(place), rows)
    finally:
        student.model.train(was_training)
    found: list[str] = student.tokenizer.batch_decode(tokens, skip_special_tokens=True)
    return found


def write(
    writing: Writing,
    token: Tensor,
    logits: Callable[[Tensor], Tensor],
    eos: int,
    max_new: int,
    temperature: float,
    draws: Tensor | None,
) -> list[list[int]]:
    """At most `max_new` tokens a row, each up to its end of sequence; `token`: (rows,) what stands before the first.

    `draws`: (rows, max_new) uniform numbers, where it is sampled: what a row becomes is up to its own alone.
    """
    written = torch.full((len(token), max_new), eos)
    alive = torch.arange(len(token))
    going = torch.ones(len(token), dtype=torch.bool)
    for at in range(max_new):
        found = logits(writing.step(token))
        if temperature > 0:
            assert draws is not None
            chosen = drawn(torch.softmax(found / temperature, dim=-1), draws[alive, at])
        else:
            chosen = found.argmax(dim=-1).cpu()
        written[alive[going], at] = chosen[going]
        going &= chosen != eos
        left = int(going.sum())
        if left == 0:
            break
        if left <= LEAVE_AT * len(alive):
            writing.keep(going.nonzero()[:, 0].to(token.device))
            alive, chosen, going = alive[going], chosen[going], going[going]
        token = chosen.to(token.device)
    return [_to_end(row, eos) for row in written.tolist()]


@torch.no_grad()
def growing(
    student: Student, begin: Callable[[], tuple[Callable[[Tensor], Tensor], Tensor]], eos: int, max_new: int
) -> Iterator[str]:
    """One text as it is written, greedily: all of it so far after each token, at most `max_new`, in evaluation mode.

    `begin` gives the step, (1,) the token written last -> (1, vocabulary) logits, and what stands before the first.
    A letter of which not all tokens are written is not shown yet.
    """
    was_training = student.model.training
    student.model.eval()
    try:
        step, token = begin()
        tokens: list[int] = []
        while len(tokens) < max_new and (not tokens or tokens[-1] != eos):
            token = step(token).argmax(dim=-1)
            tokens.append(int(token))
            text = str(student.tokenizer.decode(tokens, skip_special_tokens=True))
            yield text if tokens[-1] == eos or len(tokens) == max_new else text.rstrip("\ufffd")
    finally:
        student.model.train(was_training)


def drawn(chances: Tensor, draws: Tensor) -> Tensor:
    """One column of each row of (rows, columns) chances, by (rows,) uniform numbers of the CPU: the same on any device.

    `torch.multinomial` draws a number a column, which costs more than the decoder of a small student.
    """
    sums = chances.double().cumsum(dim=-1).cpu()
    least = draws[:, None].double() * sums[:, -1:]
    return torch.searchsorted(sums, least, right=True)[:, 0].clamp(max=sums.shape[1] - 1)


def _to_end(tokens: list[int], eos: int) -> list[int]:
    """Up to the first end of sequence, which stays."""
    return tokens[: tokens.index(eos) + 1] if eos in tokens else tokens
