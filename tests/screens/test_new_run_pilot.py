"""The form of a new run, driven; runs are made, none is started."""

import sqlite3
from pathlib import Path

import pytest
from textual.widgets import Input

from engine.runs import launch
from engine.spec.fields import spec_fields
from engine.spec.load import load_spec
from engine.spec.run import RunSpec
from engine.spec.starting_points import STARTING_POINTS
from screens.confirm import ConfirmScreen
from screens.live import LiveScreen
from screens.new_run import NewRunScreen
from screens.runs import RunsScreen
from screens.widgets.drafted import trial_text
from screens.widgets.pick_list import PickList
from tests.pilot import console, press, settle, shown, until


def go_to(screen: NewRunScreen, key: str) -> None:
    fields = screen.query_one(PickList)
    fields.move(next(at for at, f in enumerate(fields.rows) if f.key == key))
    screen.action_move(0)


async def type_in(pilot, text: str) -> None:
    field = pilot.app.screen.query_one(Input)
    field.value = text
    await pilot.pause()


def test_the_form_has_every_key_with_its_help_and_default() -> None:
    fields = {f.key: f for f in spec_fields(RunSpec())}
    assert fields["training.lr"].value == fields["training.lr"].default == "0.003"
    assert fields["data.labels"].choices == ('"teacher"', '"gold"')
    assert fields["compute.compile"].choices == ("true", "false")
    assert all(f.help for f in fields.values())
    dss = {f.key: f for f in spec_fields(RunSpec.model_validate({"method": {"name": "dss"}}))}["method.name"]
    assert {'"dss"', '"qcrd"', '"positives"'} < set(dss.choices) == set(fields["method.name"].choices)
    assert (dss.value, dss.default) == ('"dss"', '"qcrd"')
    assert "method.loss.beta" in fields
    assert "method.loss.beta" not in {f.key for f in spec_fields(RunSpec.model_validate({"method": {"name": "dss"}}))}


