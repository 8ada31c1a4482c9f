"""What is known of one run, or of a group, in a few lines: beside or below the list."""

from textual.content import Content

from engine.store.runs.browse import Score
from engine.store.runs.listing import Listed
from screens.keys.table import key_of
from screens.listing.arrange import Group
from screens.listing.columns import Moment, dollars
from screens.widgets.words import STATUS, UNKNOWN, accuracy, count, duration, line, paragraph


def preview(one: Listed, scores: tuple[Score, ...], moment: Moment) -> Content:
    """What is known of one run."""
    run, status = one.run, moment.status(one)
    glyph, style = STATUS[status]
    made_of = (run.method, run.student, run.dataset, run.teacher)
    facts = " · ".join(line(name, 60) for name in made_of) + f" · seed {run.seed}"
    parts = [
        Content.assemble((f"{glyph} {status}", style), "  ", (line(run.name, 100), "bold"), f"  run {run.id}"),
        Content.styled(facts, "dim"),
    ]
    if run.error:
        parts.append(Content.styled(line(run.error, 400), "$error"))
    if marked := marks(one):
        parts.append(marked)
    cost = f" · paid {dollars(one.cost)}" if one.cost else " · free" if one.cost == 0 else ""
    parts.append(Content(f"step {count(run.step)} of {count(run.steps)} · worked {duration(run.seconds)}{cost}"))
    if scores:
        parts.append(score_table(scores))
    return Content("\n").join(parts)


def marks(one: Listed) -> Content:
    """Star, tags, note, and that it is archived; empty where there is none."""
    parts = [("★ ", "$warning")] if one.star else []
    parts += [("archived ", "dim")] if one.archived else []
    parts += [(f"#{line(tag, 50)} ", "$accent") for tag in one.tags[:20]]
    return Content.assemble(*parts, paragraph(one.note, 600) if one.note else "")


def group_preview(group: Group) -> Content:
    """What is known of a group."""
    path = " › ".join(line(part, 40) or UNKNOWN for part in group.path)
    return Content.assemble(
        (path, "bold"), f"  {count(len(group.run_ids))} runs\n", (f"{key_of('runs.open')} folds or unfolds", "dim")
    )


def score_table(scores: tuple[Score, ...]) -> Content:
    """Who reached what: a line a split and person, heads in columns."""
    rows: dict[tuple[str, str], dict[str, Score]] = {}
    for score in scores:
        rows.setdefault((score.split, score.who), {})[score.head] = score
    parts = [Content.styled(f"{'':<28}{'explain':>12}{'predict':>12}", "dim")]
    for (split, who), heads in sorted(rows.items(), key=lambda row: (row[0][1] != "student", row[0])):
        title = line(f"{who}, {split}", 28)
        alone = heads.get("")
        if alone is not None:
            parts.append(Content(f"{title:<28}{accuracy(alone.accuracy):>12}"))
            continue
        told = [accuracy(heads[h].accuracy) if h in heads else UNKNOWN for h in ("explain", "predict")]
        text = f"{title:<28}{told[0]:>12}{told[1]:>12}"
        parts.append(Content.styled(text, "bold" if who == "student" else ""))
    return Content("\n").join(parts)
