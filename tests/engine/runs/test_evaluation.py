"""Drawing and judging answers: what is there is kept, what is missing is made, and a breakdown changes nothing."""

import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from engine.answers.kinds import equal
from engine.errors import Interrupted, QcrdError, UsageError
from engine.evaluation import drawing
from engine.judge import scorer
from engine.runs.evaluation import carry_out
from engine.runs.evaluation_client import Step, Wanted, evaluate
from engine.spec.run import RunSpec
from engine.store.connect import open_reader
from engine.store.runs.evaluations import JudgeKey, judge_of, read_ballots, read_evaluations
from tests.engine.tiny_judges import ranking_run
from tests.engine.tiny_learned import make

WANTED = Wanted(1, samples=3, limit=6)


def spec_of(method: str = "qcrd") -> RunSpec:
    """Batches of four, so that six questions are two."""
    return RunSpec.model_validate(
        {
            "data": {"arithmetic": {"train": 3, "validation": 2, "test": 8, "unseen": 0}},
            "student": {"max_rationale_tokens": 24},
            "evaluation": {"batch_size": 4},
            "method": {"name": method},
        }
    )


def carried(database: Path, wanted: Wanted, between: Callable[[], None] = lambda: None) -> list[Step]:
    said: list[Step] = []
    carry_out(database, wanted, said.append, between)
    return said


def rows(database: Path, sql: str) -> list[tuple[object, ...]]:
    with closing(open_reader(database)) as con:
        return [tuple(row) for row in con.execute(sql)]


VOTES = "SELECT example, number, text, answer, cluster, correct, judge, score FROM drawn_votes ORDER BY 1, 2, 7"


def test_what_is_there_is_kept_what_is_missing_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "calm").mkdir()
    (tmp_path / "disturbed").mkdir()
    calm, _, _ = make(tmp_path / "calm", spec_of())
    carried(calm, WANTED)
    drawn = rows(calm, VOTES)
    assert Counter(number for _, number, *_ in drawn) == {0: 6, 1: 6, 2: 6}
    assert len({text for _, _, text, *_ in drawn}) > 6

    # broken off before its third batch, and gone on with: the same answers
    disturbed, _, _ = make(tmp_path / "disturbed", spec_of())
    calls = 0

    def breaks_off() -> None:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise Interrupted("stopped")

    with pytest.raises(Interrupted):
        carried(disturbed, WANTED, breaks_off)
    assert len(rows(disturbed, VOTES)) == 6
    with closing(open_reader(disturbed)) as con:
        (one,) = read_evaluations(con, 1)
        assert (one.drawn, one.whole, one.questions, one.samples) == (6, 1, 6, 3)
    said = carried(disturbed, WANTED)
    assert [step.done for step in said if step.what == "answers"] == [6, 10, 12, 16, 18]
    assert rows(disturbed, VOTES) == drawn

    # one more of each: the others stay; none of the questions that were not asked
    carried(disturbed, replace(WANTED, samples=4))
    more = rows(disturbed, VOTES)
    assert [row for row in more if row[1] != 3] == drawn
    assert len(more) == 24

    # another vote draws nothing, loads no student but the discriminator's, and is judged but once
    def fails(*_: object, **__: object) -> None:
        raise AssertionError("drawn again")

    monkeypatch.setattr(drawing, "draw", fails)
    ranker = ranking_run(disturbed, spec_of())
    for judge in (1, ranker):
        carried(disturbed, replace(WANTED, samples=4, judge=judge))
    judged = rows(disturbed, VOTES)
    assert Counter(judge for *_, judge, _ in judged) == {1: 24, ranker: 24}
    assert all(score is not None and 0 <= float(str(score)) <= 1 for *_, score in judged)
    monkeypatch.setattr(scorer, "load", fails)
    carried(disturbed, replace(WANTED, samples=4, judge=ranker))
    carried(disturbed, replace(WANTED, samples=2, judge=ranker))
    assert rows(disturbed, VOTES) == judged
    assert rows(disturbed, "SELECT count(*) FROM evaluations") == [(1,)]


