"""What try-prompt, misses and reparse show a person. Model text is cleaned where it is printed."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.cli.options import command
from app.cli.output import Column, write_table
from app.cli.tables import measure, text
from engine.text import clean, in_dollars, one_line
from engine.voting.reparse import Misses, Reparsed

if TYPE_CHECKING:
    from engine.teacher.trial import Trial

END = 400
"""Characters of a text's end that are shown: that is where answers stand."""


def print_misses(run_id: int, found: Misses, limit: int, database: Path) -> None:
    """Counts by rule, then the ends of what was missed."""
    rules = [{"rule": rule, "samples": count} for rule, count in found.rules.items()]
    write_table(rules, [Column("rule", lambda r: r["rule"]), Column("samples", _samples, right=True)])
    for miss in found.missed[:limit]:
        finish = f" · finish {one_line(miss.finish)}" if miss.finish else ""
        print(f"\n{one_line(miss.example)} · slot {miss.slot}{finish} · tried {', '.join(found.tried)}")
        print_indented(("… " if len(miss.text) > END else "") + miss.text[-END:])
    if len(found.missed) > limit:
        print(f"\n{len(found.missed) - limit} more: --limit shows them")
    if cut := sum(m.finish == "length" for m in found.missed):
        print(f"\n{cut} of {len(found.missed)} were cut off (finish length): raise teacher.max_tokens")
    if found.missed:
        tries = command(database, f"reparse {run_id} --set 'data.answer_pattern=…'")
        print(f"\na better rule: `{tries}` shows what it would change")


def print_reparsed(run_id: int, found: Reparsed, limit: int) -> None:
    """The vote's facts side by side, then the questions whose vote changes."""
    names = sorted({*found.before, *found.after})
    rows = [{"what": n, "before": found.before.get(n), "after": found.after.get(n)} for n in names]
    columns = [Column("what", lambda r: r["what"])]
    for side in ("before", "after"):
        columns.append(Column(side, lambda r, side=side: measure(r[side]), right=True))  # type: ignore[misc]
    write_table(rows, columns)
    print(f"\nthe vote changes on {len(found.changed)} of {found.questions} questions; nothing is stored")
    for c in found.changed[:limit]:
        print(f"  {one_line(c.example)}: {text(c.before, 40)} -> {text(c.after, 40)} (gold {text(c.gold, 40)})")
    if len(found.changed) > limit:
        print(f"  {len(found.changed) - limit} more: --limit shows them")


def print_trial(found: "Trial") -> None:
    """The whole prompt once, then each question with its answer."""
    print(f"prompt {found.prompt_hash[:12]} ({found.style}) to {one_line(found.model)}, run {found.run_id}\n")
    for message in found.tried[0].messages:
        print(f"[{message['role']}]")
        print_indented(message["content"])
    for at, one in enumerate(found.tried):
        print(f"\n{one_line(one.example)}: {one_line(one.question, 200) if at else 'as above'}")
        if one.text is None:
            print("  no answer came; `qcrd logs` says why")
            continue
        print_indented(one.text)
        tokens = f"{text(one.input_tokens)} + {text(one.output_tokens)} tokens"
        finish = f" · finish {one_line(one.finish)}" if one.finish else ""
        if one.answer is None:
            print(f"  MISS, tried {', '.join(found.tried_rules)}{finish} · {tokens}")
        else:
            right = {True: ": right", False: ": wrong", None: ""}[one.right]
            print(f"  answer {text(one.answer)} by rule {one.rule}, gold {text(one.gold)}{right}{finish} · {tokens}")
    price = "price unknown" if found.price_usd is None else in_dollars(found.price_usd)
    calls = f"{found.calls} {'call' if found.calls == 1 else 'calls'}"
    print(f"\n{calls}, {price}; answers in the database already: {found.reused}")


def print_indented(words: str) -> None:
    """Cleaned lines, set off from ours."""
    for line in clean(words).splitlines():
        print(f"    {line}")


def _samples(row: Any) -> str:
    return measure(row["samples"])
