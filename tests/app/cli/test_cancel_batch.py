"""cancel-batch: what is with a provider is ended there, and what there is to say is said."""

from collections.abc import Callable
from pathlib import Path

import pytest

from app.cli.main import main
from engine.errors import Interrupted
from engine.spec.run import RunSpec
from engine.store.runs.run import create_run
from tests.engine.teacher.batch_server import serve
from tests.engine.teacher.test_batch import KEY, Clock, buy, teacher

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Call:
    """Run a command in this process, in tmp_path: exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("QCRD_TEST_KEY", KEY)

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as caught:
            main(arguments)
        out = capsys.readouterr()
        return int(str(caught.value.code or 0)), out.out, out.err

    return run


def test_a_batch_under_way_is_cancelled_and_none_is_an_error(call: Call, tmp_path: Path) -> None:
    with serve() as server:
        server.looks = 99
        run = create_run(tmp_path / "experiments.db", RunSpec(teacher=teacher(server.url)))
        code, _, said = call("cancel-batch", "1")
        assert (code, said) == (2, "error: run 1 has no batch with a provider: there is nothing to cancel\n")
        with pytest.raises(Interrupted):
            buy(tmp_path, teacher(server.url), Clock(stop_at=1), run=run)
        code, out, said = call("cancel-batch")
        assert (code, out) == (0, "")
        assert said.startswith("batch 1 (batch_0) is cancelled: 0 of 12 requests answered\n")
        assert "`qcrd resume 1` fetches what was answered" in said
        assert server.batches[0]["public"]["status"] == "cancelled"