async def test_what_is_typed_is_checked_kept_and_written(
    database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    app = console(database)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await settle(pilot)
        await pilot.press("n")
        await pilot.pause()
        form = app.screen
        assert isinstance(form, NewRunScreen)
        go_to(form, "training.lr")
        await pilot.press("enter")
        await type_in(pilot, "fast")
        assert "training.lr" in shown(pilot)
        assert form._problem is not None
        await pilot.press("enter")  # is not taken
        assert form.query_one(Input).has_class("-shown")
        await type_in(pilot, "5e-4")
        assert form._problem is None
        await pilot.press("enter")
        assert "lr = 5e-4" in shown(pilot)
        go_to(form, "name")
        await pilot.press("enter")
        await type_in(pilot, "arithmetic-qcrd")  # as one types it; the file needs quotes
        await pilot.press("enter")
        assert 'name = "arithmetic-qcrd"' in shown(pilot)
        go_to(form, "data.labels")
        await pilot.press("enter")
        assert 'labels = "gold"' in shown(pilot)
        await pilot.press("d")
        assert 'labels = "gold"' not in shown(pilot)
        await pilot.press("w")
        await until(pilot, (tmp_path / "arithmetic-qcrd.toml").exists)
        assert load_spec(tmp_path / "arithmetic-qcrd.toml").training.lr == 5e-4
        await pilot.press("w")
        await pilot.pause()
        assert isinstance(app.screen, ConfirmScreen)  # it exists already
        await pilot.press("n")
        await pilot.press("escape")
        await pilot.pause()
        await pilot.press("n")
        await pilot.pause()
        assert "lr = 5e-4" in shown(pilot)  # what was typed stays


async def test_another_method_takes_the_others_settings_away_and_keys_move(database: Path) -> None:
    app = console(database)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await pilot.press("n")
        await pilot.pause()
        form = app.screen
        assert isinstance(form, NewRunScreen)
        fields = form.query_one(PickList)
        for key, at in (("j", 1), ("down", 2), ("k", 1), ("up", 0), ("pagedown", fields.page), ("pageup", 0)):
            await pilot.press(key)
            assert fields.cursor == at, key
        await pilot.press("right_square_bracket")
        assert fields.rows[fields.cursor].key == "data"
        await pilot.press("l", "left_square_bracket")
        assert fields.rows[fields.cursor].key == "data"
        await pilot.press("G")
        assert fields.cursor == len(fields.rows) - 1
        await pilot.press("g")
        form._set("method.loss.beta", "0.1")
        form._set("method.name", '"dss"')
        assert form._problem is None
        assert all(not f.key.startswith("method.loss") for f in fields.rows)
        await pilot.press("f")
        assert form._given == list(STARTING_POINTS.values())[1]


async def test_a_key_is_found_by_its_name_or_help_and_the_file_is_scrolled_to(database: Path) -> None:
    app = console(database)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await pilot.press("n")
        await pilot.pause()
        form = app.screen
        assert isinstance(form, NewRunScreen)
        fields = form.query_one(PickList)
        every = len(fields.rows)
        await pilot.press("slash", *"lag")
        await pilot.press("enter")
        assert "method.negatives.lag" in {f.key for f in fields.rows}
        assert 0 < len(fields.rows) < 20
        assert f"{len(fields.rows)} of {sum(bool(f.kind) for f in spec_fields(RunSpec()))} hold lag" in shown(pilot)
        go_to(form, "method.negatives.lag")
        await pilot.press("enter")
        await type_in(pilot, "4")
        await pilot.press("enter")
        assert form._given == {"method.negatives.lag": "4"}
        await pilot.press("slash", *"q[/]x")
        assert "0 of " in shown(pilot)
        await pilot.press("escape")
        await pilot.pause()
        assert app.screen is form
        assert len(fields.rows) == every
        form._given = {f.key: f.value for f in spec_fields(RunSpec()) if f.key.startswith("training.")}
        form._check()
        await pilot.pause()
        pane = form.query_one("#result")
        await pilot.press("J", "J")
        assert pane.scroll_offset.y > 0
        await pilot.press("K", "K")
        assert pane.scroll_offset.y == 0


async def test_going_elsewhere_leaves_the_form_and_what_was_typed(database: Path) -> None:
    app = console(database)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        for place, back in (("4", "1"), ("2", "escape"), ("1", "4"), ("6", "1")):
            await pilot.press("n")
            await pilot.pause()
            form = app.screen
            assert isinstance(form, NewRunScreen)
            form._set("seed", "7")
            await press(pilot, place, back)
            assert len(app.screen_stack) == (1 if isinstance(app.screen, RunsScreen) else 2)  # one above the list
            await press(pilot, "1")
        await pilot.press("n")
        await pilot.pause()
        assert "seed = 7" in shown(pilot)


async def test_cost_is_looked_at_and_a_paid_teacher_asks_before_it_starts(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = ([("calls", "20,000, without retries"), ("price", "$1.20 to $4.80")], ["data: nothing there"])
    monkeypatch.setattr(launch, "run_check", lambda database, spec, stop: report)
    started: list[int] = []
    monkeypatch.setattr(launch, "start_worker", lambda database, run_id: started.append(run_id))
    app = console(database)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await settle(pilot)
        await pilot.press("n")
        await pilot.pause()
        form = app.screen
        assert isinstance(form, NewRunScreen)
        form._set("teacher.model", '"openai/gpt-4o-mini"')
        await pilot.press("dollar_sign")
        await until(pilot, lambda: "$1.20 to $4.80" in shown(pilot))
        assert "data: nothing there" in shown(pilot)
        await pilot.press("R")
        await pilot.pause()
        assert isinstance(app.screen, ConfirmScreen)
        assert "$1.20 to $4.80" in shown(pilot)
        await pilot.press("n")
        await pilot.pause()
        assert started == []
        form._set("teacher.model", '"builtin/arithmetic"')
        assert "before the last change" in shown(pilot)
        await pilot.press("Q")
        await until(pilot, lambda: isinstance(app.screen, LiveScreen))
        assert started == []
        con = sqlite3.connect(database)
        assert con.execute("SELECT status FROM runs ORDER BY id DESC LIMIT 1").fetchone() == ("queued",)
        con.close()


async def test_a_builtin_teacher_starts_at_once(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[int] = []
    monkeypatch.setattr(launch, "start_worker", lambda database, run_id: started.append(run_id))
    app = console(database)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await pilot.press("n")
        await pilot.pause()
        await pilot.press("R")
        await until(pilot, lambda: isinstance(app.screen, LiveScreen))
        assert started == [10]
        assert app.run_id == 10  # and not the one that the cursor was on
        await press(pilot, "1")
        assert "arithmetic-qcrd  run 10" in shown(pilot)


def test_a_dry_run_of_a_process_of_its_own(tmp_path: Path) -> None:
    file = tmp_path / "spec.toml"
    file.write_text("[data]\nlimit = 5\n[training]\nsteps = 1\n")
    lines, problems = launch.run_check(tmp_path / "experiments.db", file, lambda: False)
    assert "lag" in problems[0] or "iterations" in problems[0]
    assert lines == []


async def test_the_prompt_is_tried_on_three_questions_before_a_job(tmp_path: Path) -> None:
    app = console(tmp_path / "experiments.db")
    async with app.run_test(size=(120, 60), notifications=True) as pilot:
        await settle(pilot)
        await pilot.press("n")
        await pilot.pause()
        form = app.screen
        assert isinstance(form, NewRunScreen)
        form._set("data.limit", "5")
        await pilot.press("t")
        await until(pilot, lambda: "answers were there already" in shown(pilot))
        text = shown(pilot)
        assert text.count("read: ") == 3
        form._set("teacher.model", '"openai/gpt-4o-mini"')
        await pilot.press("t")
        await pilot.pause()
        assert isinstance(app.screen, ConfirmScreen)  # it costs money
        await pilot.press("n")


def test_what_a_trial_finds_is_cleaned_before_it_is_shown() -> None:
    one = {
        "messages": [{"role": "user", "content": "\x1b[2J[/]"}],
        "question": "q",
        "text": "\x1b]52;c;eA==\x07 seven",
        "answer": None,
        "rule": "miss",
        "right": None,
        "gold": None,
    }
    text = trial_text({"tried": [one], "calls": 1, "price_usd": None, "reused": 0}).plain
    assert "\x1b" not in text
    assert "\x07" not in text
    assert "MISS" in text
