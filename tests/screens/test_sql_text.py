"""SQL's tokens, colours and completions."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.store.schema.catalog import Catalog, Table
from screens.widgets.completion import aliases, complete, quoted
from screens.widgets.sql_text import spans, tokens

CATALOG = Catalog(
    (
        Table("run_summary", "view", ("id", "name", "explain_accuracy", "predict_accuracy")),
        Table("runs", "table", ("id", "spec", "order")),
        Table("odd one", "table", ("a b",)),
    )
)


def offered(sql: str) -> list[str]:
    """The words for the place marked |."""
    at = sql.index("|")
    return [choice.word for choice in complete(sql.replace("|", ""), at, CATALOG).choices]


def test_tokens_and_colours() -> None:
    sql = "SELECT 'it''s' -- why\nFROM \"a\"\"b\" /* two\nlines */ x1 1.5e3 'open"
    kinds = [(t.kind, t.text) for t in tokens(sql)]
    assert kinds == [
        ("keyword", "SELECT"),
        ("text", "'it''s'"),
        ("comment", "-- why"),
        ("keyword", "FROM"),
        ("name", '"a""b"'),
        ("comment", "/* two\nlines */"),
        ("word", "x1"),
        ("number", "1.5e3"),
        ("text", "'open"),
    ]
    assert spans(sql) == {
        0: [(0, 6, "keyword"), (7, 14, "text"), (15, 21, "comment")],
        1: [(0, 4, "keyword"), (5, 11, "name"), (12, 18, "comment")],
        2: [(0, 8, "comment"), (12, 17, "number"), (18, 23, "text")],
    }


@settings(max_examples=80)
@given(st.text(alphabet="ab'\"-/*\n .1(é日[", max_size=60), st.integers(0, 60))
def test_tokens_lie_in_order_and_any_place_can_be_completed(sql: str, at: int) -> None:
    end = 0
    for token in tokens(sql):
        assert end <= token.start < token.stop
        assert sql[token.start : token.stop] == token.text
        assert not sql[end : token.start].strip()
        end = token.stop
    found = complete(sql, min(at, len(sql)), CATALOG)
    assert 0 <= found.start <= len(sql)


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("SELECT * FROM ru|", ["run_summary", "runs"]),
        ("SELECT expl| FROM run_summary", ["explain_accuracy", "explain"]),
        ("SELECT acc| FROM run_summary", ["explain_accuracy", "predict_accuracy"]),
        ("SELECT r.na| FROM run_summary AS r", ["name"]),
        ("SELECT r.| FROM run_summary r", ["id", "name", "explain_accuracy", "predict_accuracy"]),
        ("SELECT runs.o| FROM runs", ['"order"']),
        ("SELECT x.| FROM runs r", []),
        ("SELECT acc|", ["explain_accuracy", "predict_accuracy"]),
        ("SELE|", ["SELECT"]),
        ("sele|", ["select"]),
        ("SELECT 'run| FROM runs", []),
        ("-- ru|", []),
        ("SELECT runs|", []),
        ("SELECT |", []),
        ("SELECT * FROM odd|", ['"odd one"']),
    ],
)
def test_completions(sql: str, words: list[str]) -> None:
    assert offered(sql) == words


def test_tables_go_by_their_names_and_aliases() -> None:
    sql = "SELECT 1 FROM run_summary s JOIN runs AS r ON r.id = s.id"
    assert aliases(sql, CATALOG) == {"run_summary": "run_summary", "s": "run_summary", "runs": "runs", "r": "runs"}


def test_names_that_are_no_plain_words_are_quoted() -> None:
    assert [quoted(n) for n in ("a", "order", 'a"b', "a b", "1a")] == ["a", '"order"', '"a""b"', '"a b"', '"1a"']
