"""Everything a fresh process needs to go on bit for bit, in a folder of safetensors that appears whole or never."""

import json
import os
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from engine.errors import QcrdError
from engine.records import Rationale, Scored


@dataclass
class Progress:
    """The part of a training's state that is no tensor."""

    step: int = 0
    """Steps done."""
    number: int = 0
    """The next rationale's number."""
    unevaluated: bool = False
    """An order to stop came in the evaluation that is due at this step: it is still to be made."""
    best_value: float = -1.0
    best_step: int = 0
    pending: dict[int, list[Rationale]] = field(default_factory=dict)
    """Self-adversarial negatives by the iteration that will use them."""
    fixed: list[Rationale] = field(default_factory=list)
    """Negatives written once, in use since."""
    micro_batch: int = 0
    """Questions computed at once since memory ran out; 0: what the spec says."""
    skipped: int = 0
    """Steps left out because their gradient was no number."""
    skipped_in_a_row: int = 0
    scored_in: int = 0
    """The iteration whose candidates were last scored in bulk."""
    scored: dict[int, Scored] = field(default_factory=dict)
    """Candidates that a bulk scoring has found, by the rationale's number."""
    qualities: dict[str, list[float]] = field(default_factory=lambda: {"positive": []})
    """The discriminator's scores of fully judged rows since the last evaluation, for its AUC."""


@dataclass(frozen=True)
class Trained:
    """The modules and optimisers that a checkpoint holds; no discriminator in methods that have none."""

    student: nn.Module
    optimizer: torch.optim.Optimizer
    judge: nn.Module | None = None
    judge_optimizer: torch.optim.Optimizer | None = None


def folder_of(run_folder: Path, step: int) -> Path:
    """Where the checkpoint of a step lies."""
    return run_folder / "checkpoints" / f"step-{step:08d}"


def latest(run_folder: Path) -> int | None:
    """The last complete checkpoint's step."""
    steps = saved(run_folder)
    return steps[-1] if steps else None


def saved(run_folder: Path) -> list[int]:
    """The steps of complete checkpoints, ascending."""
    found = (run_folder / "checkpoints").glob("step-*")
    return sorted(int(f.name.removeprefix("step-")) for f in found if f.name.removeprefix("step-").isdigit())


def best(run_folder: Path) -> int | None:
    """The step of the best checkpoint, as the last one knows it; the last where that is gone, None without any."""
    steps = saved(run_folder)
    if not steps:
        return None
    last = folder_of(run_folder, steps[-1])
    try:
        step = json.loads((last / "progress.json").read_text())["best_step"]
    except (OSError, ValueError, KeyError) as error:
        raise QcrdError(f"the checkpoint {last} could not be read ({error})") from error
    return step if step in steps else steps[-1]


def save(run_folder: Path, trained: Trained, progress: Progress) -> Path:
    """Writes beside, syncs, renames: a kill at any moment leaves the former checkpoints as they were."""
    final = folder_of(run_folder, progress.step)
    beside = final.with_name(final.name + ".partial")
    shutil.rmtree(beside, ignore_errors=True)
    try:
        beside.mkdir(parents=True)
        save_file(weights(trained.student), beside / "student.safetensors")
        save_file(_optimizer_state(trained.optimizer), beside / "optimizer.safetensors")
        if trained.judge is not None and trained.judge_optimizer is not None:
            save_file(weights(trained.judge), beside / "judge.safetensors")
            save_file(_optimizer_state(trained.judge_optimizer), beside / "judge_optimizer.safetensors")
        save_file(random_state(), beside / "random.safetensors")
        (beside / "progress.json").write_text(json.dumps(asdict(progress)))
        for file in beside.iterdir():
            _sync(file)
        _sync(beside)
        if final.exists():  # a resumed run comes to the same step with the same weights
            shutil.rmtree(final)
        beside.rename(final)
        _sync(final.parent)
    except (OSError, SafetensorError) as error:  # safetensors has an error of its own for a full disk
        reason = getattr(error, "strerror", None) or str(error)
        raise QcrdError(
            f"the checkpoint could not be written to {final} ({reason}); the one before is whole: "
            "make room or mend the folder, then `qcrd resume`"
        ) from error
    return final


