"""The base of builtin/llama-tiny: pre-trained once on generated text, kept in a cache, copied into a run's folder.

One base for all seeds: what is random comes from streams of its own. A run looks at the cache again only where its copy
is gone, for that very one: it goes on, is asked and exported as it began, whatever becomes of the cache.
"""

import hashlib
import json
import os
import random
import shutil
import tempfile
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch.nn.functional import cross_entropy
from transformers import LlamaForCausalLM

from engine.errors import QcrdError
from engine.randomness import derive
from engine.students import tiny
from engine.students.base_text import lines

RECIPE = 1
"""Counts up with whatever changes what a base learns: text, sizes, learning rate."""
ROWS, LENGTH = 32, 64
"""Rows a step, tokens a row: lines one after the other, each ended, whichever row they end in."""
LR = 3e-3
AT_ONCE = 256
"""Lines that are tokenised together, which takes a fifth of the time."""
WARMUP = 100
"""Steps; then the learning rate falls linearly to 0."""
SECONDS = 0.08
"""A step on a quiet core of a slow machine."""
BASE = "base"
"""Folder of a run: model, tokeniser, the loss of each step, and what all of that hashes to."""
LOSSES, DIGEST = "loss.json", "sha256"


def cache() -> Path:
    """$QCRD_CACHE, else the user's cache folder."""
    if own := os.environ.get("QCRD_CACHE"):
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "qcrd"


def key(tokenizer: Any, steps: int, questions: Sequence[str]) -> str:
    """What a base depends on, as the name of its folder in the cache."""
    told = [RECIPE, steps, tiny.causal_config(tokenizer).to_dict(), tokenizer.backend_tokenizer.to_str(), [*questions]]
    return hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode()).hexdigest()[:32]


def prepare(
    tokenizer: Any,
    steps: int,
    questions: Sequence[str],
    run_folder: Path,
    on_step: Callable[[int, float], None],
    say: Callable[[str, str], None],
) -> str:
    """Puts the base into the run's folder, from the cache or trained, unless it is there; its SHA-256.

    `questions`: as `base_text.lines`; `on_step` gets each step and its loss, of one from the cache too, and may raise
    to stop; `say` a level and a line. A cache that cannot be written costs the next run the time, and nothing else.
    """
    final = run_folder / BASE
    if final.is_dir():
        return _digest(final)
    kept = cache() / BASE / key(tokenizer, steps, questions)
    beside = run_folder / f"{BASE}.partial"
    shutil.rmtree(beside, ignore_errors=True)
    if _whole(kept):
        shutil.copytree(kept, beside)
    if _whole(beside):
        say("info", f"the base comes from the cache, {kept}")
        for step, loss in enumerate(json.loads((beside / LOSSES).read_text()), start=1):
            on_step(step, loss)
    else:  # none there, or a damaged one
        shutil.rmtree(beside, ignore_errors=True)
        _make(tokenizer, steps, questions, on_step, beside)
        try:
            _keep(beside, kept)
        except OSError as error:
            say("warning", f"the base is kept with this run alone: {kept} cannot be written ({error.strerror})")
    beside.rename(final)  # whole or not at all
    return _digest(final)


def put_back(run_folder: Path, recorded: str | None, say: Callable[[str, str], None]) -> None:
    """The base of a run whose own copy is gone, from the cache, where that has the one of the SHA-256 it recorded.

    `recorded`: None: the run began without a base. `say`: as `prepare`. Raises QcrdError where the base is not there.
    """
    final = run_folder / BASE
    if recorded is None or final.is_dir():
        return
    there = cache() / BASE
    try:
        kept = next((one for one in sorted(there.glob("*")) if _whole(one) and _digest(one) == recorded), None)
        if kept is not None:
            with tempfile.TemporaryDirectory(dir=run_folder, prefix=f"{BASE}.partial-") as beside:
                (shutil.copytree(kept, Path(beside) / BASE)).rename(final)  # whole or not at all
    except OSError as error:
        if not final.is_dir():  # else another process was quicker
            raise QcrdError(f"{final}, the run's base, could not be put back ({error.strerror or error})") from error
        return
    if kept is None:
        raise QcrdError(
            f"{final} is gone, the pre-trained base that the run began with (sha256 {recorded[:12]}…), and {there} has "
            "none that is the same: put the folder back from a copy, name a cache that has it with QCRD_CACHE, or "
            "begin another run"
        )
    say("info", f"the run's base was gone from its folder: put back from the cache, {kept}")


