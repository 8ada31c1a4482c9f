"""Reading a run's TOML file: what it becomes, and the one line that a mistake ends in."""

from pathlib import Path

import pytest

from engine.data.load import KNOWN
from engine.errors import UsageError
from engine.spec.load import change_limits, load_grid, load_spec
from engine.spec.methods import Dss, Positives, Qcrd
from engine.spec.paths import PRESETS
from engine.spec.run import RunSpec
from engine.spec.sections import DataConfig
from engine.spec.template import template, to_toml


@pytest.fixture
def write(tmp_path: Path):
    def _write(text: str) -> Path:
        path = tmp_path / "run.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return _write


def refused(path: Path, *overrides: str) -> str:
    with pytest.raises(UsageError) as caught:
        load_spec(path, overrides)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_an_empty_file_is_the_built_in_experiment(write) -> None:
    assert load_spec(write("")) == RunSpec()


def test_keys_are_read(write) -> None:
    spec = load_spec(write('name = "x"\n[method]\nname = "dss"\nsamples = "first"\n[training]\nlr = 1e-3\n'))
    assert (spec.name, spec.method, spec.training.lr) == ("x", Dss(samples="first"), 1e-3)


def test_a_method_without_a_name_is_qcrd(write) -> None:
    spec = load_spec(write("[method.negatives]\nlag = 2\n"))
    assert isinstance(spec.method, Qcrd)
    assert spec.method.negatives.lag == 2


def test_overrides_are_toml_else_strings(write) -> None:
    overrides = ["training.lr=1e-4", "data.labels=gold", 'name="a=b"', "method.negatives.sources=['self']", "seed = 3"]
    spec = load_spec(write("[training]\nlr = 1.0\nsteps = 70\n"), overrides)
    assert (spec.training.lr, spec.training.steps, spec.data.labels) == (1e-4, 70, "gold")
    assert isinstance(spec.method, Qcrd)
    assert (spec.name, spec.method.negatives.sources, spec.seed) == ("a=b", ("self",), 3)


def test_an_override_that_looks_like_a_number_is_text_where_text_is_wanted(write) -> None:
    assert load_spec(write(""), ["name=2024"]).name == "2024"
    assert load_spec(write(""), ["name=1\nseed=7"]).seed == 0


def test_overriding_the_method_leaves_the_files_settings_of_another_behind(write) -> None:
    path = write('[method]\nname = "qcrd"\n[method.negatives]\nlag = 2\n')
    assert load_spec(path, ["method.name=dss", "method.samples=first"]).method == Dss(samples="first")
    kept = load_spec(path, ["method.name=qcrd"]).method
    assert isinstance(kept, Qcrd)
    assert kept.negatives.lag == 2


def test_the_order_of_overrides_does_not_matter(write) -> None:
    path = write('[method]\nname = "qcrd"\n')
    assert load_spec(path, ["method.samples=first", "method.name=dss"]).method == Dss(samples="first")


