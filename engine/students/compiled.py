"""`compute.compile`: a student's blocks through torch.compile, everything around them as it is.

Of a T5 each block is compiled; of a causal student each norm and feed-forward, because attention holds the cache and
its layer's number, for which every layer would be compiled anew. Shapes are dynamic: lengths
differ from batch to batch.
"""

import time
from functools import cache
from typing import Any

import torch

from engine.students import gemm

BACKEND = "inductor"
NORMS_AND_FEED_FORWARD = ("input_layernorm", "post_attention_layernorm", "mlp", "ln_1", "ln_2")
"""Their names in the layers of Llama, Qwen and GPT-2."""


@cache
def compiled(inner: Any) -> Any:
    """A function, compiled at its first call; the same for all that ask."""
    return torch.compile(inner, dynamic=True, backend=BACKEND)


def without_compiler(device: torch.device) -> str | None:
    """Why nothing can be compiled for this device, in a line; None: it can be."""
    never_seen = time.time() % 1000  # else inductor's cache on disk answers, with no compiler and no place to write
    try:
        torch.compile(lambda x: x.exp() + never_seen, backend=BACKEND)(torch.ones(64, device=device))
    except (RuntimeError, OSError, ImportError) as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        return lines[0] if lines else type(error).__name__
    return None


def compile_blocks(model: Any) -> None:
    """From now on the blocks of the model run compiled; its weights and their names stay as they are."""
    gemm.leave(model)  # the compiler has products of its own
    if model.config.is_encoder_decoder:
        model.encoder.compiles = model.decoder.compiles = True
        return
    for layer in getattr(model.base_model, "layers", None) or model.base_model.h:
        for name in NORMS_AND_FEED_FORWARD:
            if hasattr(layer, name):
                getattr(layer, name).compile(dynamic=True, backend=BACKEND)
