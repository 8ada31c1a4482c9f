"""What the processes of one run say to each other. Rank 0 is the worker; the others are its children.

Every rank holds the whole model and goes through the same lines on the same data; rank 0 alone writes. The rows of a
step are shared out. Each rank scores its own and computes the loss of the whole batch, in which its own rows alone
carry gradient, as micro-batches do (`step.py`). So gradients are added up here, once a step. DDP would average them at
every backward pass: that weighs a token by how many of them its rank happens to have, and there may be several passes
a step on one rank and fewer on another. That is also why accelerate, whose part would be to wrap the model in DDP, has
none here: a group of processes that one worker starts on one machine is a call of torch's own.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from engine.randomness import derive

T = TypeVar("T")
R = TypeVar("R")

PATIENCE = timedelta(days=30)
"""How long a rank waits for the others: rank 0 may be paused. One that died is noticed by its connection, and by the
worker that started it."""
BUCKET = 2**24
"""Numbers that travel at once."""


@dataclass(frozen=True)
class Ranks:
    """Which of how many processes this one is. Alone, nothing is said to anybody."""

    rank: int = 0
    count: int = 1

    @property
    def first(self) -> bool:
        """Whether this one writes."""
        return self.rank == 0

    def share(self, rows: int) -> range:
        """The indices, of so many rows, of those that are this rank's."""
        return range(self.rank, rows, self.count)

    def spread(self, items: Sequence[T], work: Callable[[Sequence[T]], Sequence[R]]) -> list[R]:
        """What `work` makes of the items, one result each, in their order, on every rank; each rank does its share."""
        if self.count == 1:
            return list(work(items))
        parts: list[Any] = [None] * self.count
        dist.all_gather_object(parts, list(work([items[i] for i in self.share(len(items))])))
        found: list[Any] = [None] * len(items)
        for rank, part in enumerate(parts):
            found[rank :: self.count] = part
        return found

    def by_row(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """(rows, …) tensors of equal shape on every rank -> each row as the rank has it whose share it is in."""
        if self.count == 1:
            return list(tensors)
        parts = []
        for tensor in tensors:
            part = torch.zeros_like(tensor)
            part[self.rank :: self.count] = tensor[self.rank :: self.count]
            parts.append(part)
        _in_buckets(parts, dist.all_reduce)  # all others' are 0: the sum is exact
        return parts

    def sum_gradients(self, parameters: Iterable[torch.nn.Parameter]) -> None:
        """Adds up over the ranks; a parameter that has a gradient on none keeps none."""
        if self.count == 1:
            return
        trained = [p for p in parameters if p.requires_grad]
        there = torch.tensor([float(p.grad is not None) for p in trained], device=trained[0].device)
        dist.all_reduce(there)
        summed = []
        for p, ranks in zip(trained, there.tolist(), strict=True):
            if ranks:
                p.grad = torch.zeros_like(p) if p.grad is None else p.grad
                summed.append(p.grad)
        _in_buckets(summed, dist.all_reduce)

    def copy(self, parameters: Iterable[Tensor]) -> None:
        """Rank 0's values into every rank's."""
        if self.count > 1:
            _in_buckets([p.data for p in parameters], lambda flat: dist.broadcast(flat, src=0))

    def agree(self, value: T) -> T:
        """Rank 0's value; what the others give is not looked at. They wait for it on the CPU."""
        if self.count == 1:
            return value
        held = [value]
        dist.broadcast_object_list(held, src=0, device=torch.device("cpu"))
        return held[0]

    def led(self, make: Callable[[], T]) -> T:
        """What each rank makes, rank 0 before the others: what it leaves in a folder they find there."""
        if self.first:
            made = make()
            self.agree(None)
            return made
        self.agree(None)
        return make()

    def reseed(self, seed: int, step: int) -> None:
        """Dropout of this rank at this step: of torch's global generators a checkpoint holds rank 0's alone."""
        if self.count > 1:
            torch.manual_seed(derive(seed, "dropout", step, self.rank))


ALONE = Ranks()


class Heard:
    """A step's exchange by rows. Where the step is tried again for want of memory, the other ranks are not asked again:
    they are not there to answer."""

    def __init__(self, ranks: Ranks) -> None:
        self._ranks = ranks
        self._heard: list[list[Tensor]] = []
        self._at = 0

    def again(self) -> None:
        """The step begins, for the first time or once more."""
        self._at = 0

    def share(self, rows: int) -> range:
        """As `Ranks.share`."""
        return self._ranks.share(rows)

    def by_row(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """As `Ranks.by_row`."""
        if self._ranks.count == 1:
            return list(tensors)
        if self._at == len(self._heard):
            self._heard.append(self._ranks.by_row(tensors))
        self._at += 1
        return self._heard[self._at - 1]


def meeting_point(count: int, port: int = 0) -> Any:
    """Where `count` processes of this machine find each other: on a free port that rank 0 opens (0), or on that one."""
    stores: Any = dist  # torch does not export it to type checkers
    first = port == 0
    return stores.TCPStore("127.0.0.1", port, count, is_master=first, timeout=PATIENCE, wait_for_workers=False)


def join(store: Any, rank: int, count: int, device: str) -> Ranks:
    """This process as one of `count`, which all come here; on GPUs ("cuda") it takes the one of its rank."""
    backend = "gloo"
    if device == "cuda":
        torch.cuda.set_device(rank)
        backend = "cpu:gloo,cuda:nccl"
    dist.init_process_group(backend, store=store, rank=rank, world_size=count, timeout=PATIENCE)
    return Ranks(rank, count)


def leave() -> None:
    """The end of what `join` began, if it did. NCCL's ends with the process: it may wait for peers that are gone."""
    if dist.is_initialized() and not torch.cuda.is_initialized():
        dist.destroy_process_group()


def _in_buckets(tensors: Sequence[Tensor], collective: Callable[[Tensor], Any]) -> None:
    """A collective that works in place, on many tensors as one."""
    for bucket in _buckets(tensors):
        if len(bucket) == 1 and bucket[0].is_contiguous():
            collective(bucket[0])
            continue
        flat = torch.cat([t.flatten() for t in bucket])
        collective(flat)
        for t, part in zip(bucket, flat.split([t.numel() for t in bucket]), strict=True):
            t.copy_(part.view_as(t))


def _buckets(tensors: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    """Of one type each, in order, at most BUCKET numbers but where one tensor alone has more."""
    bucket: list[Tensor] = []
    size = 0
    for tensor in tensors:
        if bucket and (size + tensor.numel() > BUCKET or tensor.dtype != bucket[0].dtype):
            yield bucket
            bucket, size = [], 0
        bucket.append(tensor)
        size += tensor.numel()
    if bucket:
        yield bucket
