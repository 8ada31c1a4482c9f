"""docs/metrics.md names every metric that runs write, and no other."""

import re
from contextlib import closing
from pathlib import Path

import pytest

from engine.store.connect import open_reader
from tests.e2e.real_runs import FEW, SMALL_QCRD, done
from tests.engine.tiny_runs import Said, fresh, setup, trained

TABLE = Path(__file__).parents[2] / "docs" / "metrics.md"
SOURCES = ["minority", "self", "fixed", "perturbed"]
RARE = {"skipped", "auc/peer", "tokens_per_second", "memory/host", "memory/gpu"}
"""Of steps that are no numbers, of negatives that need another run, of more steps than are taken here, and of a GPU."""
OF_ADAPTERS = {"attention", "loss/base", "loss/wrong", "loss/nat", "loss/distil", "gamma", "gamma_low", "gamma_high"}
"""`test_nat.py` has them."""
OF_RANKING = {"loss/ranking", "ranked_right"}
"""`test_ranking.py` has them."""


def named() -> set[str]:
    rows = [line.split("|")[1] for line in TABLE.read_text("utf-8").splitlines() if line.startswith("| `")]
    return {name for row in rows for name in re.findall(r"`([^`]+)`", row)}


def test_the_table_has_every_metric_and_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    database = tmp_path / "experiments.db"
    done(
        database,
        {
            "data": {"limit": 20, **FEW},
            "teacher": {"samples": 3},
            "method": {**SMALL_QCRD, "negatives": {"lag": 1, "sources": SOURCES}},
            "evaluation": {"every": 3},
        },
    )
    with closing(open_reader(database)) as connection:
        written = {row[0] for row in connection.execute("SELECT DISTINCT name FROM metric_points")}
    for method in ("dss", "positives", "mi", "orpo", "redi", "unlikelihood"):
        said = Said()
        table = {"name": method, **({"supervised": 0.5} if method == "redi" else {})}
        trained(monkeypatch, setup(tmp_path / method, fresh(), said, method=table))
        written |= {name for metrics in said.metrics.values() for name in metrics}
    assert written - named() == set()
    assert named() - written == RARE | OF_ADAPTERS | OF_RANKING