def test_a_grid_is_every_method_with_every_seed(write) -> None:
    path = write('seed = 4\n[method]\nname = "dss"\nsamples = "first"\n[training]\nlr = 1e-3\n')
    specs, names = load_grid(path, ["method.alpha_predict=0.3"], "positives, dss,positives", "2")
    assert names == ["positives", "dss"]
    assert [(s.method.name, s.seed) for s in specs] == [("positives", 4), ("dss", 4), ("positives", 5), ("dss", 5)]
    assert specs[0].method == Positives()
    assert specs[1].method == specs[3].method == Dss(samples="first", alpha_predict=0.3)
    assert {s.training.lr for s in specs} == {1e-3}
    assert [s.seed for s in load_grid(path, [], None, "7,0, 7,")[0]] == [7, 0]
    assert [s.seed for s in load_grid(path, ["seed=9"], "dss", None)[0]] == [9]
    named = load_grid(path, ["method.samples=majority", "method.name=dss"], "qcrd,dss", None)[0]
    assert (named[0].method, named[1].method) == (Qcrd(), Dss())


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("[training]\nstep = 3\n", ["training.step", "unknown key", "did you mean steps?"]),
        ("trainin = 3\n", ["trainin", "unknown key", "did you mean training?"]),
        ("[method.negatives]\nlagg = 3\n", ["method.negatives.lagg", "qcrd", "did you mean lag?"]),
        ('[method]\nname = "dss"\n[method.loss]\nbeta = 1.0\n', ["method.loss", "unknown key", "method dss"]),
        ('[method]\nname = "qrcd"\n', ["method.name", "unknown method 'qrcd'", "did you mean qcrd?"]),
        ('[data]\nanswer = "numbr"\n', ["data.answer", "'numbr'", "equation", "did you mean number?"]),
        ('[data]\ncolumns = {questoin = "q"}\n', ["data.columns.questoin", "did you mean question?"]),
        ('[data]\ndataset = "svammp"\n', ["data.dataset", "'svammp'", "did you mean svamp?"]),
        ('[data]\ndataset = "gone.jsonl"\n', ["data.dataset", "no such file: gone.jsonl"]),
        ('[teacher]\nmodel = "replay:gone.jsonl"\n', ["teacher.model", "no such file: gone.jsonl"]),
        ('[teacher]\nmodel = "replay:"\n', ["teacher.model", "no such file: (empty)"]),
        ('[teacher]\nmodel = "builtin/arithmetics"\n', ["teacher.model", "did you mean builtin/arithmetic?"]),
        ('[teacher]\nprompt = "gone.toml"\n', ["teacher.prompt", "no such file: gone.toml"]),
        ('[student]\nmodel = "./gone"\n', ["student.model", "no such folder: ./gone"]),
        ('[student]\nmodel = "builtin/t5-tinny"\n', ["student.model", "did you mean builtin/t5-tiny?"]),
        ("[training]\nsteps = 0\n", ["training.steps", "0 should be greater than or equal to 1"]),
        ("[training]\nlr = inf\n", ["training.lr", "finite"]),
        ('[training]\nsteps = "many"\n', ["training.steps", "'many'", "integer"]),
        ("training = 3\n", ["training", "3 given where a table [training] belongs"]),
        ('method = "dss"\n', ["method", "'dss' given where a table [method] belongs"]),
        ("[training]\niterations = 5\n", ["method.negatives.lag = 5 must be smaller than training.iterations = 5"]),
        (
            '[student]\npretrain_steps = "no"\n',
            ["student.pretrain_steps: 'no' should be a whole number from 0, or \"auto\""],
        ),
        ("[student]\npretrain_steps = 9\n", ["student", "pretrain_steps is for builtin/llama-tiny"]),
        ("[training]\niterations = 0\n", ['training.iterations: 0 should be a whole number from 1, or "epoch"']),
        ('[training]\niterations = "epochs"\n', ["training.iterations", "'epochs'", '"epoch"']),
        ('[method]\nprofile = "papper"\n', ["method.profile", "did you mean paper?"]),
        ("[training]\nsteps = 10\n", ["training.iterations = 50", "training.steps = 10"]),
        ("a = = 3\n", ["not valid TOML", "line 1"]),
        ("seed = -1\n[training]\nstep = 1\n", ["seed", "(and 1 more)"]),
    ],
)
def test_a_mistake_is_one_line_that_names_file_and_key(write, text: str, parts: list[str]) -> None:
    path = write(text)
    message = refused(path)
    assert message.startswith(f"{path}: ")
    for part in parts:
        assert part in message


@pytest.mark.parametrize(
    ("override", "parts"),
    [
        ("training.lr", ["--set training.lr", "section.key=value"]),
        ("=3", ["section.key=value"]),
        ("seed.x=3", ["seed is a value, not a table"]),
        ("training.lrr=3", ["--set training.lrr", "did you mean lr?"]),
        ("method.name=mii", ["--set method.name", "unknown method 'mii'"]),
    ],
)
def test_a_mistaken_override_is_named_as_such(write, override: str, parts: list[str]) -> None:
    message = refused(write("seed = 1\n"), override)
    for part in parts:
        assert part in message


def test_the_profile_alone_changes_what_init_wrote(write) -> None:
    written = template()
    assert 'profile = "default"' in written
    assert load_spec(write(written.replace('profile = "default"', 'profile = "paper"'))) == load_spec(
        write('[method]\nprofile = "paper"\n')
    )


def test_the_papers_profile_fills_what_is_left_unset(write) -> None:
    plain = load_spec(write('[method]\nprofile = "paper"\n'))
    assert isinstance(plain.method, Qcrd)
    judge = plain.method.discriminator
    assert (judge.normalise, judge.decay) == (False, "loss")
    assert (plain.vote.drop_right_negatives, plain.training.iterations) == ("never", "epoch")
    told = load_spec(
        write('[method]\nprofile = "paper"\n[method.discriminator]\nnormalise = true\n[training]\niterations = 9\n'),
        ["vote.drop_right_negatives=auto"],
    )
    assert isinstance(told.method, Qcrd)
    assert (told.method.discriminator.normalise, told.method.discriminator.decay) == (True, "loss")
    assert (told.vote.drop_right_negatives, told.training.iterations) == ("auto", 9)
    assert RunSpec(method=Qcrd(profile="paper")) == RunSpec.model_validate(
        {"method": {"name": "qcrd", "profile": "paper"}}
    )
    assert RunSpec.model_validate_json(plain.model_dump_json()) == plain
    assert RunSpec().training.iterations == 50


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    assert "no such file" in refused(tmp_path / "gone.toml")
    assert "cannot be read" in refused(tmp_path)
    (tmp_path / "latin.toml").write_bytes(b'name = "\xe9"')
    assert "not UTF-8" in refused(tmp_path / "latin.toml")


