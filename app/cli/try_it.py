"""try, export: a run's student asked a question, and taken away as a Hugging Face folder."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli.options import Db, Json, Jsonl, Run, database, output_format

if TYPE_CHECKING:
    from engine.evaluation.reply import Votes


def add_to(app: typer.Typer) -> None:
    """Give the app this file's commands."""
    app.command("try")(try_it)
    app.command()(export)


def try_it(
    run: Run,
    question: Annotated[
        str | None, typer.Argument(metavar="[QUESTION]", help="Else every line of stdin; on a terminal, as you type.")
    ] = None,
    example: Annotated[
        str | None, typer.Option("--id", metavar="ID", help="A question of the run's data, instead of QUESTION.")
    ] = None,
    samples: Annotated[
        int, typer.Option("--samples", "-n", metavar="N", min=0, max=1000, help="Draw so many answers of each head.")
    ] = 0,
    temperature: Annotated[float, typer.Option("--temperature", min=0.01, help="Of those answers.")] = 0.7,
    json: Json = False,
    jsonl: Jsonl = False,
    db: Db = None,
) -> None:
    """Ask a run's student a question: both heads' answers, and the rationale as it is written.

    The student of the best checkpoint so far, or the exported one. Of a question of the run's data the gold answer and
    the vote are told too.
    """
    import sys
    from contextlib import closing

    from engine.errors import UsageError
    from engine.evaluation.reply import Asked
    from engine.exchange.results import plain
    from engine.runs.inference import Inference
    from engine.store.connect import open_reader
    from engine.store.queries import find_run
    from engine.store.rationales.known import find_example, read_known

    _quietly()
    form = output_format(json, jsonl, csv=False)
    if question is not None and example is not None:
        raise UsageError("give either QUESTION or --id ID")
    path = database(db)
    with closing(open_reader(path)) as connection:
        run_id = int(find_run(connection, run)["id"])
    talk = Talk(form == "table")
    inference = Inference(path, talk.say)
    one = question is not None or example is not None
    for number, text in enumerate([question or ""] if one else _typed()):
        with closing(open_reader(path)) as connection:
            key = example or find_example(connection, run_id, text)
            known = None if key is None else read_known(connection, run_id, key)
        talk.begin()
        inference.tell(Asked(number, run_id, text, key, samples, temperature))
        about = {
            "run": run_id,
            "step": talk.step,
            "question": text if known is None else known.text,
            "example": key,
            "gold": None if known is None else known.gold,
            "vote": None if known is None or known.question is None else known.question.vote,
        }
        if form == "table":
            talk.end(about)
        else:
            print(_dumps(plain(about | talk.told), indent=2 if form == "json" and one else None))
        sys.stdout.flush()


def export(
    run: Run = "last",
    folder: Annotated[
        Path | None, typer.Argument(metavar="[FOLDER]", help="To write; else student/ in the run's own folder.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite FOLDER if it is there.")] = False,
    db: Db = None,
) -> None:
    """Write a run's best student as a Hugging Face folder with a model card, and print its path.

    The run may be stopped, or still going on: then it is that of the best checkpoint so far.
    """
    import sys
    from contextlib import closing

    from engine.runs.learned import export_student
    from engine.store.connect import open_reader
    from engine.store.queries import find_run

    _quietly()
    path = database(db)
    with closing(open_reader(path)) as connection:
        run_id = int(find_run(connection, run)["id"])
    print(export_student(path, run_id, folder, force, lambda line: print(line, file=sys.stderr)))


def _quietly() -> None:
    """What libraries think of each other is not for who asks a question."""
    import warnings

    warnings.simplefilter("ignore", FutureWarning)


class Talk:
    """What is said to one question after the other: printed as it comes, or kept."""

    def __init__(self, printed: bool) -> None:
        self._printed = printed
        self._shown = ""
        self.step: int | None = None
        """Of the checkpoint that answers; None: the exported student."""
        self.told: dict[str, Any] = {}

    def begin(self) -> None:
        """Another question."""
        self.told, self._shown = {}, ""

    def say(self, reply: Any) -> None:
        """A reply, as `engine.evaluation.reply` has them."""
        from dataclasses import asdict
        from sys import stderr

        from engine.evaluation.reply import Doing, Piece, Ready, Told, Votes
        from engine.text import clean

        if isinstance(reply, Doing):
            print(reply.text, file=stderr)
        elif isinstance(reply, Ready):
            self.step = reply.step
            if reply.note:
                print(clean(reply.note), file=stderr)
        elif isinstance(reply, Piece):
            if self._printed and reply.head == "explain":
                self._grow(reply.text)
        elif isinstance(reply, Told):
            found = asdict(reply)
            self.told[reply.head] = {key: found[key] for key in found if key not in ("id", "head")}
            if self._printed and reply.head == "explain":
                self._grow(reply.text)
                print()
            elif self._printed:
                print(f"predict  {clean(reply.answer or 'no answer')}")
        elif isinstance(reply, Votes):
            found = asdict(reply)
            self.told[reply.head] = {key: found[key] for key in found if key not in ("id", "head")}
            if self._printed:
                _print_votes(reply)

    def _grow(self, text: str) -> None:
        """What is new of a text; the whole again where a tokeniser reads its beginning in another way by now."""
        from engine.text import clean

        if not self._shown:
            print("explain  ", end="")
        elif not text.startswith(self._shown):
            print()
            self._shown = ""
        print(clean(text[len(self._shown) :]), end="", flush=True)
        self._shown = text or " "

    def end(self, about: dict[str, Any]) -> None:
        """What is known of the answers and of the question, in a line or two."""
        from engine.text import one_line
        from screens.widgets.words import UNKNOWN, two

        signs = {True: " ✓", False: " ✗", None: ""}
        explained = self.told.get("explain", {})
        if "text" in explained:
            rule = f" (by rule {explained['rule']})" if explained["answer"] is not None else ""
            quality = f" · quality {two(explained['quality'])}" if explained["quality"] is not None else ""
            print(f"answer   {one_line(explained['answer'] or UNKNOWN)}{rule}{signs[explained['right']]}{quality}")
        if about["example"] is not None:
            vote = f" · vote {one_line(about['vote'])}" if about["vote"] is not None else ""
            print(f"gold     {one_line(about['gold'] or UNKNOWN)}{vote} · {one_line(about['example'])}")


def _print_votes(votes: "Votes") -> None:
    from engine.text import one_line

    total = sum(one.count for one in votes.given)
    for place, one in enumerate(votes.given):
        head = votes.head if place == 0 else ""
        sign = {True: " ✓", False: " ✗", None: ""}[one.right]
        print(f"{head:<8} {one.count:>4} of {total}  {one_line(one.answer or 'no answer', 60)}{sign}")


def _typed() -> Any:
    """Questions, line by line, without blank ones; a terminal is asked for them."""
    import sys

    if sys.stdin.isatty():
        print("a question a line; Ctrl-D ends", file=sys.stderr)
        while True:
            print("> ", end="", file=sys.stderr, flush=True)
            text = sys.stdin.readline()
            if not text:
                print(file=sys.stderr)
                return
            if text.strip():
                yield text.strip()
    else:
        yield from (text.strip() for text in sys.stdin if text.strip())


def _dumps(found: Any, indent: int | None) -> str:
    from json import dumps

    return dumps(found, indent=indent)
