"""A run's student taken from its folder: to be asked, and to be exported."""

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError

from engine.answers.kinds import join
from engine.data.load import load as load_data
from engine.errors import QcrdError, UsageError
from engine.evaluation.one_question import Learned
from engine.evaluation.reply import Head
from engine.judge.discriminator import Discriminator, build
from engine.records import Example
from engine.runs.export import export
from engine.spec.methods import Qcrd
from engine.spec.run import RunSpec
from engine.spec.sections import LoraConfig
from engine.store import queries
from engine.store.connect import open_reader
from engine.store.runs.run import folder_of, stored_spec
from engine.students import pretrained
from engine.students.load import student as load_student
from engine.students.seam import Student
from engine.training import checkpoint

LONGEST = 20
"""Of the texts that have the most characters, so many are looked at for the one of the most tokens."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a run's best student lies."""

    database: Path
    run_id: int
    spec: RunSpec
    folder: Path
    """The run's."""
    step: int | None
    """Of the checkpoint; None: the exported student is all there is."""


def place(database: Path, run_id: int) -> Place:
    """The best checkpoint, else the exported student. Raises UsageError where the run has neither."""
    with closing(open_reader(database)) as connection:
        row = connection.execute("SELECT folder, status, steps FROM runs WHERE id = ?", (run_id,)).fetchone()
        spec = stored_spec(connection, run_id)
    folder = folder_of(database, row)
    if not spec.trains_student:
        raise UsageError(
            f"run {run_id} trained a ranking model, which answers nothing: `qcrd evaluate RUN --vote asc "
            f"--ranking {run_id}` weighs a student's votes by it; it is in {folder / 'ranking'}"
        )
    step = checkpoint.best(folder)
    if step is not None and (folder / "tokenizer").is_dir():
        return Place(database, run_id, spec, folder, step)
    if (folder / "student" / "config.json").is_file():
        return Place(database, run_id, spec, folder, None)
    if not row["steps"]:
        raise UsageError(f"run {run_id} ends with its vote: it has no student")
    if row["status"] in ("done", "interrupted", "failed"):
        raise UsageError(f"run {run_id} has no checkpoint and no exported student in {folder}")
    raise UsageError(f"run {run_id} has no checkpoint yet: `qcrd show {run_id}` tells how far it is")


def load(found: Place, doing: Callable[[str], None] = lambda line: None) -> Learned:
    """The student, through the code that trains and evaluates it, on the device that there is.

    Raises UsageError where its model cannot be had, QcrdError where its files cannot be read or its base is gone.
    """
    spec = found.spec.model_copy(update={"student": found.spec.student.model_copy(update={"device": "auto"})})
    if found.step is None:
        doing("loading the exported student")
        folder = found.folder / "student"
        exported = spec.student.model_copy(update={"model": str(folder), "lora": LoraConfig()})
        student = load_student(spec.model_copy(update={"student": exported}), [], folder)
        note = _no_judge(spec, "only the exported student is left of this run")
        return Learned(spec, None, student, None, _longest(found, student), note)
    if spec.student.lora.r:  # else the checkpoint holds all weights
        with closing(open_reader(found.database)) as connection:
            recorded = _provenance(connection, found.run_id).get("base")
        pretrained.put_back(found.folder, recorded, lambda level, line: doing(line))
    doing(f"loading the student of step {found.step}")
    student = load_student(spec, [], found.folder / "tokenizer")
    try:
        checkpoint.load_student(found.folder, found.step, student.model)
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise QcrdError(
            f"the checkpoint {checkpoint.folder_of(found.folder, found.step)} could not be read ({error})"
        ) from error
    student.model.eval()
    judge, note = None, ""
    if isinstance(spec.method, Qcrd) and spec.method.judged:
        doing("loading the discriminator")
        try:
            judge = _judge(spec, found.folder, found.step, student)
        except (QcrdError, OSError, ValueError, RuntimeError, SafetensorError) as error:
            note = f"no quality: the discriminator could not be loaded ({error})"
    return Learned(spec, found.step, student, judge, _longest(found, student), note)


