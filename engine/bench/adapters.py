"""`qcrd bench step --method nat`: a step of NAT's and of NCE's last stage beside one of plain LoRA on the same base."""

from functools import partial
from typing import Any

import torch

from engine.bench import shapes
from engine.bench.timing import Arm, in_turns, peak_bytes, ratio, spread
from engine.methods import cot_kd, nat, nce
from engine.spec.dust_into_gold import NAT_LORA, CotKd, Nat, Nce
from engine.spec.sections import LoraConfig
from engine.students import adapters, integrate
from engine.students.integrate import Mode
from engine.students.load import pick_device
from engine.training.losses import Wants
from engine.training.step import Row, step

WARM_UP = 2


def measure(
    shape: str, batch_size: int, positives: int, device_name: str, repeats: int, micro_batch: int
) -> dict[str, Any]:
    """All arms on one batch, AdamW's update included; times in seconds, memory in bytes.

    lora: all right rationales through one adapter (CoT-KD); nat: through both and their units; nce: a third adapter,
    taught by the passes of the wrong one's and NAT's. As published: rank 8, of queries and values.
    """
    device = pick_device(device_name)
    lora = LoraConfig.model_validate(NAT_LORA)
    plain, own = shapes.student(shape, device, 0), shapes.student(shape, device, 0)
    plain.adapted = adapters.add(plain.model, lora)
    own.adapted = adapters.add(own.model, lora, (integrate.WRONG, integrate.RIGHT, integrate.STUDENT))
    integrate.attach(own.adapted)
    rows = shapes.rows(plain, shape, batch_size, positives, 0, 0)
    draw = torch.zeros(batch_size, 2)
    arms: dict[str, Arm] = {
        "lora": _arm(plain, None, partial(cot_kd.loss, CotKd()), cot_kd.wants(CotKd()), rows, draw, micro_batch),
        "nat": _arm(own, "nat", partial(nat.loss, Nat()), cot_kd.wants(CotKd()), rows, draw, micro_batch),
        "nce": _arm(own, "student", partial(nce.loss, Nce()), nce.wants(Nce()), rows, draw, micro_batch),
    }
    taken = in_turns(arms, WARM_UP, repeats, device)
    return {
        "bench": "step",
        "method": "nat",
        "shape": shape,
        "batch": batch_size,
        "positives": positives,
        "micro_batch": micro_batch,
        "device": str(device),
        "threads": torch.get_num_threads(),
        "repeats": repeats,
        "parameters": sum(p.numel() for p in plain.model.parameters()),
        "arms": {
            name: {
                "seconds": spread([t.wall for t in taken[name]]),
                "to_lora": ratio(taken[name], taken["lora"]),
                "peak_bytes": peak_bytes(arm, device),
            }
            for name, arm in arms.items()
        },
    }


def _arm(
    student: shapes.BenchStudent,
    mode: Mode | None,
    loss: Any,
    wants: Wants,
    rows: list[Row],
    draw: torch.Tensor,
    micro_batch: int,
) -> Arm:
    """A step and its update, at a learning rate of 0, so that arms stay alike."""
    if mode is not None:
        integrate.learn(student.adapted, mode)
    optimizer = torch.optim.AdamW(student.parameter_groups(0.0, 0.0), fused=True)

    def run() -> None:
        if mode is not None:
            integrate.learn(student.adapted, mode)
        student.model.train()
        student.model.zero_grad()
        step(student, None, loss, rows, draw, wants=wants, micro_batch=micro_batch)
        torch.nn.utils.clip_grad_norm_(student.model.parameters(), 1.0)
        optimizer.step()

    return run
