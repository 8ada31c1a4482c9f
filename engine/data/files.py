"""A dataset at a path: one file, or a folder with a file (or Parquet shards) a split, or one that `datasets` saved."""

import difflib
import re
from pathlib import Path

from engine.data import hub
from engine.data.rows import ENDINGS, Row, read_rows
from engine.errors import UsageError

SPLIT_NAMES = {"train": "train", "validation": "validation", "valid": "validation", "val": "validation",
               "dev": "validation", "test": "test"}  # fmt: skip
SPLIT_FILE = re.compile(
    r"(train|validation|valid|val|dev|test)(-\d+-of-\d+)?\.(?:jsonl|jsonl\.gz|csv|parquet)", re.IGNORECASE
)
WHOLE = "row"
"""The split of a single file, before it is divided; also what its default ids begin with."""


def looks_like_path(name: str) -> bool:
    """Whether a dataset's name is meant as a path, be it there or not."""
    return name.startswith((".", "/", "~")) or name.endswith(ENDINGS) or _exists(Path(name))


def read_path(name: str) -> dict[str, list[Row]]:
    """Rows by split; a single file has the one split `WHOLE`."""
    path = Path(name).expanduser()
    if path.is_dir():
        return _folder(path)
    if not _exists(path):
        there = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
        near = difflib.get_close_matches(path.name, there, n=1)
        hint = f"; did you mean {path.parent / near[0]}?" if near else f" (looked from {Path.cwd()})"
        raise UsageError(f"data.dataset: there is no file {path}{hint}")
    return {WHOLE: _some(path, read_rows(path))}


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # too long for a file name
        return False


def _folder(path: Path) -> dict[str, list[Row]]:
    if (path / "dataset_dict.json").exists() or (path / "state.json").exists():
        return hub.read_saved(path)
    found: dict[str, list[Path]] = {}
    inside = [path, path / "data"] if (path / "data").is_dir() else [path]
    for file in sorted(p for folder in inside for p in folder.iterdir() if p.is_file()):
        if match := SPLIT_FILE.fullmatch(file.name):
            found.setdefault(SPLIT_NAMES[match[1].lower()], []).append(file)
    if not found:
        raise UsageError(
            f"data.dataset: {path} has no file for a split; expected train, validation or test with one of the endings "
            f"{', '.join(ENDINGS)}"
        )
    for split, files in found.items():
        if len(files) > 1 and not all("-of-" in f.name for f in files):
            raise UsageError(f"data.dataset: {path} has two files for {split}: {files[0].name} and {files[1].name}")
    return {split: _joined(files) for split, files in found.items()}


def _joined(files: list[Path]) -> list[Row]:
    """The rows of one file, or of shards, whose rows are counted on so that default ids stay unique."""
    if len(files) == 1:
        return _some(files[0], read_rows(files[0]))
    rows = [row for f in files for row in _some(f, read_rows(f))]
    return [Row(row.place, i, row.values) for i, row in enumerate(rows, start=1)]


def _some(path: Path, rows: list[Row]) -> list[Row]:
    if not rows:
        raise UsageError(f"{path}: no rows in it")
    return rows
