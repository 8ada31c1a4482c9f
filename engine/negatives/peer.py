"""Negatives of peers: sampled once from the exported students of other runs, before training begins."""

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from engine.errors import UsageError
from engine.negatives import sampled
from engine.negatives.sampled import How, Task
from engine.randomness import derive
from engine.records import Rationale
from engine.spec.negatives import Negatives
from engine.spec.run import RunSpec
from engine.store.connect import open_reader
from engine.store.runs.run import folder_of
from engine.students.load import student as load_student
from engine.training.batches import Item, explain_prompt


def folders(config: Negatives, database: Path) -> list[Path]:
    """The folder of each peer's exported student: of a run's id, or given. Raises UsageError where there is none."""
    if not config.peers:
        return []
    found = []
    with closing(open_reader(database)) as db:
        for peer in config.peers:
            folder = Path(peer)
            if peer.isdigit():
                row = db.execute("SELECT folder FROM runs WHERE id = ?", (int(peer),)).fetchone()
                if row is None:
                    raise UsageError(f"method.negatives.peers: there is no run {peer}: `qcrd runs` lists them")
                folder = folder_of(database, row) / "student"
            elif (folder / "student").is_dir():
                folder = folder / "student"
            if not (folder / "config.json").is_file():
                raise UsageError(
                    f"method.negatives.peers: {peer!r} has no exported student in {folder}; "
                    "name runs that are done, or folders with a student"
                )
            found.append(folder)
    return found


def write(
    peers: Sequence[Path],
    spec: RunSpec,
    items: Sequence[Item],
    config: Negatives,
    *,
    first_number: int,
    first_slot: int,
    how: How,
) -> list[Rationale]:
    """`per_example` samples of each peer for each item. A peer reads the prompt in its own tokens."""
    written: list[Rationale] = []
    for place, folder in enumerate(peers):
        asked = spec.model_copy(update={"student": spec.student.model_copy(update={"model": str(folder)})})
        student = load_student(asked, [], folder)
        task = Task(
            items,
            [student.prompt(explain_prompt(x.example.question)) for x in items],
            config,
            source="peer",
            iteration=0,
            seed=derive(spec.seed, "peer", place),
            first_number=first_number + len(written),
            how=how,
            first_slot=first_slot + place * config.per_example,
        )
        written += sampled.write(student, task)
    return written
