"""The files and folders a spec names, found: stored specs have absolute paths, so that a run resumes from anywhere."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from engine.errors import UsageError
from engine.spec.dust_into_gold import Ranking
from engine.spec.methods import OWN_ENCODERS, Qcrd
from engine.spec.run import RunSpec
from engine.spec.wrong import nearest

PRESETS = ("arithmetic", "svamp", "cqa", "anli1", "esnli", "gsm8k", "math")
DATA_FILES = (".jsonl", ".csv", ".parquet", ".jsonl.gz", ".json", ".tsv")
STUDENTS = ("builtin/t5-tiny", "builtin/llama-tiny")
TEACHERS = ("builtin/arithmetic", "builtin/arithmetic-careful")


def resolve_paths(spec: RunSpec, folders: Sequence[Path], where: str) -> RunSpec:
    """The spec with its relative paths made absolute, looked for in `folders` in order. Raises UsageError."""
    data = spec.data.model_copy(update={"dataset": _dataset(spec.data.dataset, folders, where)})
    model, prompt = _teacher(spec.teacher.model, folders, f"{where}: teacher.model"), spec.teacher.prompt
    others = tuple(
        other.model_copy(update={"model": _teacher(other.model, folders, f"{where}: teacher.others")})
        for other in spec.teacher.others
    )
    if prompt != "default":
        prompt = _must_find(prompt, folders, f"{where}: teacher.prompt")
    teacher = spec.teacher.model_copy(update={"model": model, "prompt": prompt, "others": others})
    student = spec.student.model_copy(update={"model": _model(spec.student.model, folders, f"{where}: student.model")})
    update: dict[str, Any] = {"data": data, "teacher": teacher, "student": student}
    spec = _with_peers(spec, folders, where)
    if isinstance(spec.method, Qcrd) and spec.method.discriminator.encoder not in OWN_ENCODERS:
        judge = spec.method.discriminator
        encoder = _model(judge.encoder, folders, f"{where}: method.discriminator.encoder")
        judge = judge.model_copy(update={"encoder": encoder})
        return spec.model_copy(update={**update, "method": spec.method.model_copy(update={"discriminator": judge})})
    if isinstance(spec.method, Ranking) and spec.method.encoder not in OWN_ENCODERS:
        encoder = _model(spec.method.encoder, folders, f"{where}: method.encoder")
        update["method"] = spec.method.model_copy(update={"encoder": encoder})
    return spec.model_copy(update=update)


def _teacher(model: str, folders: Sequence[Path], where: str) -> str:
    """A file of recorded outputs and a model's folder made absolute; anything else is LiteLLM's to know."""
    for kind in ("replay:", "local/"):
        if model.startswith(kind):
            return kind + _must_find(model.removeprefix(kind), folders, where)
    if model.startswith("builtin/") and model not in TEACHERS:
        raise UsageError(f"{where}: unknown {model!r}{nearest(model, list(TEACHERS))}")
    return model


def _with_peers(spec: RunSpec, folders: Sequence[Path], where: str) -> RunSpec:
    """The folders of peers, and a folder of the band's encoder, made absolute; ids of runs stay."""
    old = spec.negatives
    if old is None:
        return spec
    peers = tuple(p if p.isdigit() else _must_find(p, folders, f"{where}: method.negatives.peers") for p in old.peers)
    encoder = old.band_encoder
    if encoder != "student-sized":
        encoder = _model(encoder, folders, f"{where}: method.negatives.band_encoder")
    new = old.model_copy(update={"peers": peers, "band_encoder": encoder})
    return spec.model_copy(update={"method": spec.method.model_copy(update={"negatives": new})})


def _dataset(name: str, folders: Sequence[Path], where: str) -> str:
    if name in PRESETS:
        return name
    if found := _find(name, folders):
        return found
    if name.lower().endswith(DATA_FILES) or _looks_like_path(name):
        raise UsageError(f"{where}: data.dataset: no such file: {name} (looked in {_listed(folders)})")
    if "/" not in name:  # hub ids have an owner; the few old ones without are reached by their full id as well
        said = nearest(name, list(PRESETS))
        raise UsageError(f"{where}: data.dataset: {name!r} is no preset, file or Hugging Face id (owner/name){said}")
    return name


def _model(name: str, folders: Sequence[Path], where: str) -> str:
    """A builtin, a folder (made absolute) or a hub id (as it is)."""
    if name.startswith("builtin/"):
        if name not in STUDENTS:
            raise UsageError(f"{where}: unknown {name!r}{nearest(name, list(STUDENTS))}")
        return name
    if found := _find(name, folders):
        return found
    if _looks_like_path(name):
        raise UsageError(f"{where}: no such folder: {name} (looked in {_listed(folders)})")
    return name


def _must_find(name: str, folders: Sequence[Path], where: str) -> str:
    found = _find(name, folders)
    if found is None:
        raise UsageError(f"{where}: no such file: {name or '(empty)'} (looked in {_listed(folders)})")
    return found


def _find(name: str, folders: Sequence[Path]) -> str | None:
    if not name or "\0" in name:
        return None
    for folder in folders:
        try:
            path = (folder / Path(name).expanduser()).resolve()
            if path.exists():
                return str(path)
        except (OSError, RuntimeError):  # a name too long to be a path, or ~nobody: not here
            continue
    return None


def _looks_like_path(name: str) -> bool:
    return not name or name.startswith((".", "/", "~")) or name.endswith("/") or name.count("/") > 1


def _listed(folders: Sequence[Path]) -> str:
    return " and ".join(dict.fromkeys(str(folder.resolve()) for folder in folders))