def example_of(database: Path, spec: RunSpec, run_id: int, key: str) -> Example:
    """An example of the run's data as it is stored; its choices, which are not, from the data itself.

    Raises UsageError where the run has no such example.
    """
    with closing(open_reader(database)) as connection:
        row = connection.execute(
            "SELECT x.split, x.question, x.answer FROM run_datasets d JOIN examples x ON x.dataset_id = d.dataset_id"
            " WHERE d.run_id = ? AND x.key = ?",
            (run_id, key),
        ).fetchone()
    if row is None:
        raise UsageError(f"run {run_id} has no question {key!r}")
    choices: tuple[str, ...] = ()
    if spec.data.answer == "choice":
        try:
            there = {x.id: x for x in load_data(spec).splits.get(row["split"], ())}
        except (QcrdError, OSError):  # the data are no longer there: a letter is then read as a letter
            there = {}
        choices = there[key].choices if key in there else ()
    return Example(key, str(row["question"]), row["answer"], choices)


def export_student(
    database: Path, run_id: int, target: Path | None, force: bool = False, doing: Callable[[str], None] = lambda _: None
) -> Path:
    """The best student as a Hugging Face folder with a model card: `target`, else student/ in the run's own folder.

    Raises UsageError where there is no student, or where something is in the way and not `force`.
    """
    found = place(database, run_id)
    own = found.folder / "student"
    final = (target or own).absolute()
    with closing(open_reader(database)) as connection:
        done = queries.find_run(connection, run_id)["status"] == "done"
        scores = [
            f"{row['split']}, {row['head']} head: {row['accuracy']:.3f} ({row['low']:.3f} to {row['high']:.3f}, "
            f"n = {row['total']})"
            for row in queries.scores(connection, run_id)
            if row["who"] == "student"
        ]
        data_hash = _provenance(connection, run_id).get("data_hash", "–")
    ready = done and (own / "README.md").is_file()  # of adapters alone there is no config.json
    if ready and final == own:
        return own
    if final.exists() and not force:
        raise UsageError(f"{final} is there already: name another folder, or overwrite it with --force")
    if ready or found.step is None:
        return _copy(own, final)
    learned = load(found, doing)
    doing("writing the folder")
    return export(learned.student, final, found.spec, scores, data_hash)


def _provenance(connection: sqlite3.Connection, run_id: int) -> dict[str, str]:
    return {row["key"]: row["value"] for row in queries.provenance(connection, run_id)}


def _longest(found: Place, student: Student) -> dict[Head, int]:
    """As `pipeline` has it: a little more than the longest target that each head was taught."""
    most = found.spec.student.max_rationale_tokens
    with closing(open_reader(found.database)) as connection:
        labels = connection.execute(
            "SELECT answer FROM (SELECT answer FROM votes WHERE run_id = ?1 UNION SELECT x.answer FROM run_datasets d"
            " JOIN examples x ON x.dataset_id = d.dataset_id WHERE d.run_id = ?1 AND x.split = 'train')"
            " WHERE answer IS NOT NULL ORDER BY length(answer) DESC LIMIT ?2",
            (found.run_id, LONGEST),
        ).fetchall()
        texts = connection.execute(
            "SELECT t.text, r.answer FROM rationales r JOIN texts t ON t.id = r.text_id WHERE r.run_id = ?"
            " AND r.polarity = 'positive' ORDER BY length(t.text) DESC LIMIT ?",
            (found.run_id, LONGEST),
        ).fetchall()
    asks = found.spec.student.answer_in_rationale
    label = max((student.target_length(row["answer"]) for row in labels), default=8)
    rationales = (join(row["text"], row["answer"]) if asks and row["answer"] else row["text"] for row in texts)
    rationale = max(map(student.target_length, rationales), default=most)
    return {"predict": min(label + 8, most), "explain": min(rationale + 8, most)}


def _copy(own: Path, final: Path) -> Path:
    beside = final.with_name(final.name + ".partial")
    try:
        shutil.rmtree(beside, ignore_errors=True)
        shutil.copytree(own, beside)
        shutil.rmtree(final, ignore_errors=True)
        beside.rename(final)
    except OSError as error:
        raise QcrdError(f"the student could not be exported to {final} ({error.strerror or error})") from error
    return final


def _judge(spec: RunSpec, folder: Path, step: int, student: Student) -> Discriminator:
    assert isinstance(spec.method, Qcrd)
    longest = (spec.student.max_question_tokens, spec.student.max_rationale_tokens)
    judge = build(spec.method.discriminator.encoder, student, *longest, spec.seed)
    checkpoint.load_judge(folder, step, judge)
    return judge


def _no_judge(spec: RunSpec, why: str) -> str:
    return f"no quality: {why}" if isinstance(spec.method, Qcrd) and spec.method.judged else ""
