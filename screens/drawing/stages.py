"""A run's head, stages and state as text: pure functions, for the live screen."""

import time

from textual.content import Content

from engine.errors import ANOTHER_RUN
from engine.store.runs.live import Live, Spent, Stage
from screens.keys.table import key_of
from screens.listing.preview import score_table
from screens.widgets.words import STAGE, STATUS, UNKNOWN, bar, count, duration, line, three


def head(live: Live, width: int) -> Content:
    """Who this is, and how far; what it is made of where there is room."""
    run = live.run
    glyph, style = STATUS[run.status]
    left = time_left(live)
    made_of = [line(run.method, 20)]
    if width >= 100:
        made_of += [line(run.student, 40), line(run.teacher, 40), f"seed {run.seed}"]
    return Content.assemble(
        (f"{glyph} {run.status} ", style),
        (line(run.name, 60 if width >= 100 else 30), "bold"),
        ("  " + " · ".join(made_of), "dim"),
        f"  iteration {run.iteration}/{run.iterations}",
        f"  ≈ {duration(left)} left" if left is not None else "",
        f"  {spent(live.spent, width)}" if live.spent is not None else "",
    )


def spent(found: Spent, width: int) -> str:
    """$1.84 of $5.00 · 1 200 calls; what has no known price is said. Where there is little room, the money alone.

    A teacher that costs nothing, and has no limit, has no money to be told.
    """
    parts = []
    if found.usd != 0 or found.budget_usd is not None or found.unpriced:
        usd = UNKNOWN if found.usd is None else f"${found.usd:.{2 if found.usd >= 0.01 or not found.usd else 4}f}"
        of = "" if found.budget_usd is None else f" of ${found.budget_usd:.2f}"
        more = f" + {count(found.unpriced)} unpriced" if found.unpriced and found.usd is not None else ""
        parts.append(f"{usd}{of}{more}")
    if width >= 100:
        parts.append(f"{count(found.calls)} calls")
    return " · ".join(parts)


def strip(live: Live, width: int) -> Content:
    """The stages in a line, the running one with its bar."""
    parts: list[Content] = []
    for stage in live.stages:
        glyph, style = STAGE[stage.state]
        name = line(stage.name, 20).capitalize()
        if stage.state == "running" and stage.total:
            progress = f"{bar(stage.done / stage.total, max(6, min(30, (width - 60) // 3)))} "
            of = f"{count(stage.done)}/{count(stage.total)}"
            parts.append(Content.assemble((f"{name} ", "bold"), (progress, style), of))
        else:
            parts.append(Content.assemble(f"{name} ", (glyph, style)))
    return Content("  " if width >= 100 else " ").join(parts)


def state_line(live: Live) -> Content:
    """What keeps the run from going on, and what to do; empty where nothing does."""
    run = live.run
    if run.status == "stale":
        since = run.heartbeat_at or run.started_at or run.created_at
        at = "" if live.session is None else f" (worker {live.session.pid} on {line(live.session.host, 40)})"
        beat = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(since))
        return Content(
            f"? no sign of life since {beat}{at}: {key_of('live.resume')} starts a new worker from the last checkpoint"
        )
    if run.status == "failed":
        why = run.error or next((entry.message for entry in reversed(live.logs) if entry.level == "error"), None)
        again = "" if why and why.endswith(ANOTHER_RUN) else f"   {key_of('live.resume')} tries again"
        return Content(f"✗ {line(why, 600) if why else 'failed without a word: see the log'}{again}")
    if run.status == "interrupted" and run.error:
        return Content(f"■ {line(run.error, 600)}")
    if run.status == "interrupted":
        return Content(f"■ stopped at step {count(run.step)}: {key_of('live.resume')} resumes it from its checkpoint")
    if run.status == "queued":
        return Content(f"◌ queued: no worker has taken it yet; {key_of('live.resume')} starts one")
    if live.waiting and run.status in ("running", "paused"):
        return Content(f"asked to {', '.join(live.waiting)}: the run takes it up between two steps")
    if run.status == "done" and run.steps:
        ask, export = key_of("live.ask"), key_of("live.export")
        return Content(f"✓ done: {ask} asks its student questions, {export} exports it as a Hugging Face folder")
    if run.status == "paused":
        return Content(f"‖ paused at step {count(run.step)}: {key_of('live.pause')} lets it go on")
    return Content("")


def rate(stage: Stage) -> float | None:
    """Units a second of a stage, over all the time that was worked on it."""
    return stage.done / stage.seconds if stage.done and stage.seconds > 0 else None


def time_left(live: Live) -> float | None:
    """Seconds until the running stage is over; None where that can't be told."""
    if live.run.status != "running":
        return None
    stage = next((s for s in live.stages if s.state == "running"), None)
    speed = None if stage is None else rate(stage)
    if stage is None or stage.total is None or not speed:
        return None
    return max(0.0, (stage.total - stage.done) / speed)


def stage_table(live: Live) -> Content:
    """A line a stage, then who reached what."""
    parts = []
    for stage in live.stages:
        glyph, style = STAGE[stage.state]
        title = line(stage.name, 10)
        if stage.state == "waiting":
            parts.append(Content.styled(f"{glyph} {title}", style))
            continue
        total = f"/{count(stage.total)}" if stage.total and stage.state != "done" else ""
        done = f"{count(stage.done)}{total} {line(stage.unit, 12) if stage.unit else ''}".strip()
        if not stage.done and not stage.total:
            done = ""  # a stage that counts nothing
        took = "" if stage.state == "running" else duration(stage.seconds)
        left = time_left(live) if stage.state == "running" else None
        if left is not None:
            took = f"≈ {duration(left)} left"
        speed = rate(stage)
        per_second = f"{three(speed)}/s" if speed else ""
        parts.append(
            Content.assemble(
                (glyph, style),
                f" {title:<10}",
                f"{done:>20}",
                (f" {per_second:>8} {took:>12}", "dim"),
                (f"  {count(stage.failed)} failed" if stage.failed else "", "$error"),
            )
        )
    if live.scores:
        parts += [Content(""), score_table(live.scores)]
    return Content("\n").join(parts)