def load(run_folder: Path, step: int, trained: Trained) -> Progress:
    """Puts a checkpoint's state into the modules, the optimisers and torch's generators."""
    folder = folder_of(run_folder, step)
    try:
        load_weights(trained.student, folder / "student.safetensors")
        _load_optimizer(trained.optimizer, load_file(folder / "optimizer.safetensors"))
        if trained.judge is not None and trained.judge_optimizer is not None:
            load_weights(trained.judge, folder / "judge.safetensors")
            _load_optimizer(trained.judge_optimizer, load_file(folder / "judge_optimizer.safetensors"))
        restore_random(load_file(folder / "random.safetensors"))
        state = json.loads((folder / "progress.json").read_text())
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise QcrdError(
            f"the checkpoint {folder} could not be read ({error}); delete that folder and `qcrd resume` goes on from "
            "the one before"
        ) from error
    state["pending"] = {int(t): [Rationale(**r) for r in rows] for t, rows in state["pending"].items()}
    state["fixed"] = [Rationale(**r) for r in state.get("fixed", [])]
    state["scored"] = {int(number): Scored(**one) for number, one in state.get("scored", {}).items()}
    return Progress(**state)


def load_judge(run_folder: Path, step: int, judge: nn.Module) -> None:
    """The discriminator's weights alone."""
    load_weights(judge, folder_of(run_folder, step) / "judge.safetensors")


def load_student(run_folder: Path, step: int, student: nn.Module) -> None:
    """The student's weights alone."""
    load_weights(student, folder_of(run_folder, step) / "student.safetensors")


def tidy(run_folder: Path, keep: int, best_step: int) -> None:
    """Deletes all but the last `keep` checkpoints and the best, and what a killed process left half-written."""
    for left in (run_folder / "checkpoints").glob("*.partial"):
        shutil.rmtree(left, ignore_errors=True)
    for step in saved(run_folder)[:-keep]:
        if step != best_step:
            shutil.rmtree(folder_of(run_folder, step))


def weights(module: nn.Module) -> dict[str, Tensor]:
    """Each storage once: tied weights are restored by loading into the same module.

    Of a module with adapters those alone: what is frozen is as its folder or hub has it.
    """
    frozen = {name for name, p in module.named_parameters(remove_duplicate=False) if not p.requires_grad}
    seen: set[int] = set()
    found = {}
    for name, tensor in module.state_dict().items():
        if name not in frozen and tensor.data_ptr() not in seen:
            seen.add(tensor.data_ptr())
            found[name] = tensor.detach().contiguous()
    return found


def load_weights(module: nn.Module, file: Path) -> None:
    """Strict: every weight of the module is in the file, itself or as one tied to it."""
    saved_weights = load_file(file)
    wanted = weights(module)
    if wanted.keys() != saved_weights.keys():
        raise ValueError(f"{file.name} holds other weights than the model has")
    module.load_state_dict(saved_weights, strict=False)


def _optimizer_state(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    state: dict[str, Tensor] = {}
    for index, values in optimizer.state_dict()["state"].items():
        for key, value in values.items():
            state[f"{index}.{key}"] = value.detach().contiguous()
    return state


def _load_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    state: dict[int, dict[str, Any]] = {}
    for name, tensor in tensors.items():
        index, key = name.split(".", 1)
        state.setdefault(int(index), {})[key] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def random_state() -> dict[str, Tensor]:
    """torch's global generators, which dropout draws from; all else draws from named streams (`randomness.py`)."""
    state = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state()
    return state


def restore_random(state: dict[str, Tensor]) -> None:
    """Puts torch's generators back to what `random_state` found."""
    torch.set_rng_state(state["cpu"])
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"])


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
