"""What one run has in a batch at the provider is bought by no other: it waits, or says who can fetch it."""

from pathlib import Path

import pytest

from engine.errors import Interrupted, QcrdError
from engine.spec.run import RunSpec
from engine.teacher import sampling
from engine.teacher.batches import buying
from engine.teacher.batches.cancel import cancel
from engine.teacher.sampling import sample
from tests.engine.teacher.batch_server import Server, serve
from tests.engine.teacher.test_batch import EXAMPLES, KEY, Clock, NoOrders, buy, complete, ledger, rows, teacher
from tests.engine.teacher.test_claims import beat


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QCRD_TEST_KEY", KEY)
    monkeypatch.setattr(sampling, "LOOK", 0.02)
    monkeypatch.setattr(buying, "FIRST_LOOK", 0.02)


def spec(url: str, **options: object) -> RunSpec:
    return RunSpec(teacher=teacher(url, **options))


def leave(folder: Path, server: Server) -> None:
    """Run 1 stops while the provider works on its batch, which it does up to the next look but one."""
    server.looks = 99
    with pytest.raises(Interrupted):
        buy(folder, teacher(server.url), Clock(stop_at=1))
    server.looks = 1
    server.batches[0]["looks"] = 2


@pytest.mark.parametrize("batch", [True, False])
def test_a_batch_that_a_stopped_run_left_is_fetched_by_it_and_bought_by_nobody_else(
    tmp_path: Path, batch: bool
) -> None:
    with serve() as server:
        leave(tmp_path, server)
        with ledger(tmp_path, 2) as other:
            with pytest.raises(
                QcrdError, match=r"12 of its requests .* batch that run 1 left.*`qcrd resume 1` fetches"
            ):
                sample(spec(server.url, batch=batch), EXAMPLES, other, NoOrders())
            assert (server.lines, server.sold, "single" in server.calls) == ([12], 0, False)
            assert rows(tmp_path, "SELECT count(*) FROM claims") == [(0,)]
            with ledger(tmp_path, 1) as mine:
                assert complete(sample(spec(server.url), EXAMPLES, mine, NoOrders()))
            assert complete(sample(spec(server.url, batch=batch), EXAMPLES, other, NoOrders()))
        assert (server.lines, server.sold, "single" in server.calls) == ([12], 60, False)
    assert rows(tmp_path, "SELECT run_id, bought_samples, reused_samples FROM teacher_spend") == [
        (1, 60, 0),
        (2, 0, 60),
    ]


def test_a_living_run_s_batch_is_waited_for_whether_its_questions_are_claimed_or_not(tmp_path: Path) -> None:
    class Stop:
        def poll(self) -> None:
            raise Interrupted("asked to stop")

    said: list[str] = []
    with serve() as server:
        leave(tmp_path, server)
        with ledger(tmp_path, 1) as mine, ledger(tmp_path, 2) as other:
            beat(mine)
            mine.writer.call(lambda db: None).result()
            with pytest.raises(Interrupted):
                sample(spec(server.url), EXAMPLES, other, Stop(), say=lambda _, line: said.append(line))
            assert rows(tmp_path, "SELECT count(*) FROM claims") == [(0,)], "or each would wait for the other"
            with ledger(tmp_path, 1) as again:
                assert complete(sample(spec(server.url), EXAMPLES, again, NoOrders()))
        assert server.sold == 60
    assert "run 1 is buying some of the same samples" in said[0]


def test_after_its_batch_is_cancelled_or_where_it_was_never_sent_others_buy(tmp_path: Path) -> None:
    with serve() as server:
        leave(tmp_path, server)
        list(cancel(teacher(server.url), tmp_path / "experiments.db", 1))
        with ledger(tmp_path, 2) as other:
            assert complete(sample(spec(server.url, batch=False), EXAMPLES, other, NoOrders()))
    with serve() as server:
        server.on["upload"] = ["401"]
        folder = tmp_path / "never"
        folder.mkdir()
        with pytest.raises(QcrdError):
            buy(folder, teacher(server.url))
        with ledger(folder, 2) as other:
            assert complete(sample(spec(server.url, batch=False), EXAMPLES, other, NoOrders()))
        assert server.sold == 60
