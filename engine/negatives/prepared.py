"""Negatives that are made once, before training: perturbed positives, and samples of peers."""

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from engine.negatives import peer, perturbed
from engine.negatives.band import Band
from engine.negatives.sampled import How
from engine.records import Rationale
from engine.spec.run import RunSpec
from engine.students.seam import Student
from engine.training.batches import Item, candidate, counted


def prepare(
    spec: RunSpec,
    items: Sequence[Item],
    folder: Path,
    peers: Sequence[Path],
    band: Band | None,
    *,
    first_number: int,
    how: How,
) -> list[Rationale]:
    """What the spec's sources give, numbered from `first_number`; kept in the run's folder, where a resumed run reads
    it: peers may be gone by then, and asking them again takes long.

    Their slots go on after the teacher's samples.
    """
    config = spec.negatives
    if config is None:
        return []
    file = folder / "negatives.json"
    kept = how.ranks.agree(file.read_text(encoding="utf-8") if file.is_file() else None)
    if kept is not None:
        return [Rationale(**r) for r in json.loads(kept)]
    made: list[Rationale] = []
    slot = spec.teacher.samples
    if "perturbed" in config.sources:
        made += perturbed.write(
            items, config, kind=spec.data.answer, seed=spec.seed, first_number=first_number, first_slot=slot
        )
        slot += config.per_example
    if "peer" in config.sources:
        number = first_number + len(made)
        made += peer.write(peers, spec, items, config, first_number=number, first_slot=slot, how=how)
    if band is not None:
        made = band.sort(made, {x.example.id: x.example.question for x in items})
    if how.ranks.first:
        partial = file.with_name(file.name + ".partial")
        partial.write_text(json.dumps([asdict(r) for r in made]), encoding="utf-8")
        partial.rename(file)  # whole or not at all: the process may be killed at any moment
    return made


def joined(spec: RunSpec, items: Sequence[Item], made: Sequence[Rationale], student: Student) -> list[Item]:
    """The items with those of `made` that are negatives, after the ones they have; counted as the spec says."""
    by_example: dict[str, list[Rationale]] = {}
    for r in made:
        if r.polarity == "negative":
            by_example.setdefault(r.example_id, []).append(r)

    def more(item: Item) -> Item:
        new = (candidate(student, r, spec.student.answer_in_rationale) for r in by_example.get(item.example.id, ()))
        negatives = (*item.negatives, *new)
        if spec.negatives is not None:
            negatives = counted(negatives, item.positives, spec.negatives.tokens)
        return replace(item, negatives=negatives)

    return [more(x) for x in items]
