"""The filter language against a naive filter in Python; nothing that is typed is an SQL error or an injection."""

import json
import operator
import sqlite3
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import UsageError
from engine.store.connect import open_writer
from engine.store.runs.complete import Words, complete, read_words
from engine.store.runs.fields import SOURCE, read_settings
from engine.store.runs.marks import set_archived, set_note, set_star, set_tags
from engine.store.runs.where import compile_where, parse, quoted
from engine.text import clean
from tests.seeded import NOW, build

WORDS = ("qcrd", "dss", "Paper", "two words", 'say "so"', "a\\b", "100%", "x_y", "it's", "γ", "")
NUMBERS = (0.0, 0.2, 0.6, 0.641, 3.0, 1e9, -1.5)


@dataclass(frozen=True)
class Run:
    """A run as the oracle knows it."""

    id: int
    name: str
    method: str
    explain: float | None
    beta: float | str | bool | None
    started: float
    status: str
    beat: float
    star: bool
    archived: bool
    tags: tuple[str, ...]
    note: str


def insert(con: sqlite3.Connection, run: Run) -> None:
    spec = {"name": run.name, "method": {"name": run.method, "loss": {"beta": run.beta}}}
    con.execute(
        "INSERT INTO runs VALUES (?,?,?,?, 'arithmetic', 'gpt', 't5', 0, ?, 'runs/1', ?, ?, NULL, ?, 1, 2, 0, 1, NULL)",
        (run.id, run.name, run.status, run.method, json.dumps(spec), run.started, run.started, run.beat),
    )
    if run.explain is not None:
        con.execute("INSERT INTO scores VALUES (?,'test','student','explain',1,1,1,?,0,1)", (run.id, run.explain))
    con.execute("INSERT INTO run_marks VALUES (?, ?, ?, ?, ?)", (run.id, run.star, run.archived, run.note, run.id))
    con.executemany("INSERT INTO run_tags VALUES (?, ?)", [(run.id, tag) for tag in run.tags])


def fold(text: str) -> str:
    return "".join(c.lower() if c.isascii() else c for c in text)


COMPARE = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def holds(run: Run, key: str, op: str, value: str | float) -> bool:
    """The naive filter: one term on one run."""
    if key in ("star", "archived"):
        return COMPARE[op](getattr(run, key), value == "yes")
    if key == "tag":
        has = any(fold(value) in fold(t) if op == "~" else fold(t) == fold(value) for t in run.tags)
        return has != (op == "!=")
    if key == "":
        return fold(value) in fold(
            "\n".join((run.name, run.method, "arithmetic\ngpt\nt5", run.note, " ".join(sorted(run.tags)), ""))
        )
    if key == "state":
        alive = run.status not in ("running", "paused") or NOW - run.beat <= 15
        known: object = run.status if alive else "stale"
    elif key == "age":
        known = NOW - run.started
    elif key == "method.loss.beta":
        known = run.beta
        if isinstance(known, bool) or known is None:
            known = {True: "true", False: "false", None: ""}[known]
    else:
        known = getattr(run, "explain" if key == "acc" else key)
    if isinstance(known, str):
        if op in ("<", "<=", ">", ">="):
            return False
        text = quoted_number(value)
        return fold(text) in fold(known) if op == "~" else COMPARE[op](fold(known), fold(text))
    if known is None or isinstance(value, str):
        return op == "!="
    return COMPARE[op](known, value)


def quoted_number(value: str | float) -> str:
    return value if isinstance(value, str) else repr(value)


words = st.sampled_from(WORDS)
numbers = st.sampled_from(NUMBERS)
runs = st.builds(
    Run,
    id=st.just(0),
    name=words,
    method=st.sampled_from(("qcrd", "dss")),
    explain=st.none() | numbers,
    beta=st.none() | numbers | st.sampled_from(("epoch", "0.2", "qcrd")) | st.booleans(),
    started=st.sampled_from((NOW - 10, NOW - 7200, NOW - 9 * 86400)),
    status=st.sampled_from(("done", "running", "paused", "failed", "queued")),
    beat=st.sampled_from((NOW - 1, NOW - 100)),
    star=st.booleans(),
    archived=st.booleans(),
    tags=st.lists(st.sampled_from(("paper", "PAPER2", "γ")), unique=True).map(tuple),
    note=words,
)
TEXT_OPS = st.sampled_from(("=", "!=", "~"))
ANY_OPS = st.sampled_from(tuple(COMPARE))
terms = st.one_of(
    st.tuples(st.sampled_from(("name", "method", "note", "tag")), TEXT_OPS, words),
    st.tuples(st.just(""), st.just("~"), words.filter(bool)),
    st.tuples(st.sampled_from(("star", "archived")), st.sampled_from(("=", "!=")), st.sampled_from(("yes", "no"))),
    st.tuples(st.just("state"), st.sampled_from(("=", "!=")), st.sampled_from(("running", "stale", "done", "failed"))),
    st.tuples(st.just("acc"), ANY_OPS, numbers),
    st.tuples(st.just("method.loss.beta"), ANY_OPS, numbers),
    st.tuples(
        st.just("method.loss.beta"),
        st.sampled_from(("=", "!=", "~")),
        st.sampled_from(("epoch", "true", "qcrd", "false")),
    ),
    st.tuples(st.just("age"), ANY_OPS, st.sampled_from((10.0, 3600.0, 86400.0))),
)


def written(term: tuple[str, str, str | float]) -> str:
    key, op, value = term
    if not key:
        return '"' + str(value).replace("\\", "\\\\").replace('"', '\\"') + '"'
    if key == "age":
        return f"age{op}{value:g}s"
    return f"{key}{op}{quoted(value) if isinstance(value, str) else repr(value)}"