def load(run_folder: Path) -> LlamaForCausalLM | None:
    """The run's base; None where it has none, and begins with random weights. Raises QcrdError where it is damaged."""
    folder = run_folder / BASE
    if not folder.is_dir():
        return None
    try:
        model: Any = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32)
    except (OSError, ValueError, SafetensorError) as error:
        reason = str(error).strip().splitlines()[0]
        raise QcrdError(
            f"the run's base could not be read from {folder} ({reason}): delete that folder, and it is put back where "
            "the cache has it"
        ) from error
    model.set_attn_implementation("eager")
    return model


def pretrain(
    tokenizer: Any, steps: int, questions: Sequence[str], on_step: Callable[[int, float], None]
) -> LlamaForCausalLM:
    """A base after so many steps of next-token cross-entropy, on the CPU. The global generator stays as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(RECIPE, "base"))
        model = tiny.build_causal(tokenizer)
    optimizer = torch.optim.AdamW(model.parameters(), lr=LR, betas=(0.9, 0.98), weight_decay=0.0, fused=True)
    text = lines(random.Random(derive(RECIPE, "base text")), _known(tokenizer), questions)
    body: Any = model.base_model
    read: list[int] = []
    for step in range(1, steps + 1):
        while len(read) <= ROWS * LENGTH:
            read += [token for line in tokenizer(list(islice(text, AT_ONCE)))["input_ids"] for token in line]
        tokens = torch.tensor(read[: ROWS * LENGTH + 1])
        read = read[ROWS * LENGTH :]
        for group in optimizer.param_groups:
            group["lr"] = LR * min(1.0, step / WARMUP) * (steps - step + 1) / steps
        hidden = body(input_ids=tokens[:-1].view(ROWS, LENGTH), use_cache=False).last_hidden_state
        loss = cross_entropy(model.lm_head(hidden).flatten(0, 1), tokens[1:])
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        on_step(step, loss.item())
    return model


def _known(tokenizer: Any) -> Callable[[str], bool]:
    """Whether a word is one of the tokeniser's; of bytes it knows all."""
    words: dict[str, int] = tokenizer.get_vocab()
    return words.__contains__ if tiny.is_word_level(tokenizer) else lambda word: True


def _make(
    tokenizer: Any, steps: int, questions: Sequence[str], on_step: Callable[[int, float], None], folder: Path
) -> None:
    losses = []

    def noted(step: int, loss: float) -> None:
        losses.append(loss)
        on_step(step, loss)

    pretrain(tokenizer, steps, questions, noted).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    (folder / LOSSES).write_text(json.dumps(losses))
    (folder / DIGEST).write_text(_sum(folder))


def _keep(folder: Path, kept: Path) -> None:
    """A copy in the cache, beside first: a kill, or another run that makes the same, leaves one that is whole."""
    kept.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=kept.parent, prefix="partial-") as beside:
        shutil.copytree(folder, Path(beside) / BASE)
        if not _whole(kept):
            shutil.rmtree(kept, ignore_errors=True)
            try:
                (Path(beside) / BASE).rename(kept)
            except OSError:
                if not _whole(kept):  # else another run was quicker
                    raise


def _whole(folder: Path) -> bool:
    """Whether its files are those that were written."""
    try:
        return _sum(folder) == _digest(folder)
    except OSError:
        return False


def _digest(folder: Path) -> str:
    return (folder / DIGEST).read_text().strip()


def _sum(folder: Path) -> str:
    """Over the names and bytes of its files."""
    found = hashlib.sha256()
    for file in sorted(folder.iterdir()):
        if file.name != DIGEST:
            found.update(f"{file.name} {file.stat().st_size}\n".encode())
            found.update(file.read_bytes())
    return found.hexdigest()
