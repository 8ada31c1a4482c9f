"""NAT and NCE from data to export, and gone on with after a breakdown in any of their stages."""

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from engine.runs import learned, worker
from engine.store.runs.run import create_run
from engine.training import adapter_stage, train
from tests.e2e.real_runs import FEW, SMALL, done, rows, spec_of

NAT: dict[str, Any] = {
    "data": {"limit": 12, **FEW},
    "teacher": {"samples": 4},
    "student": {"model": "builtin/llama-tiny", "max_rationale_tokens": 32, "pretrain_steps": 2},
    "method": {"name": "nat", "negative_steps": 6},
    "training": {"steps": 5, "iterations": 5, "checkpoint_every": 2, "threads": 1, "batch_size": 6},
}


def exported(database: Path) -> dict[str, bytes]:
    folder = database.parent / "runs" / "1" / "student"
    return {str(f.relative_to(folder)): f.read_bytes() for f in sorted(folder.rglob("*.safetensors"))}


def test_nat_runs_from_data_to_export(tmp_path: Path) -> None:
    database = tmp_path / "experiments.db"
    run = done(database, NAT)
    stages = rows(database, "SELECT name, state, done, total FROM stages ORDER BY position")
    assert stages[3:5] == [("base", "done", 2, 2), ("negative", "done", 6, 6)]
    assert {head for _, who, head in run.scores if who == "student"} == {"explain"}
    wrong = "SELECT step FROM metric_points WHERE name = 'loss/wrong' ORDER BY step"
    assert rows(database, wrong) == [(step,) for step in range(-5, 1)]
    assert rows(database, wrong.replace("wrong", "base")) == [(-1,), (0,)]
    assert set(exported(database)) == {
        "negative/adapter_model.safetensors",
        "positive/adapter_model.safetensors",
        "integrate.safetensors",
        "base/model.safetensors",
    }
    card = (run.folder / "student" / "README.md").read_text()
    assert "`negative` and `positive` are PEFT adapters of the model in `base` (rank 8)" in card
    base = AutoModelForCausalLM.from_pretrained(run.folder / "student" / "base")
    model = PeftModel.from_pretrained(base, run.folder / "student" / "negative")
    described = (run.folder / "student" / "negative" / "adapter_config.json").read_text()
    assert json.loads(described)["base_model_name_or_path"] == "base"
    assert str(tmp_path) not in described
    assert all("lora_" in name for name in load_file(run.folder / "student" / "negative" / "adapter_model.safetensors"))
    loaded = {name: p for name, p in model.named_parameters() if "lora_B" in name}
    assert len(loaded) == 8
    assert all(p.abs().sum() > 0 for p in loaded.values())


def test_nats_export_answers_without_this_program_as_with_it(tmp_path: Path) -> None:
    database = tmp_path / "experiments.db"
    run = done(database, NAT, {"training": {"lr": 0.1}})
    mine = learned.load(learned.place(database, run.id)).student
    spec = importlib.util.spec_from_file_location("nat", run.folder / "student" / "nat.py")
    assert spec is not None
    assert spec.loader is not None
    alone = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(alone)
    assert alone.CHAT is False
    model = alone.load(run.folder / "student")
    ids = torch.tensor([mine.prompt("explain: ben has 3 apples")])
    with torch.no_grad():
        wanted, base = (
            mine.model(input_ids=ids).logits,
            AutoModelForCausalLM.from_pretrained(run.folder / "student" / "base")(input_ids=ids).logits,
        )
        found = model(input_ids=ids).logits
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)
    assert not torch.allclose(found, base, atol=1e-2)
    said = alone.answer(model, mine.tokenizer, "explain: ben has 3 apples", longest=8)
    assert said.split() == mine.generate([mine.prompt("explain: ben has 3 apples")], 8, 0.0, None)[0].split()


NCE = {"name": "nce", "negative_steps": 6, "nat_steps": 5}


def test_nce_runs_through_three_stages_and_its_student_is_a_plain_model(tmp_path: Path) -> None:
    database = tmp_path / "experiments.db"
    run = done(database, NAT, {"method": NCE})
    stages = rows(database, "SELECT name, done FROM stages ORDER BY position")
    assert stages[3:7] == [("base", 2), ("negative", 6), ("nat", 5), ("train", 5)]
    names = {name for (name,) in rows(database, "SELECT DISTINCT name FROM metric_points")}
    assert {"loss/wrong", "loss/nat", "loss/distil", "gamma_low", "gamma_high"} <= names
    gammas = rows(database, "SELECT value FROM metric_points WHERE name = 'gamma' ORDER BY step")
    assert len(gammas) == 5
    assert all(0 < value < 1 for (value,) in gammas)
    model = AutoModelForCausalLM.from_pretrained(run.folder / "student")
    assert not [name for name in model.state_dict() if "lora" in name or "integrate" in name]


@pytest.mark.parametrize(
    ("method", "module", "call"),
    [
        (NCE, adapter_stage, 9),
        *(
            pytest.param(*case, marks=pytest.mark.slow)
            for case in ((NAT["method"], adapter_stage, 4), (NAT["method"], train, 4), (NCE, train, 4))
        ),
    ],
)
def test_a_breakdown_in_any_stage_leaves_the_weights_bit_for_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: dict[str, Any], module: Any, call: int
) -> None:
    databases = [tmp_path / name / "experiments.db" for name in ("calm", "disturbed")]
    for database in databases:
        database.parent.mkdir()
        create_run(database, spec_of(SMALL, NAT, {"method": method}))
    assert worker.work(databases[0], 1) == 0

    calls, real_step = 0, module.step

    def breaks_down(*given: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == call:
            raise RuntimeError("the power is gone")
        return real_step(*given, **named)

    monkeypatch.setattr(module, "step", breaks_down)
    assert worker.work(databases[1], 1) != 0
    assert not exported(databases[1])
    assert worker.work(databases[1], 1) == 0
    assert exported(databases[0]) == exported(databases[1]) != {}
    for sql in (
        "SELECT name, step, value FROM metric_points"
        " WHERE name NOT IN ('tokens_per_second', 'memory/host') ORDER BY 1, 2",
        "SELECT example, step, number, cross_entropy, weight FROM visits ORDER BY 1, 2, 3",
        "SELECT split, who, head, step, correct, total FROM scores ORDER BY 1, 2, 3, 4",
    ):
        assert rows(databases[0], sql) == rows(databases[1], sql), sql


@pytest.mark.parametrize("method", ["nce", pytest.param("nat", marks=pytest.mark.slow)])
def test_an_encoder_decoder_learns_so_too_and_tells_what_it_attends_to(tmp_path: Path, method: str) -> None:
    database = tmp_path / "experiments.db"
    own = NAT["method"] if method == "nat" else {**NCE, "negative_steps": 3, "nat_steps": 3}
    run = done(
        database,
        NAT,
        {"student": {"model": "builtin/t5-tiny", "pretrain_steps": 0}, "training": {"steps": 20}, "method": own},
    )
    found = dict(rows(database, "SELECT name, value FROM metric_points WHERE name LIKE 'attention%'"))
    assert len(found) == 13
    assert all(-0.5 <= a <= 0.5 for a in found.values())
    assert found["attention"] == pytest.approx(sum(a for name, a in found.items() if "/" in name) / 12)
    state = load_file(run.folder / ("student" if method == "nat" else "stage-nat") / "integrate.safetensors")
    assert len({name.rpartition(".integrate.")[0] for name in state}) == 12  # q and v of 2 + 2 layers and 2 across
    assert any(p.abs().sum() > 0 for name, p in state.items() if name.endswith("value.2.weight"))