def matching(con: sqlite3.Connection, text: str) -> list[int]:
    where = compile_where(con, text)
    sql = f"SELECT r.id FROM {SOURCE} WHERE {where.sql} ORDER BY r.id"
    return [row[0] for row in con.execute(sql, where.parameters | {"now": NOW}).fetchall()]


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> sqlite3.Connection:
    con = open_writer(tmp_path_factory.mktemp("where") / "x.db")
    con.row_factory = None
    return con


@given(st.lists(runs, min_size=1, max_size=6), st.lists(terms, max_size=4))
def test_the_filter_is_the_naive_one(
    empty: sqlite3.Connection, made: list[Run], asked: list[tuple[str, str, str]]
) -> None:
    numbered = [replace(run, id=i) for i, run in enumerate(made, 1)]
    empty.execute("BEGIN")
    try:
        for run in numbered:
            insert(empty, run)
        text = "  ".join(written(term) for term in asked)
        assert matching(empty, text) == [run.id for run in numbered if all(holds(run, *term) for term in asked)], text
    finally:
        empty.execute("ROLLBACK")


@pytest.fixture(scope="module")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> sqlite3.Connection:
    return sqlite3.connect(build(tmp_path_factory.mktemp("where") / "experiments.db"))


PIECES = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        ("acc", "name", "tag", "state", "method.name", "'", '"', "--", ";", "DROP TABLE runs", ")", " OR 1=1", "\\")
    ),
    st.sampled_from(
        ("=", "!=", "~", "<", ">=", ":", " ", "0.6", "3d", "running", "$.", "?1", ":now", "%", "\ud800", "\x00")
    ),
)


@given(st.lists(PIECES, max_size=8).map("".join))
def test_whatever_is_typed_filters_or_is_refused_in_one_line(seeded: sqlite3.Connection, text: str) -> None:
    said = ""
    try:
        assert set(matching(seeded, text)) <= set(range(1, 10))
    except UsageError as error:
        said = str(error)
    assert "\n" not in said
    assert said.startswith(("filter: ", "the filter is ")) or not said
    assert seeded.execute("SELECT count(*) FROM runs").fetchone() == (9,)


@given(st.text())
def test_any_value_can_be_written_and_is_read_back(value: str) -> None:
    text = clean(value)
    assert [term.value for term in parse(f"name={quoted(text)}")] == [text]


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("", [1, 2, 3, 4, 5, 6, 7, 8, 9]),
        ("method=qcrd acc>0.6", [4, 6]),
        ("method=qcrd acc>60%", [4, 6]),
        ("teacher~GPT", [5, 6]),
        ("state=stale", [6]),
        ("status:running", [8]),
        ("state!=done state!=failed", [6, 7, 8, 9]),
        ("age<3h age>=1h", [1, 2, 3]),
        ("method.loss.delta=3", [1, 2, 3, 4, 5, 6, 7, 8, 9]),
        ("method.loss.delta>3", []),
        ("method.name = dss", [2]),
        ("svamp", [5, 6]),
        ('"HTTP 401"', [5]),
        ("tag:paper", [2, 4]),
        ("tag!=paper star", [3]),
        ("star=no archived", [1]),
        ('note~"look again"', [4]),
        ("created_at>2027-01-15T07:30", [7, 8, 9]),
        ("ID=3", [3]),
        ('error="" method=qcrd state=failed', []),
    ],
)
def test_examples(tmp_path: Path, text: str, ids: list[int]) -> None:
    path = build(tmp_path / "experiments.db")
    set_tags(path, [2, 4], ["paper"], [])
    set_star(path, [3, 4], True)
    set_archived(path, [1], True)
    set_note(path, 4, "look again")
    con = sqlite3.connect(path)
    assert matching(con, text) == ids
    con.close()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("metod=qcrd", "filter: metod=qcrd: no run has a 'metod': did you mean method?"),
        ("method.los.delta=3", "did you mean method.loss.delta?"),
        ("acc>high", "filter: acc>high: explain is compared with a number, e.g. explain>0.6"),
        ("acc~0.6", "use = or <"),
        ("state=runing", "filter: state=runing: did you mean running?"),
        ("state=x", "a state is one of queued"),
        ("method<3", "method is no number: use =, != or ~"),
        ("age<3y", "45s, 10min, 2h, 3d or 1w"),
        ("star=maybe", "say yes or no"),
        ("created_at>yesterday", "a date such as"),
        ("acc>", "filter: acc> wants a value"),
        ('x name="abc', "the quotation mark at character 8 has no second one"),
        (">0.6", "has no key"),
        ("x" * 1001, "1001 characters long"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(seeded: sqlite3.Connection, text: str, said: str) -> None:
    with pytest.raises(UsageError) as error:
        compile_where(seeded, text)
    assert said in str(error.value)


def test_completion_offers_keys_then_values(seeded: sqlite3.Connection) -> None:
    words = read_words(seeded)
    assert complete("met", words)[0] == "method"
    assert "method.loss.delta" in complete("acc>0.6 delta", words)[0]
    assert complete("acc>0.6 method=", words)[0] == "acc>0.6 method=qcrd "
    assert complete("state=r", words)[0] == "state=running "
    assert complete("teacher~mini", words) == ("teacher~gpt-4o-mini ",)
    assert complete("status:st", words)[0] == "status:stale "
    assert complete("method.loss.delta=", words) == ("method.loss.delta=3.0 ",)
    assert complete('"', words) == complete("nothing_like_it", words) == ()
    assert read_settings(seeded)["method.loss.delta"] == ("3.0",)


@given(st.lists(PIECES, max_size=5).map("".join))
def test_completion_stands_anything(text: str) -> None:
    words = Words(("name", "method.name"), (("name", ('a "b"',)),))
    assert all(isinstance(found, str) for found in complete(text, words))