def test_paths_are_found_beside_the_current_folder_first_then_beside_the_file(write, tmp_path, monkeypatch) -> None:
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    for name in ("both.jsonl", "samples.jsonl", "prompt.toml"):
        (tmp_path / name).touch()
    (here / "both.jsonl").touch()
    (tmp_path / "student").mkdir()
    path = write(
        '[data]\ndataset = "both.jsonl"\n[teacher]\nmodel = "replay:samples.jsonl"\nprompt = "prompt.toml"\n'
        '[student]\nmodel = "student"\n[method.discriminator]\nencoder = "./student"\n'
    )
    spec = load_spec(path)
    root = tmp_path.resolve()
    assert spec.data.dataset == str(root / "here" / "both.jsonl")
    assert spec.teacher.model == f"replay:{root / 'samples.jsonl'}"
    assert spec.teacher.prompt == str(root / "prompt.toml")
    assert spec.student.model == str(root / "student")
    assert isinstance(spec.method, Qcrd)
    assert spec.method.discriminator.encoder == str(root / "student")


def test_what_is_no_path_stays_as_it_is(write) -> None:
    path = write('[data]\ndataset = "ChilleD/SVAMP"\n[teacher]\nmodel = "gpt-4o-mini"\n[student]\nmodel = "t5-base"\n')
    spec = load_spec(path)
    assert (spec.data.dataset, spec.teacher.model, spec.student.model) == ("ChilleD/SVAMP", "gpt-4o-mini", "t5-base")


def test_the_presets_are_those_the_help_names_and_the_loader_knows() -> None:
    words = (DataConfig.model_fields["dataset"].description or "").replace(")", " ").replace("(", " ").split()
    assert set(PRESETS) <= set(words)
    assert set(PRESETS) == set(KNOWN)


def test_several_teachers_are_each_as_if_alone(write, tmp_path: Path) -> None:
    (tmp_path / "small").mkdir()
    spec = load_spec(write("""
        [teacher]
        model = "openai/x"
        api_base = "http://127.0.0.1:1/v1"
        samples = 3
        rpm = 60
        others = [{model = "local/small", share = 0.4, concurrency = 2}, {model = "builtin/arithmetic", share = 0.1}]
    """))  # fmt: skip
    first, local, built_in = spec.teacher.everyone
    assert (first.model, first.rpm, first.concurrency, first.others) == ("openai/x", 60, 16, ())
    assert (local.model, local.samples, local.concurrency) == (f"local/{tmp_path / 'small'}", 3, 2)
    assert (built_in.api_base, built_in.rpm, built_in.concurrency) == (None, None, 16)
    assert spec.teacher.name == f"openai/x + local/{tmp_path / 'small'} + builtin/arithmetic"
    assert load_spec(write(to_toml(spec))) == spec


@pytest.mark.parametrize(
    ("others", "said"),
    [
        ('[{model = "a/b", share = 0.7}, {model = "a/c", share = 0.4}]', "add up to more than 1"),
        ('[{model = "replay:run.toml", share = 0.7}]', "cannot be mixed"),
        ('[{model = "local/nowhere", share = 0.7}]', "teacher.others: no such file: nowhere"),
        ('[{model = "builtin/arithmetik", share = 0.7}]', "builtin/arithmetic"),
        ('[{model = "a/b"}]', "teacher.others.0.share"),
        ('[{model = "a/b", share = 0.5, shares = 1}]', "share"),
    ],
)
def test_several_teachers_that_cannot_be(write, others: str, said: str) -> None:
    assert said in refused(write(f"[teacher]\nothers = {others}\n"))


@pytest.mark.parametrize("near", ["teacher.budget_cals", "teacher.budgt_usd", "teacher.indoubt"])
def test_a_limit_that_is_misspelt_is_answered_with_the_one_that_was_meant(near: str) -> None:
    with pytest.raises(UsageError, match=r"did you mean teacher\.(budget_calls|budget_usd|in_doubt)\?"):
        change_limits(RunSpec(), [f"{near}=30"])
    with pytest.raises(UsageError) as caught:
        change_limits(RunSpec(), ["teacher.attempts=30"])
    assert "did you mean" not in str(caught.value)
