"""The dataset of a run, from wherever the spec says: generator, preset, path or hub id."""

import difflib
from pathlib import Path

from engine.answers import number
from engine.data import arithmetic, columns, files, hub, presets, splits
from engine.data.hashing import dataset_hash
from engine.errors import UsageError
from engine.records import Dataset, Example
from engine.spec.run import RunSpec

KNOWN = ("arithmetic", *presets.PRESETS)


def load(spec: RunSpec) -> Dataset:
    """The examples of a run by split; "train", "validation" and "test" are always there and never empty.

    Splits that the source lacks are made by a hash of the id; `data.limit` (the first ones of each split), then
    `data.train_share` (by hash, smaller shares within larger ones) are applied. UsageError, one line with the place,
    for whatever cannot be used; nothing is half-loaded.
    """
    data, seed = spec.data, spec.data_seed
    if data.dataset == "arithmetic":
        if data.answer != "number":
            raise UsageError(
                f'dataset "arithmetic" has numbers for answers: set data.answer = "number", not "{data.answer}"'
            )
        made = arithmetic.generate(seed, data.arithmetic)
        parts, notes = {s: list(e) for s, e in made.splits.items()}, list(made.notes)
    else:
        mapping = {str(what): column for what, column in data.columns.items()}
        if data.dataset in presets.PRESETS:
            if mapping:
                raise UsageError(f'data.columns does not apply to the preset "{data.dataset}": it knows its columns')
            rows = presets.read_preset(data.dataset, data.answer)
        elif files.looks_like_path(data.dataset):
            rows = files.read_path(data.dataset)
        elif hub.HUB_ID.fullmatch(data.dataset):
            name, _, config = data.dataset.partition(":")
            rows = hub.read_hub(name, config or None)
        else:
            raise UsageError(_unknown(data.dataset))
        examples = columns.to_examples(
            data.dataset, rows, mapping, data.answer, show_choices=data.dataset not in presets.PRESETS
        )
        parts, notes = splits.complete(data.dataset, examples, seed)
    if data.limit is not None:
        parts = {split: part[: data.limit] for split, part in parts.items()}
    if data.train_share < 1:
        parts["train"] = splits.share(parts["train"], data.train_share, seed)
    notes += _gold_notes(spec, parts)
    final = {split: tuple(part) for split, part in parts.items()}
    return Dataset(data.dataset, final, dataset_hash(final), tuple(notes))


def _unknown(name: str) -> str:
    near = difflib.get_close_matches(name, KNOWN, n=1)
    hint = f'did you mean "{near[0]}"? ' if near else ""
    return (
        f'data.dataset = "{name:.100}" is no preset ({", ".join(KNOWN)}), no file or folder here ({Path.cwd()}) '
        f"and no hub id (owner/name). {hint}".strip()
    )


def _gold_notes(spec: RunSpec, parts: dict[str, list[Example]]) -> list[str]:
    """What is to be known about gold answers; an error where the run cannot do without them."""
    notes = []
    if (spec.data.labels == "gold" or spec.method.name == "finetune") and all(e.answer is None for e in parts["train"]):
        raise UsageError(
            f"{spec.data.dataset}: no training question has a gold answer, which method {spec.method.name} with "
            f'data.labels = "{spec.data.labels}" learns from; fill them in, or let the teacher supervise'
        )
    for split, part in parts.items():
        without = sum(e.answer is None for e in part)
        if without:
            notes.append(f"{without} of {len(part)} {split} questions have no gold answer: left out of accuracy")
        if spec.data.answer == "number":
            odd = [e for e in part if e.answer is not None and number.value(e.answer) is None]
            if odd:
                notes.append(
                    f"{len(odd)} of {len(part)} {split} gold answers are no plain numbers, such as "
                    f"{odd[0].answer!r:.80} of {odd[0].id}: they match the same text alone"
                )
    return notes
