"""import-samples, export-samples: samples that others have recorded in, and ours out for others' programs."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from app.cli.options import Db, Run, Set, database

if TYPE_CHECKING:
    from engine.exchange.importing import Imported


def add_to(app: typer.Typer) -> None:
    """Give the app this file's commands."""
    app.command()(import_samples)
    app.command()(export_samples)


def import_samples(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="JSONL (plain or .gz) or .parquet.")],
    spec: Annotated[
        Path, typer.Option("--spec", metavar="SPEC", help="The TOML file whose teacher wrote the recorded outputs.")
    ],
    sets: Set = None,
    form: Annotated[
        Literal["auto", "qcrd", "distilabel", "openai-batch"],
        typer.Option(
            "--format",
            help="qcrd: id, question, samples; distilabel: instruction or messages, generation; openai-batch: a "
            "batch's result file.",
        ),
    ] = "auto",
    requests: Annotated[
        Path | None,
        typer.Option(
            "--requests", metavar="FILE", help="Of an OpenAI batch: its request file, where custom_id is no question's."
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    db: Db = None,
) -> None:
    """Take recorded outputs as the samples of a spec's teacher, so that a run of the spec need not buy them.

    Questions are found by id, else by their text. What is in the database already is not stored again.
    """
    from dataclasses import fields
    from json import dumps

    from engine.data.load import load
    from engine.data.splits import asked
    from engine.errors import UsageError
    from engine.exchange.importing import import_samples as run
    from engine.spec.load import load_spec

    if requests is not None and form not in ("auto", "openai-batch"):
        raise UsageError(f"--requests is for --format openai-batch, not for {form}")
    loaded = load_spec(spec, list(sets or []))
    if not loaded.needs_teacher:
        raise UsageError(f"method {loaded.method.name} asks no teacher: there is nothing to import for")
    examples = asked(loaded, load(loaded))
    found = run(file, database(db), loaded, examples, None if form == "auto" else form, requests)
    if json:
        said = {field.name: getattr(found, field.name) for field in fields(found)}
        print(dumps(said | {"questions": len(found.questions), "teacher": loaded.teacher.name}))
        return
    _tell(found, [one.model for one in loaded.teacher.everyone])


def export_samples(
    run: Run,
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="To write: .jsonl, .jsonl.gz or .parquet; -: JSON lines on stdout.")
    ],
    form: Annotated[
        Literal["qcrd", "preference", "kto"],
        typer.Option(
            "--format",
            help="qcrd: all samples, as import-samples reads them; preference: prompt, chosen, rejected, each "
            "rationale of a question at least once; kto: prompt, completion, label. The last two are TRL's, of "
            "training questions.",
        ),
    ] = "qcrd",
    force: Annotated[bool, typer.Option("--force", help="Overwrite FILE if it is there.")] = False,
    db: Db = None,
) -> None:
    """Write a run's samples, or its positives and negatives, for other programs. The run may be in any state."""
    import sys
    from contextlib import closing

    from engine.errors import UsageError
    from engine.exchange.exporting import export_rows, why_empty
    from engine.exchange.files import check_target, write_rows
    from engine.store.connect import open_reader
    from engine.store.queries import find_run

    path = database(db)
    check_target(file, force)
    with closing(open_reader(path)) as connection:
        run_id = int(find_run(connection, run)["id"])
    count = write_rows(file, export_rows(path, run_id, form))
    if not count:
        raise UsageError(why_empty(path, run_id, form))
    print(f"{count} rows" + ("" if str(file) == "-" else f" in {file}"), file=sys.stderr)


def _tell(found: "Imported", teachers: list[str]) -> None:
    """The report, for a person."""
    import sys

    from engine.text import clean, one_line

    print(
        f"{found.new} samples of {clean(' and '.join(teachers))} for {len(found.questions)} of {found.asked} questions"
    )
    others = [
        (found.known, "were in the database already"),
        (found.spare, "lie beyond teacher.samples and are used when it is raised"),
        (found.empty, "are empty and were left out"),
        (found.left, "are more than a question can have and were left out"),
    ]
    for count, what in others:
        if count:
            print(f"{count} {what}")
    for model, count in found.models.most_common(5):
        if all(model not in (teacher, teacher.rpartition("/")[2]) for teacher in teachers):
            print(f"the file names {one_line(model)} as the writer of {count}: it is kept with each", file=sys.stderr)
    for count, what, named in (
        (found.unmatched, "rows are of no question that the teacher is asked", found.unmatched_named),
        (found.broken, "lines cannot be used", found.broken_named),
    ):
        if count:
            print(f"{count} {what if count > 1 else what.replace('lines', 'line')}:", file=sys.stderr)
            for name in named:
                print(f"  {one_line(name)}", file=sys.stderr)
            if count > len(named):
                print("  …", file=sys.stderr)
