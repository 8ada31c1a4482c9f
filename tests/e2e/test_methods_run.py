"""Every method, from data to export, on the built-in task."""

import math
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoModelForCausalLM

from engine.negatives import band
from engine.runs.pipeline import stages
from engine.spec.methods import QcrdDiscriminator
from engine.spec.run import RunSpec
from tests.e2e.real_runs import FEW, SMALL_QCRD, done, rows

SCHEMES = ("minmax", "maxmin", "sampling", "mean", "weighted-mean")
METHODS: list[dict[str, Any]] = [
    {"name": "finetune"},
    {"name": "single-task"},
    {"name": "dss", "samples": "first"},
    {"name": "dss", "samples": "majority"},
    {"name": "mi", "form": "released"},
    {"name": "mi", "form": "corrected"},
    {"name": "positives"},
    {"name": "orpo"},
    {"name": "redi", "supervised": 0.5},
    {"name": "cot-kd"},
    {"name": "mix"},
    {"name": "contrastive"},
    {"name": "negative-training"},
    {"name": "unlikelihood"},
    *({**SMALL_QCRD, "loss": {"scheme": scheme}} for scheme in SCHEMES),
]
CASES = [
    *((method, "gold") for method in METHODS),
    *((method, "teacher") for method in METHODS if method["name"] in ("dss", "positives", "orpo", "mix")),
]
BUILT_IN: dict[str, Any] = {
    "data": {"limit": 12, **FEW},
    "teacher": {"samples": 3},
    "student": {"max_rationale_tokens": 32},
    "training": {"steps": 4, "iterations": 4},
}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One database for all of them, as in life: runs must not see each other's rows."""
    return tmp_path_factory.mktemp("methods") / "experiments.db"


def named(method: dict[str, Any]) -> str:
    said = (method.get("samples"), method.get("form"), method.get("loss", {}).get("scheme"))
    return "-".join([method["name"], *filter(None, said)])


@pytest.mark.parametrize(
    ("method", "labels"), CASES, ids=lambda value: value if isinstance(value, str) else named(value)
)
def test_a_method_runs_from_data_to_export(shared: Path, method: dict[str, Any], labels: str) -> None:
    run = done(shared, BUILT_IN, {"name": named(method), "data": {"labels": labels}, "method": method})

    assert rows(shared, "SELECT step, iteration FROM runs WHERE id = ?", run.id) == [(4, 4)]
    spec = RunSpec.model_validate({"method": method})
    found = rows(shared, "SELECT name, state FROM stages WHERE run_id = ? ORDER BY position", run.id)
    assert found == [(name, "done") for name, _ in stages(spec)]

    explains = method["name"] not in ("finetune", "single-task")
    heads = spec.heads
    for split in ("test", "unseen"):
        compared = {(who, head): n for (s, who, head), (_, n) in run.scores.items() if s == split}
        assert compared == {("majority class", ""): 12} | {
            (who, head): 12 for who in ("student", "untrained") for head in heads
        }

    total = "SELECT step, value FROM metric_points WHERE run_id = ? AND name = 'loss/total' ORDER BY step"
    assert [step for step, _ in rows(shared, total, run.id)] == [1, 2, 3, 4]
    assert all(math.isfinite(value) for _, value in rows(shared, total, run.id))
    assert (run.folder / "student" / "model.safetensors").is_file()
    assert (run.folder / "student" / "README.md").is_file()

    samples = rows(shared, "SELECT count(*) FROM run_samples WHERE run_id = ?", run.id)[0][0]
    # with gold labels the teacher's answers to validation questions would serve the discriminator alone
    validation = 12 if labels == "teacher" or method["name"] == "qcrd" else 0
    assert samples == (0 if method["name"] == "finetune" else 3 * (12 + validation))
    if explains and labels == "gold":
        right = "SELECT r.answer = x.answer FROM rationales r JOIN examples x ON x.key = r.example"
        right += " WHERE r.run_id = ? AND r.source != 'self' AND r.polarity = "
        assert {v for (v,) in rows(shared, right + "'positive'", run.id)} == {1}
        assert {v for (v,) in rows(shared, right + "'negative'", run.id)} == {0}
    if method["name"] == "qcrd":
        own = "SELECT DISTINCT iteration FROM rationales WHERE run_id = ? AND source = 'self' ORDER BY iteration"
        assert rows(shared, own, run.id) == [(1,), (2,), (3,)]
        series = {name for (name,) in rows(shared, "SELECT name FROM series WHERE run_id = ?", run.id)}
        assert {"loss/contrast", "loss/predict", "loss/judge", "active_share"} <= series
        assert {"quality/positive", "quality/negative"} <= series
        pairs = rows(shared, "SELECT negative_source, active FROM rationale_pairs WHERE run_id = ?", run.id)
        assert {source for source, _ in pairs} >= {"self", "minority"}


