"""The command lines that do what a key does; keys that only change what is in sight have none."""

import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from engine.store.connect import database_path
from screens.remembered.kept import RunsKept

TWINS = {
    "all.runs": "runs",
    "all.live": "attach RUN",
    "all.rationales": "rationales RUN",
    "all.compare": "compare RUNS",
    "all.sql": "query SQL",
    "all.teacher": "requests RUN",
    "all.settings": "settings",
    "all.help": "--help",
    "runs.open": "show RUN",
    "runs.new": "init run.toml",
    "runs.filter": "runs --where FILTER",
    "runs.sort": "runs --sort KEY",
    "runs.compare": "compare RUNS",
    "runs.stop": "stop RUN",
    "runs.resume": "resume RUN -d",
    "runs.star": "star RUNS",
    "runs.tag": "tag RUNS --add TAG",
    "runs.note": "note RUN TEXT",
    "runs.archive": "archive RUNS",
    "runs.ask": "try RUN",
    "runs.export": "export RUN",
    "runs.show-archived": "runs --archived",
    "runs.votes": "evaluate RUN",
    "live.votes": "evaluate RUN",
    "votes.draw": "evaluate RUN --samples 16",
    "votes.judge": "evaluate RUN --vote asc",
    "votes.weight": "evaluate RUN --vote asc --weight 1+s",
    "live.pause": "pause RUN",
    "live.stop": "stop RUN",
    "live.checkpoint": "checkpoint RUN",
    "live.resume": "resume RUN -d",
    "live.level": "logs RUN",
    "live.ask": "try RUN",
    "live.export": "export RUN",
    "live.other-charts": "metrics RUN",
    "rationales.next": "rationales RUN --question QUESTION",
    "rationales.ask": "try RUN --id QUESTION",
    "rationales.search": "rationales RUN --text WORDS",
    "rationales.filter": "rationales RUN --polarity POLARITY",
    "rationales.flag": "annotate RUN QUESTION RATIONALE --flag",
    "rationales.note": "annotate RUN QUESTION RATIONALE --note TEXT",
    "compare.metric": "metrics RUN METRIC",
    "new.cost": "run FILE --dry-run",
    "new.try": "try-prompt FILE",
    "new.write": "init FILE",
    "new.run": "run FILE -d",
    "new.queue": "run FILE --queue",
    "sql.run": "query SQL",
    "sql.saved": "queries",
    "sql.save": "query SQL --save NAME",
    "sql.export": "query SQL --to FILE",
    "teacher.run-or-all": "requests all",
    "teacher.state": "requests RUN --state STATE",
    "teacher.whole": "requests RUN --request REQUEST",
    "try.ask": "try RUN TEXT",
    "try.vote": "try RUN TEXT --samples 8",
    "settings.change": "settings NAME VALUE",
    "settings.default": "settings NAME ''",
}
"""By the key's name, without qcrd; words in capitals are filled in by the screen, or by who pastes it."""
BLANK = re.compile(r"\b[A-Z]{3,}\b")


def filled(template: str, blanks: Mapping[str, str]) -> str:
    """A twin's command with what the screen knows; of several runs, where it takes one, a command each."""
    run = blanks.get("RUN", "")
    if BLANK.search(template) and "RUN " in f"{template} " and len(run.split()) > 1:
        return " && ".join(filled(template, {**blanks, "RUN": one}) for one in run.split())
    return " ".join(BLANK.sub(lambda blank: blanks.get(blank[0], blank[0]), template).split())


def twin(database: Path | None, command: str) -> str:
    """A command line that can be pasted: --db is there where it is needed; "A && B" are two."""
    option = ""
    if database is not None and database.absolute() != database_path(None).absolute():
        option = f" --db {shlex.quote(str(database))}"
    return " && ".join(f"qcrd {part}{option}" for part in command.split(" && "))


def words(command: str, run_ids: Sequence[int], options: str = "") -> str:
    """star 4 7 --undo."""
    return " ".join([command, *map(str, run_ids), *([options] if options else [])])


def each(command: str, run_ids: Sequence[int], options: str = "") -> str:
    """stop 4 && stop 7."""
    return " && ".join(words(command, [run_id], options) for run_id in run_ids)


def listing(kept: RunsKept) -> str:
    """The list as it is shown, but for columns and groups."""
    parts = ["runs"]
    parts += ["--where", shlex.quote(kept.where)] if kept.where else []
    parts += ["--sort", kept.sort] if kept.sort else []
    parts += ["--reverse"] if kept.ascending else []
    parts += ["--archived"] if kept.archived else []
    return " ".join(parts)
