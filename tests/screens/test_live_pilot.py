"""The live screen's charts and log, driven."""

import sqlite3
from pathlib import Path

from screens.live import LiveScreen
from screens.widgets.chart import Chart
from tests.pilot import console, press, settle, shown
from tests.seeded import NOW


def title(view: LiveScreen, chart: str) -> str:
    return str(view.query_one(f"#{chart}", Chart).border_title)


async def test_the_mark_tells_values_zoom_shows_a_part_and_zero_shows_all(database: Path) -> None:
    app = console(database, 4)
    async with app.run_test(size=(160, 45)) as pilot:
        await settle(pilot)
        view = app.screen
        assert isinstance(view, LiveScreen)
        assert "explain 0.64" in title(view, "accuracy")
        await press(pilot, "h")
        assert "at step 1 950" in title(view, "accuracy")
        await press(pilot, "left", "right", "l", "l")
        assert "at step 2 000" in title(view, "accuracy")
        await press(pilot, "plus")
        assert "1 000" in shown(pilot)
        assert view._lens.window == (1000, 2000)
        await press(pilot, "equals_sign", "minus")
        assert view._lens.window == (1000, 2000)
        await press(pilot, "0")
        assert view._lens.window is None
        assert "at step" not in title(view, "accuracy")


async def test_a_click_puts_the_mark_there(database: Path) -> None:
    app = console(database, 4)
    async with app.run_test(size=(160, 45)) as pilot:
        await settle(pilot)
        await pilot.click("#loss", offset=(20, 4))
        await settle(pilot)
        assert "at step" in title(app.screen, "accuracy")  # type: ignore[arg-type]


async def test_charts_by_epoch_and_time(database: Path) -> None:
    con = sqlite3.connect(database)
    con.execute("UPDATE runs SET spec = json_set(spec, '$.training', json('{\"batch_size\": 20}')) WHERE id = 4")
    con.execute("INSERT INTO facts VALUES (4, 'train', 'examples', 1000)")
    con.commit()
    con.close()
    app = console(database, 4)
    async with app.run_test(size=(160, 45)) as pilot:
        await settle(pilot)
        await press(pilot, "X")
        assert "by epoch" in title(app.screen, "accuracy")  # type: ignore[arg-type]
        assert "40.0" in shown(pilot)  # 2,000 steps of 20 questions, 1,000 in all
        await press(pilot, "X")
        assert "4 min" in shown(pilot)
        await press(pilot, "X")
        assert "2 000" in shown(pilot)


async def test_other_charts_and_levels_of_the_log(database: Path) -> None:
    con = sqlite3.connect(database)
    con.execute("INSERT INTO logs VALUES (NULL, 8, ?, 'warning', 'train', 'a warning of ours', NULL)", (NOW,))
    con.commit()
    con.close()
    app = console(database, 8)
    async with app.run_test(size=(160, 45)) as pilot:
        await settle(pilot)
        assert "learning rate" not in shown(pilot)
        await press(pilot, "v")
        text = shown(pilot)
        assert "learning rate" in text
        assert "gradient norm" in text
        assert "memory, MB" in text
        await press(pilot, "v")
        assert "tokens/s" in shown(pilot)
        assert "checkpoint saved" in shown(pilot)
        await press(pilot, "L", "L")
        text = shown(pilot)
        assert "Log · warning and above" in text
        assert "a warning of ours" in text
        assert "checkpoint saved" not in text
        await press(pilot, "L", "L")
        assert "checkpoint saved" in shown(pilot)


async def test_what_it_has_cost_is_told_with_its_limit(database: Path) -> None:
    con = sqlite3.connect(database)
    con.execute("UPDATE runs SET spec = json_set(spec, '$.teacher', json('{\"budget_usd\": 5}')) WHERE id = 8")
    for name, value in (("calls", 1200), ("price in USD", 1.84), ("answers of unknown price", 3)):
        con.execute("INSERT INTO facts VALUES (8, 'sample', ?, ?)", (name, value))
    con.commit()
    con.close()
    app = console(database, 8)
    async with app.run_test(size=(200, 50)) as pilot:
        await settle(pilot)
        assert "$1.84 of $5.00 + 3 unpriced · 1 200 calls" in shown(pilot)


async def test_what_adapters_attend_to_and_differ_in_is_shown_beside_the_speed(database: Path) -> None:
    con = sqlite3.connect(database)
    con.execute("UPDATE runs SET method = 'nce' WHERE id = 4")
    con.execute("UPDATE stages SET name = 'negative' WHERE run_id = 4 AND name = 'judge'")
    con.execute("DELETE FROM points WHERE series_id IN (SELECT id FROM series WHERE run_id = 4 AND name LIKE 'qual%')")
    con.execute("DELETE FROM series WHERE run_id = 4 AND name LIKE 'qual%'")
    for name, value in (("attention", -0.21), ("gamma", 0.62), ("gamma_low", 0.4), ("gamma_high", 0.8)):
        key = con.execute("INSERT INTO series VALUES (NULL, 4, ?)", (name,)).lastrowid
        con.executemany("INSERT INTO points VALUES (?, ?, ?, NULL, ?)", [(key, s, value, NOW) for s in (20, 40, 2000)])
    con.commit()
    con.close()
    app = console(database, 4)
    async with app.run_test(size=(160, 45)) as pilot:
        await settle(pilot)
        assert "γ 0.62" in title(app.screen, "adapters")  # type: ignore[arg-type]
        assert "a −0.21" in title(app.screen, "adapters")  # type: ignore[arg-type]
        assert app.screen.query_one("#adapters").display
        assert not app.screen.query_one("#quality").display
        await press(pilot, "v")
        assert not app.screen.query_one("#adapters").display
        await press(pilot, "1")