@pytest.mark.parametrize("shares", [{}, {"minority": 1, "self": 1, "fixed": 1, "perturbed": 1, "peer": 1}])
def test_all_sources_of_negatives_in_one_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shares: dict[str, int]
) -> None:
    monkeypatch.setattr(band, "QcrdDiscriminator", lambda: QcrdDiscriminator(pretrain_steps=10))
    database = tmp_path / "experiments.db"
    peer = done(database, BUILT_IN, {"method": {"name": "dss"}})
    negatives = {
        "sources": ["minority", "self", "fixed", "perturbed", "peer"],
        "shares": shares,
        "peers": [peer.id],
        "band": [0.0, 1.0],
        "lag": 1,
    }
    method = {**SMALL_QCRD, "negatives": negatives}
    evaluation = {"followed": 12, "every": 2}
    run = done(database, BUILT_IN, {"training": {"steps": 12}, "evaluation": evaluation, "method": method})
    seen = (
        "SELECT DISTINCT r.source FROM rationale_visits v JOIN rationales r USING (run_id, number) WHERE v.run_id = ?"
    )
    assert {s for (s,) in rows(database, seen, run.id)} >= {"minority", "self", "fixed", "perturbed", "peer"}
    samples = rows(
        database, "SELECT count(*), count(DISTINCT example || slot) FROM teacher_samples WHERE run_id = ?", run.id
    )
    assert samples[0][0] == samples[0][1], "a sample must not be joined to a perturbed rationale"
    series = {name for (name,) in rows(database, "SELECT name FROM series WHERE run_id = ?", run.id)}
    assert {"auc/self", "auc/fixed", "auc/perturbed", "auc/peer"} <= series


def test_the_papers_profile_counts_iterations_in_epochs(shared: Path) -> None:
    training = {"steps": 8, "iterations": "epoch"}
    run = done(shared, BUILT_IN, {"training": training, "method": {**SMALL_QCRD, "profile": "paper"}})
    examples = int(run.facts["train/examples"])
    count = round(8 * 4 / examples)
    assert rows(shared, "SELECT iteration, iterations FROM runs WHERE id = ?", run.id) == [(count, count)]
    judged = "SELECT value FROM metric_points WHERE run_id = ? AND name = 'loss/judge' AND step > 0"
    assert all(math.isfinite(value) for (value,) in rows(shared, judged, run.id))


@pytest.mark.parametrize("rank", [0, 4])
def test_a_causal_student_runs_from_data_to_export(shared: Path, rank: int) -> None:
    student = {"model": "builtin/llama-tiny", "pretrain_steps": 0, "lora": {"r": rank}}
    encoder = {"discriminator": {**SMALL_QCRD["discriminator"], "encoder": "student" if rank else "student-sized"}}
    run = done(shared, BUILT_IN, {"student": student, "method": {**SMALL_QCRD, **encoder}})
    assert {(who, head): n for (split, who, head), (_, n) in run.scores.items() if split == "test"} == {
        ("majority class", ""): 12,
        **{(who, head): 12 for who in ("student", "untrained") for head in ("predict", "explain")},
    }
    pairs = rows(shared, "SELECT DISTINCT negative_source FROM rationale_pairs WHERE run_id = ?", run.id)
    assert {source for (source,) in pairs} >= {"self", "minority"}
    card = (run.folder / "student" / "README.md").read_text()
    assert "a newline ends it" in card
    assert ("LoRA (rank 4): merged into" in card) == bool(rank)
    model = AutoModelForCausalLM.from_pretrained(run.folder / "student")
    assert 200_000 < model.num_parameters() < 300_000
    assert not [name for name in model.state_dict() if "lora" in name]


def test_first_and_majority_differ_in_what_the_student_sees(shared: Path) -> None:
    """On the same paid samples: "first" learns from samples that were outvoted, "majority" never does."""
    seen = {}
    for samples in ("first", "majority"):
        method = {"name": "dss", "samples": samples}
        layers = ({"data": {"limit": 40}}, {"evaluation": {"followed": 40}}, {"training": {"steps": 10}})
        run = done(shared, BUILT_IN, *layers, {"method": method})
        sql = "SELECT DISTINCT r.polarity FROM rationale_visits v JOIN rationales r USING (run_id, number)"
        seen[samples] = {polarity for (polarity,) in rows(shared, sql + " WHERE v.run_id = ?", run.id)}
    assert seen == {"first": {"positive", "negative"}, "majority": {"positive"}}
