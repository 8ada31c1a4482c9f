"""`qcrd bench generate`: sampling rationales in bulk, beside transformers' own `generate`."""

from typing import Any

import torch

from engine.bench import shapes
from engine.bench.timing import in_turns, peak_bytes, ratio, spread
from engine.students import gemm
from engine.students.load import pick_device

WARM_UP = 1
LONGEST = 64
MEAN = 32
"""Tokens after which a rationale ends, in the mean: what has ended need not be computed any more."""
TEMPERATURE = 1.5


def measure(shape: str, batch_size: int, device_name: str, repeats: int) -> dict[str, Any]:
    """Both arms on one batch of questions; times in seconds, memory in bytes."""
    device = pick_device(device_name)
    student = shapes.student(shape, device, 0)
    student.model.eval()
    prompts = [row.item.explain for row in shapes.rows(student, shape, batch_size, 1, 0, 0)]
    shapes.ending_after(student, prompts, MEAN, TEMPERATURE)
    draws = torch.rand(len(prompts), LONGEST, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    written: dict[str, int] = {"ours": 0, "generate": 0}

    def ours() -> None:
        texts = student.generate(prompts, LONGEST, TEMPERATURE, draws)
        written["ours"] = sum(len(text.split()) for text in texts)

    def theirs() -> None:
        out = _generate(student, prompts)
        written["generate"] = sum(
            len(text.split()) for text in student.tokenizer.batch_decode(out, skip_special_tokens=True)
        )

    arms = {"ours": ours, "generate": theirs}
    taken = in_turns(arms, WARM_UP, repeats, device)
    return {
        "bench": "generate",
        "shape": shape,
        "batch": batch_size,
        "longest": LONGEST,
        "device": str(device),
        "threads": torch.get_num_threads(),
        "repeats": repeats,
        "generate_to_ours": ratio(taken["generate"], taken["ours"]),
        "arms": {
            name: {
                "seconds": spread([t.wall for t in taken[name]]),
                "milliseconds_per_sample": 1000 * spread([t.wall for t in taken[name]])["median"] / batch_size,
                "words_per_sample": written[name] / batch_size,
                "peak_bytes": peak_bytes(arm, device),
            }
            for name, arm in arms.items()
        },
    }


@torch.no_grad()
def _generate(student: shapes.BenchStudent, prompts: list[list[int]]) -> torch.Tensor:
    """What is written, without the prompts; a causal model wants those padded on the left."""
    causal = not student.model.config.is_encoder_decoder
    longest, pad = max(map(len, prompts)), student.model.config.pad_token_id
    room = [longest - len(p) for p in prompts]
    ids = [[*[pad] * r, *p] if causal else [*p, *[pad] * r] for p, r in zip(prompts, room, strict=True)]
    real = [[0] * r + [1] * len(p) if causal else [1] * len(p) + [0] * r for p, r in zip(prompts, room, strict=True)]
    autocast = torch.autocast(student.device.type, dtype=torch.bfloat16, enabled=student.bf16)
    with gemm.as_it_came(student.model), autocast:
        found: torch.Tensor = student.model.generate(
            input_ids=torch.tensor(ids, device=student.device),
            attention_mask=torch.tensor(real, device=student.device),
            max_new_tokens=LONGEST,
            do_sample=True,
            temperature=TEMPERATURE,
            top_k=0,
        )
    return found[:, longest:] if causal else found
