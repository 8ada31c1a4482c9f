"""What a batch can do to its lines: each is asked again, or told, and billed once."""

from pathlib import Path
from typing import Any

import pytest

from engine.errors import QcrdError
from engine.teacher.batches import results
from tests.engine.teacher.batch_server import serve
from tests.engine.teacher.test_batch import EXAMPLES, _key, buy, complete, rows, settled, teacher  # noqa: F401 - a fixture among them


def test_lines_that_fail_are_asked_again_up_to_the_attempts(tmp_path: Path) -> None:
    bad = EXAMPLES[3].question

    def plan(batch: int, number: int, line: dict[str, Any]) -> str:
        if bad in line["body"]["messages"][-1]["content"]:
            return "500"
        return {0: "500", 1: "fewer", 2: "empty"}.get(number, "ok") if batch == 0 else "ok"

    said: list[str] = []
    with serve() as server:
        server.plan = plan
        found = buy(tmp_path, teacher(server.url, attempts=3), say=lambda _, line: said.append(line))
        assert server.lines == [12, 4, 1]
    assert found.pop(EXAMPLES[3].id) == []
    assert complete(found)
    assert "1 of 12 questions got fewer samples" in said[-1]
    assert settled(tmp_path)
    assert rows(tmp_path, "SELECT count(*) FROM attempts") == [(17,)]
    assert rows(tmp_path, "SELECT count(*) FROM attempts WHERE state = 'failed' AND billed = 1") == [
        (1,)
    ]  # the empty one


def test_a_provider_that_takes_one_sample_a_line_is_asked_so(tmp_path: Path) -> None:
    with serve() as server:
        server.plan = lambda batch, number, line: "400 many"
        assert complete(buy(tmp_path, teacher(server.url)))
        assert server.lines == [12, 60]
        assert server.sold == 60
    assert settled(tmp_path)


@pytest.mark.parametrize("status", ["expired", "cancelled"])
def test_what_a_batch_has_done_before_it_ended_is_taken_and_the_rest_asked_again(tmp_path: Path, status: str) -> None:
    with serve() as server:
        server.status = lambda batch: status if batch == 0 else "completed"
        server.plan = lambda batch, number, line: "expired" if batch == 0 and number % 2 else "ok"
        assert complete(buy(tmp_path, teacher(server.url)))
        assert server.lines == [12, 6]
        assert server.sold == 60
    assert settled(tmp_path)
    assert rows(tmp_path, "SELECT count(*) FROM attempts WHERE billed = 0") == [(6,)]


def test_a_broken_line_is_fetched_again_then_bought_again_and_counted_as_doubtful(tmp_path: Path) -> None:
    with serve() as server:
        server.plan = lambda batch, number, line: "broken" if batch == 0 and number == 4 else "ok"
        assert complete(buy(tmp_path, teacher(server.url)))
        assert server.calls.count("fetch") == results.FETCHES + 1
        assert server.lines == [12, 1]
    assert settled(tmp_path)
    assert rows(tmp_path, "SELECT count(*) FROM attempts WHERE billed IS NULL") == [(1,)]


def test_a_line_that_was_broken_on_its_way_costs_nothing(tmp_path: Path) -> None:
    with serve() as server:

        def cut() -> None:
            if server.calls.count("fetch") == 1:
                whole.append(server.files["file-1"])
                server.files["file-1"] = whole[0][: len(whole[0]) // 2]
            else:
                server.files["file-1"] = whole[0]

        whole: list[bytes] = []
        server.before["fetch"] = cut
        assert complete(buy(tmp_path, teacher(server.url)))
        assert server.sold == 60
    assert settled(tmp_path)


def test_a_batch_that_is_refused_ends_the_run_and_nothing_is_billed(tmp_path: Path) -> None:
    with serve() as server:
        server.status = lambda batch: "failed" if batch == 0 else "completed"
        with pytest.raises(QcrdError, match=r"refused batch 1 .*this organisation may not"):
            buy(tmp_path, teacher(server.url))
        assert rows(tmp_path, "SELECT DISTINCT billed FROM attempts") == [(0,)]
        assert settled(tmp_path)
        assert complete(buy(tmp_path, teacher(server.url)))


def test_a_provider_that_takes_less_at_once_gets_less(tmp_path: Path) -> None:
    with serve() as server:
        limit = 4

        def status(batch: int) -> str:
            return "failed token_limit_exceeded" if len(server.batches[batch]["asked"]) > limit else "completed"

        server.status = status
        assert complete(buy(tmp_path, teacher(server.url, attempts=1)))
        assert server.lines == [12, 6, 3, 3, 3, 3]
        assert server.sold == 60
    assert settled(tmp_path)
