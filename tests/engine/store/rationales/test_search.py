"""Words are found wherever they stand, by index or not, whatever they hold; next and previous go round."""

import sqlite3
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.store.rationales import search
from engine.store.rationales.questions import read_keys
from engine.store.rationales.search import Match, matching, nearest, pattern, walk
from tests.seeded import build


@pytest.fixture(scope="module")
def con(tmp_path_factory: pytest.TempPathFactory) -> sqlite3.Connection:
    con = sqlite3.connect(build(tmp_path_factory.mktemp("search") / "x.db"))
    con.execute("INSERT INTO texts VALUES (9001, x'01', 'die Brücke, 日本語の文, and 3 + 4 = 7; \"quoted\" (OR) x_y')")
    con.execute("UPDATE rationales SET text_id = 9001 WHERE run_id = 8 AND example = 'train-0007' AND slot = 0")
    return con


def naive(con: sqlite3.Connection, words: str) -> tuple[int, ...]:
    """Every text of the run read and compared."""
    found = pattern(words)
    rows = con.execute(
        "SELECT v.position, x.question FROM votes v JOIN examples x ON x.key = v.example WHERE v.run_id = 8 UNION ALL"
        " SELECT v.position, t.text FROM votes v JOIN rationales r USING (run_id, example) JOIN texts t"
        " ON t.id = r.text_id WHERE v.run_id = 8"
    ).fetchall()
    return tuple(sorted({at for at, text in rows if found is not None and found.search(text)}))


def find_question(
    con: sqlite3.Connection, run_id: int, keys: Sequence[str], after: int, words: str, by: int = 1
) -> Match | None:
    """As the rationale screen looks."""
    hits = matching(con, run_id, keys, words)
    return walk(con, run_id, keys, after, words, by) if hits is None else nearest(hits, after, by)


@pytest.mark.parametrize(
    "words", ["plus 4", "BEGIN 7", "begi*", "first, he", "brücke", "日本", "+", "3+4", "or", "x y"]
)
def test_the_index_finds_what_reading_everything_does(con: sqlite3.Connection, words: str) -> None:
    found = matching(con, 8, read_keys(con, 8), words)
    assert found == naive(con, words)
    assert found


@pytest.mark.parametrize("share", [0.0, 2.0])
@pytest.mark.parametrize("words", ["日本", "+", "3+4", ".", '"', '= 7; "', "{}"])
def test_signs_are_found_in_texts_side_by_side_and_scattered(
    con: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch, words: str, share: float
) -> None:
    monkeypatch.setattr(search, "DENSE", share)
    assert matching(con, 8, read_keys(con, 8), words) == naive(con, words)


@given(st.text(alphabet="ab7\"*()^:+-{}'\\OR NEARplus%_?\0日é\x1b", max_size=12))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_typed_is_looked_for(con: sqlite3.Connection, words: str) -> None:
    keys = read_keys(con, 8)
    assert matching(con, 8, keys, words) == naive(con, words)


def test_whole_words_unless_a_star_says_otherwise(con: sqlite3.Connection) -> None:
    keys = read_keys(con, 8)
    assert matching(con, 8, keys, "begi") == ()
    assert matching(con, 8, keys, "begi*") == tuple(range(40))


def test_search_goes_round(con: sqlite3.Connection) -> None:
    keys = read_keys(con, 8)
    assert find_question(con, 8, keys, 0, "TRAIN-0031") is None
    for after in (0, 31, 39):
        assert (found := find_question(con, 8, keys, after, "train-0031")) is not None
        assert (found.index, found.place, found.total) == (31, 1, 1)
    assert (shells := find_question(con, 8, keys, 39, "max has 7 SHELLS")) is not None
    assert shells.index == 0
    assert find_question(con, 8, keys, 0, "%") is None
    assert find_question(con, 8, keys, 0, "  ") is None
    assert find_question(con, 8, (), 0, "max") is None


def test_next_and_previous_of_some_places() -> None:
    ahead = [nearest((3, 5, 9), after, 1) for after in (-1, 3, 4, 9)]
    back = [nearest((3, 5, 9), after, -1) for after in (0, 3, 4, 10)]
    assert [(m.index, m.place) for m in ahead if m] == [(3, 1), (5, 2), (5, 2), (3, 1)]
    assert [(m.index, m.place) for m in back if m] == [(9, 3), (9, 3), (3, 1), (9, 3)]
    assert nearest((), 0, 1) is None


@pytest.mark.parametrize("by", [1, -1])
def test_common_words_are_found_question_by_question(
    con: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch, by: int
) -> None:
    keys = read_keys(con, 8)
    for words in ("plus 4", "how many coins", "brücke"):
        known = {after: find_question(con, 8, keys, after, words, by) for after in (-1, 0, 7, 22, 39)}
        with monkeypatch.context() as patch:
            patch.setattr(search, "COMMON", 0)
            patch.setattr(search, "CHUNK", 3)
            for after, before in known.items():
                found = find_question(con, 8, keys, after, words, by)
                assert before is not None
                assert found is not None
                # few enough texts are still listed
                assert (found.index, found.total) in ((before.index, None), (before.index, before.total))


def test_a_text_is_found_as_soon_as_it_is_stored(tmp_path: Path) -> None:
    con = sqlite3.connect(build(tmp_path / "x.db"))
    con.execute("INSERT OR IGNORE INTO texts (hash, text) VALUES (x'02', 'a pelican')")
    con.execute("UPDATE rationales SET text_id = last_insert_rowid() WHERE run_id = 8 AND number = 0")
    assert matching(con, 8, read_keys(con, 8), "pelican") == (0,)
    con.execute("INSERT OR IGNORE INTO texts (hash, text) VALUES (x'02', 'a pelican')")
    assert con.execute("SELECT count(*) FROM text_words WHERE text_words MATCH 'pelican'").fetchone()[0] == 1
