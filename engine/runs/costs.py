"""What runs will take of their teachers and of their judge of steps, told before a request is paid for."""

import os
from collections.abc import Sequence
from pathlib import Path

from engine.data.splits import asked as asked_questions
from engine.records import Dataset, Example
from engine.runs.report import Report
from engine.spec.run import RunSpec
from engine.spec.teachers import TeacherConfig


def teachers(report: Report, spec: RunSpec, dataset: Dataset | None, database: Path) -> None:
    """Adds who is asked, and what that takes where the dataset is known. Raises QcrdError where one cannot be asked."""
    from engine.teacher import client
    from engine.teacher.estimate import estimate, lines
    from engine.teacher.messages import load_prompt
    from engine.teacher.replay import read_recorded, replay

    teacher = spec.teacher
    asked = asked_questions(spec, dataset) if dataset else ()
    if teacher.model.startswith("replay:"):
        recorded = read_recorded(teacher.model)
        text = f"{recorded.path}: {len(recorded.by_question)} questions with recorded outputs, nothing to pay for"
        if dataset is not None:
            replayed = replay(recorded, asked, teacher.samples)
            text += f"; none for {replayed.missing}, fewer than {teacher.samples} for {replayed.short} of {len(asked)}"
        report.lines.append(("teacher", text))
        return
    shares = [1 - sum(other.share for other in teacher.others), *(other.share for other in teacher.others)]
    for one, share in zip(teacher.everyone, shares, strict=True):
        load_prompt(one, spec.data.answer)
        client.check(one)
        key = (
            "no key needed"
            if one.model.startswith(client.IN_PROCESS)
            else _key(client.key_variable(one), one.api_key_keyring)
        )
        where = f" at {one.api_base}" if one.api_base else ""
        part = f", {share:.0%} of the samples" if teacher.others else ""
        report.lines.append(("teacher", f"{one.model}{where}, {key}{part}"))
    if dataset is not None:
        report.lines.append(("questions", f"{len(asked)} for the teacher, {teacher.samples} samples each"))
        report.estimates = estimate([(spec, asked)], database)
        for found in report.estimates:
            where = f" at {found.api_base}" if found.api_base else ""
            report.lines += [("for", found.model + where)] if teacher.others else []
            report.lines += lines(found)


def all_together(specs: Sequence[RunSpec], database: Path) -> Report:
    """What several runs will take of their teachers and judges, what they share counted once.

    Raises as `data.load` and `estimate` do.
    """
    from engine.data.load import load
    from engine.teacher import judge_estimate
    from engine.teacher.estimate import estimate, lines
    from engine.teacher.totals import total
    from engine.teacher.verdicts import step_judge_of

    report = Report()
    datasets: dict[str, Dataset] = {}
    asked = []
    judged: dict[tuple[TeacherConfig, TeacherConfig], dict[tuple[str, ...], Example]] = {}
    for spec in specs:
        if not spec.needs_teacher:
            continue
        key = f"{spec.data.model_dump_json()} {spec.data_seed}"
        if key not in datasets:
            datasets[key] = load(spec)
        questions = asked_questions(spec, datasets[key])
        if not spec.teacher.model.startswith("replay:"):
            asked.append((spec, questions))
        if (judge := step_judge_of(spec)) is not None:
            judged.setdefault((judge, spec.teacher), {}).update({(x.question, *x.choices): x for x in questions})
    for found in estimate(asked, database):
        where = f" at {found.api_base}" if found.api_base else ""
        report.lines += [("teacher", found.model + where), *lines(found)]
        report.estimates.append(found)
    for (judge, teacher), examples in judged.items():
        found = judge_estimate.estimate_judge(judge, teacher, tuple(examples.values()))
        report.lines += [("judge", judge.model), *judge_estimate.lines(found)]
        report.estimates.append(found)
    if (text := total(report.estimates)) is not None:
        report.lines.append(("total", text))
    return report


def step_judge(report: Report, spec: RunSpec, dataset: Dataset | None) -> None:
    """The same of the judge of steps, where there is one."""
    from engine.teacher import client
    from engine.teacher.judge_estimate import estimate_judge, lines
    from engine.teacher.verdicts import step_judge_of

    judge = step_judge_of(spec)
    if judge is None:
        return
    key = _key(client.key_variable(judge), judge.api_key_keyring)
    report.lines.append(("judge", f"{judge.model}, {key}"))
    if dataset is not None:
        found = estimate_judge(judge, spec.teacher, asked_questions(spec, dataset))
        report.estimates = [*report.estimates, found]
        report.lines += lines(found)


def money(report: Report, spec: RunSpec) -> None:
    """Adds the sum of what they take, and whether the budget is too little for it."""
    from engine.teacher.totals import beyond, total

    if (text := total(report.estimates)) is not None:
        report.lines.append(("total", text))
    report.lines += [("warning", line) for line in beyond(spec.teacher, report.estimates)]


def _key(variable: str, entry: str | None) -> str:
    """Where the key comes from; never the key. Servers at an api_base often want none."""
    if entry:
        return f"key from the keyring's entry {entry}"
    return f"key from {variable}" if os.environ.get(variable) else f"no key ({variable} is not set)"