def test_clusters_are_of_equal_answers_and_ballots_of_whole_questions(tmp_path: Path) -> None:
    database, _, _ = make(tmp_path, spec_of("dss"))
    carried(database, replace(WANTED, samples=6, limit=8))
    answers: dict[str, list[tuple[str | None, int | None]]] = {}
    for example, _, _, answer, cluster, *_ in rows(database, VOTES):
        answers.setdefault(str(example), []).append((answer, cluster))  # type: ignore[arg-type]
    assert any(answer is not None for mine in answers.values() for answer, _ in mine)
    for mine in answers.values():
        firsts: list[int] = []
        for number, (answer, cluster) in enumerate(mine):
            if answer is None:
                assert cluster is None
                continue
            home = next((f for f in firsts if equal("number", str(mine[f][0]), answer)), None)
            if home is None:
                firsts.append(number)
            assert cluster == (number if home is None else home)
    con = sqlite3.connect(database)
    con.execute("DELETE FROM drawn_answers WHERE position = 1 AND number = 4")
    con.execute("UPDATE drawn_answers SET correct = NULL WHERE position = 2")
    con.commit()
    found = read_ballots(con, 1, 8, 6, None)
    assert (len(found.ballots), found.asked, found.goldless) == (6, 8, 1)
    assert read_ballots(con, 1, 3, 4, None).goldless == 1
    assert len(read_ballots(con, 1, 3, 4, None).ballots) == 2
    assert not read_ballots(con, 1, 8, 6, JudgeKey(7, 1)).ballots
    con.close()


def test_an_over_long_answer_has_no_score(tmp_path: Path) -> None:
    database, _, _ = make(tmp_path, spec_of("dss"))
    ranker = ranking_run(database, spec_of(), max_tokens=8)
    carried(database, replace(WANTED, samples=2, judge=ranker))
    scores = [score for *_, judge, score in rows(database, VOTES) if judge == ranker]
    assert len(scores) == 12
    assert None in scores
    with closing(open_reader(database)) as con:
        ballots = read_ballots(con, 1, 6, 2, JudgeKey(ranker, 12)).ballots
    assert len(ballots) == len([b for b in ballots if None in b.scores]) == 6


def test_what_is_not_possible_is_said_before_anything_is_drawn(tmp_path: Path) -> None:
    database, _, _ = make(tmp_path, spec_of("finetune"))
    ranker = ranking_run(database, spec_of())
    for wanted, words in (
        (WANTED, "run 1 .finetune. trains no explain head: --head predict"),
        (replace(WANTED, head="predict", split="train2"), "the data of run 1 have train, validation, test"),
        (replace(WANTED, head="predict", judge=1), "run 1 .finetune. has neither a ranking model nor a discriminator"),
        (replace(WANTED, run_id=ranker), f"run {ranker} trained a ranking model, which answers nothing"),
        (replace(WANTED, run_id=9), "there is no run 9|run 9"),
    ):
        with pytest.raises(QcrdError, match=words):
            carried(database, wanted)
    assert rows(database, "SELECT count(*) FROM evaluations") == [(0,)]
    with closing(open_reader(database)) as con:
        assert judge_of(con, 1, "count", "explain", None) is None
        assert judge_of(con, 1, "asc", "explain", None) == ranker
        for vote, head, named, words in (
            ("asc", "explain", 1, "--vote asc takes the scores of a run of the method ranking; run 1 is of finetune"),
            ("discriminator", "explain", None, "a run of the method qcrd; run 1 is of finetune"),
            ("asc", "predict", None, "--head explain"),
            ("count", "explain", ranker, "a count asks no judge"),
        ):
            with pytest.raises(UsageError, match=words):
                judge_of(con, 1, vote, head, named)


def stop(said: list[Step], how: int) -> int:
    """After two batches."""
    return how if sum(step.total > 0 for step in said) > 2 else 0


@pytest.mark.slow
def test_a_process_of_its_own_is_stopped_killed_and_gone_on_with(tmp_path: Path) -> None:
    (tmp_path / "calm").mkdir()
    (tmp_path / "disturbed").mkdir()
    calm, _, _ = make(tmp_path / "calm", spec_of())
    disturbed, _, _ = make(tmp_path / "disturbed", spec_of())
    wanted = replace(WANTED, samples=12, limit=None, judge=1)
    carried(calm, wanted)
    for how in (1, 2, 1):
        batches: list[Step] = []
        with pytest.raises(Interrupted, match="the same command goes on"):
            evaluate(disturbed, wanted, batches.append, partial(stop, batches, how))
    made = evaluate(disturbed, wanted, lambda step: None)
    assert (made.questions, made.judge_step) == (8, 7)
    assert rows(disturbed, VOTES) == rows(calm, VOTES)
    with pytest.raises(UsageError, match="trains no"):
        evaluate(make(tmp_path, spec_of("single-task"))[0], wanted, lambda step: None)
