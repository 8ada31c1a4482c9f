"""Out of memory: the step is taken again in smaller micro-batches, as if it had never been tried."""

import gc
from collections.abc import Callable

import torch

from engine.checkpoint import random_state, restore_random
from engine.errors import QcrdError
from engine.step import Stepped

SAID_BY_THE_CPU = "can't allocate memory"
"""The CPU's allocator raises a plain RuntimeError."""


def is_out_of_memory(error: BaseException) -> bool:
    """Of the GPU or of the machine."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or (
        isinstance(error, RuntimeError) and SAID_BY_THE_CPU in str(error)
    )


def step_that_fits(
    take: Callable[[int], Stepped],
    module: torch.nn.Module,
    batch: int,
    micro_batch: int,
    halved: Callable[[int, int], None],
) -> tuple[Stepped, int]:
    """`take(micro_batch)`, halving until it fits; with the micro-batch that did, 0 where it is the whole batch.

    Gradients, torch's generators and the mode of `module` are as they were before each new try. Tells `halved` the
    former and the new micro-batch. Raises QcrdError where one question alone does not fit.
    """
    before = random_state()
    while True:
        try:
            return take(micro_batch), micro_batch
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
        # out here the traceback, and with it the tensors of the failed try, is gone
        size = min(micro_batch or batch, batch)
        if size == 1:
            raise QcrdError(
                "a single question with its rationales does not fit in memory: lower student.max_rationale_tokens or "
                "student.max_question_tokens, or set compute.gradient_checkpointing = true, and start again"
            )
        micro_batch = (size + 1) // 2
        halved(size, micro_batch)
        for p in module.parameters():
            p.grad = None
        module.train()
        restore_random(before)
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
