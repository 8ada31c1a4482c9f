"""Datasets through Hugging Face `datasets`: a hub id, or a folder that `save_to_disk` wrote."""

import logging
import re
from pathlib import Path
from typing import Any

from engine.data.rows import Row
from engine.errors import UsageError

HUB_ID = re.compile(r"[\w.-]+/[\w.-]+(?::[\w.-]+)?")
"""owner/name, or owner/name:config."""
SPLITS = {"train": "train", "validation": "validation", "valid": "validation", "dev": "validation", "test": "test"}


def read_hub(
    name: str, config: str | None = None, revision: str | None = None, splits: dict[str, str] | None = None
) -> dict[str, list[Row]]:
    """Rows by split (the values of `splits`, by default those named train, validation, test); integer class labels
    become their names. UsageError, one line, where the dataset cannot be had."""
    import datasets

    _quiet(datasets)
    try:
        loaded = datasets.load_dataset(name, config, revision=revision)
    except Exception as error:  # the library raises anything from OSError to bare Exception
        raise UsageError(
            f"dataset {name!r} could not be loaded from the Hugging Face Hub ({_reason(error)}); check its name "
            "and the network, or give a local file as data.dataset"
        ) from error
    return _splits(name, dict(loaded), splits or SPLITS)


def read_saved(path: Path) -> dict[str, list[Row]]:
    """Rows by split of a folder written by `Dataset.save_to_disk` or `DatasetDict.save_to_disk`."""
    import datasets

    _quiet(datasets)
    try:
        loaded = datasets.load_from_disk(str(path))
    except Exception as error:  # as above
        raise UsageError(f"{path}: `datasets` cannot load this folder ({_reason(error)})") from error
    parts = dict(loaded) if isinstance(loaded, datasets.DatasetDict) else {"train": loaded}
    return _splits(str(path), parts, SPLITS)


def _splits(name: str, parts: dict[str, Any], wanted: dict[str, str]) -> dict[str, list[Row]]:
    found = {wanted[s]: _rows(f"{name} {s}", part) for s, part in parts.items() if s in wanted}
    if not any(found.values()):
        raise UsageError(f"dataset {name!r} has no rows in the splits {', '.join(wanted)}; it has {', '.join(parts)}")
    return {split: rows for split, rows in found.items() if rows}


def _rows(name: str, part: Any) -> list[Row]:
    classes = {c: f.names for c, f in part.features.items() if type(f).__name__ == "ClassLabel"}
    rows = []
    for i, values in enumerate(part, start=1):
        for column, names in classes.items():
            label = values[column]
            values[column] = names[label] if label is not None and 0 <= label < len(names) else None
        rows.append(Row(f"{name} row {i}", i, values))
    return rows


def _quiet(datasets: Any) -> None:
    """Its progress bars and warnings would tear the terminal."""
    datasets.disable_progress_bars()
    datasets.logging.set_verbosity_error()
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)


def _reason(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:300]}" if lines else type(error).__name__
