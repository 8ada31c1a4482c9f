"""Other keys than the table's."""

import string

import pytest
from textual.binding import BindingsMap
from textual.keys import _character_to_key

from screens.keys.document import document
from screens.keys.keymap import TAKEN, named, remapped, written
from screens.keys.table import KEYS, bindings
from tests.conftest import ROOT


def table(changes: dict[str, str]) -> tuple[dict[str, str], tuple[str, ...]]:
    keys, refused = remapped(changes)
    return {key.name: key.keys for key in keys}, refused


def test_characters_are_named_as_textual_names_them() -> None:
    for character in string.digits + string.ascii_letters + string.punctuation + "éß":
        assert named(character) == _character_to_key(character)
        assert written(named(character) or "") == character


@pytest.mark.parametrize(
    ("typed", "name", "shown"),
    [
        ("Esc", "escape", "Esc"),
        ("ctrl+n", "ctrl+n", "Ctrl+N"),
        ("Ctrl+N", "ctrl+n", "Ctrl+N"),
        ("pgdn", "pagedown", "PgDn"),
        ("F12", "f12", "F12"),
        ("comma", "comma", ","),
        ("alt+?", "alt+question_mark", "Alt+?"),
        ("question_mark", "question_mark", "?"),
        (" x ", "x", "x"),
        ("→", "right", "→"),
    ],
)
def test_keys_are_read_as_people_write_them(typed: str, name: str, shown: str) -> None:
    assert named(typed) == name
    assert written(name) == shown


def test_names_of_the_table_are_unique_and_every_key_can_be_written() -> None:
    names = [key.name for key in KEYS]
    assert len(set(names)) == len(names)
    assert all(named(one) == one for key in KEYS for one in key.keys.split(","))


def test_a_key_is_another_and_the_rest_stay() -> None:
    found, refused = table({"live.pause": "P,f6"})
    assert found.pop("live.pause") == "P,f6"
    assert not refused
    assert found == {key.name: key.keys for key in KEYS if key.name != "live.pause"}


def test_two_keys_can_be_swapped() -> None:
    found, refused = table({"live.pause": "x", "live.stop": "p"})
    assert (found["live.pause"], found["live.stop"]) == ("x", "p")
    assert not refused


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"live.pause": "x"}, "live.pause: x is live.stop already; p stands"),
        ({"live.pause": "q"}, "q is all.quit already"),
        ({"all.quit": "x"}, "already; q stands"),
        ({"live.paus": "P"}, "there is no key 'live.paus': did you mean live.pause?"),
        ({"live.pause": "banana"}, "there is no key 'banana'"),
        ({"live.pause": ""}, "there is no key ''"),
        ({"live.pause": "P", "live.stop": "P"}, "live.stop: P is live.pause already; x stands"),
        *(({"live.pause": key}, "cannot be had") for key in TAKEN),
    ],
)
def test_what_cannot_be_is_refused_and_what_it_was_stands(changes: dict[str, str], words: str) -> None:
    found, refused = table(changes)
    assert len(refused) == 1
    assert words in refused[0]
    changed = {name for name, keys in found.items() if keys != next(k.keys for k in KEYS if k.name == name)}
    assert changed == ({"live.pause"} if len(changes) == 2 else set())


def test_textual_takes_the_map() -> None:
    keys, _ = remapped({"live.pause": "x", "live.stop": "p", "live.down": "n"})
    bound = BindingsMap(bindings("live"))
    bound.apply_keymap({key.name: key.keys for key in keys if key.place == "live"})
    assert {key: found[0].action for key, found in bound.key_to_bindings.items()} == {
        one: key.action for key in keys if key.place == "live" for one in key.keys.split(",")
    }


def test_the_page_of_keys_is_up_to_date() -> None:
    page = (ROOT / "docs" / "console.md").read_text(encoding="utf-8")
    assert page == document(), "run: python -m screens.keys.document > docs/console.md"
