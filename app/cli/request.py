"""One request to a teacher in full, as text for a person and as data."""

import json
import sys
from dataclasses import asdict
from typing import Any

from app.cli.options import Format
from engine.exchange.results import plain, write_csv
from engine.store.ledger.requests import RequestSeen
from screens.widgets.ledger_text import hidden, whole


def print_request(found: RequestSeen, form: Format) -> None:
    """The request on stdout: its messages, its tries, and the JSON that came back; CSV has a line a try."""
    if form == "table":
        print(whole(found).plain)
        return
    tries = [_try(asdict(one)) for one in found.tries]
    if form == "csv":
        write_csv(tries, sys.stdout)
        return
    messages = [{"role": role, "content": text} for role, text in found.messages or ()]
    document = asdict(found.row) | {"messages": messages or None, "question": found.question, "attempts": tries}
    print(json.dumps(plain(document), indent=2 if form == "json" else None))


def _try(one: dict[str, Any]) -> dict[str, Any]:
    return one | {name: hidden(one[name]) if one[name] is not None else None for name in ("raw", "error")}
