"""Where a run's numbers come from: code, packages, machine, data. Named things only, never the whole environment."""

import importlib.metadata
import os
import platform
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from engine.cores import cores
from engine.errors import QcrdError
from engine.spec.run import RunSpec
from engine.store.connect import open_reader
from engine.store.recorder import Recorder

PACKAGES = (
    "torch", "transformers", "tokenizers", "safetensors", "litellm", "datasets", "math-verify", "numpy", "pydantic",
    "sqlite-utils",
)  # fmt: skip


def collect(spec: RunSpec, dataset_hash: str) -> dict[str, str]:
    """What made this run, as a line each; what cannot be told is missing.

    `gpu` and `cuda` are there only if torch is loaded already: it is not loaded for their sake.
    """
    found = {
        "qcrd": _version("qcrd"),
        **_checkout(),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "platform": platform.platform(),
        **{name: _version(name) for name in PACKAGES},
        "cpu": _cpu(),
        "cores": str(cores()),
        "memory_gib": _memory(),
        **_gpu(),
        "data_hash": dataset_hash,
        "processes": str(spec.compute.processes),
        "seed": str(spec.seed),
        "data_seed": str(spec.data_seed),
        "command": " ".join(sys.argv),
    }
    return {key: value for key, value in found.items() if value}


def note(spec: RunSpec, database: Path, run_id: int, data_hash: str, recorder: Recorder) -> None:
    """Provenance of the first session stays; a later one on other code or another machine is said.

    Raises QcrdError for one on other data.
    """
    now = collect(spec, data_hash)
    first = {key: stored(database, run_id, key) for key in now}
    if first["data_hash"] is None:
        recorder.provenance(now)
        return
    if first["data_hash"] != data_hash:
        raise QcrdError(
            f"data.dataset = {spec.data.dataset!r} has changed since this run began: put it back as it was, "
            "or start another run"
        )
    for key in sorted(now):
        if first[key] != now[key] and key != "command":
            recorder.log("warning", f"{key} was {first[key]} in the first session, is {now[key]} now", "data")


def stored(database: Path, run_id: int, key: str) -> str | None:
    """What the run has recorded under that name, if anything."""
    with closing(open_reader(database)) as connection:
        row = connection.execute("SELECT value FROM provenance WHERE run_id = ? AND key = ?", (run_id, key)).fetchone()
    return None if row is None else str(row["value"])


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _checkout() -> dict[str, str]:
    """The commit that the code is at, and whether it was changed since; nothing where it was installed."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return {}
    commit = _git(root, "rev-parse", "HEAD")
    if not commit:
        return {}
    changed = _git(root, "status", "--porcelain", "--untracked-files=no")
    return {"commit": commit, "dirty": "unknown" if changed is None else "yes" if changed else "no"}


def _git(root: Path, *arguments: str) -> str | None:
    """What git prints; None where there is no git or it refuses."""
    try:
        done = subprocess.run(
            ["git", "--no-optional-locks", "-C", str(root), *arguments],
            capture_output=True, text=True, timeout=10, check=True, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _cpu() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith(("model name", "Model")):
                return line.partition(":")[2].strip()
    except OSError:  # not Linux
        pass
    return platform.processor() or platform.machine()


def _memory() -> str:
    try:
        return f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.1f}"
    except (ValueError, OSError, AttributeError):  # a system that does not say
        return ""


def _gpu() -> dict[str, str]:
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available():
        return {}
    return {"gpu": str(torch.cuda.get_device_name()), "cuda": str(torch.version.cuda)}
