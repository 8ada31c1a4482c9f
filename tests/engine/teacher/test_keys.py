"""Keys come from the environment or a keyring, by name, and are found nowhere afterwards."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from engine.errors import UsageError
from engine.exchange.exporting import export_rows
from engine.exchange.files import write_rows
from engine.exchange.importing import import_samples
from engine.records import Dataset
from engine.spec.load import read_spec
from engine.store.ledger.ledger import Ledger
from engine.store.recorder import Recorder
from engine.store.runs.run import create_run
from engine.store.writer import Writer
from engine.teacher import client
from engine.teacher.keys import from_keyring
from engine.teacher.sampling import sample
from tests.engine.teacher.openai_server import serve
from tests.engine.teacher.test_sampling import EXAMPLES, KEY, NoOrders, spec

ENTRY = "team/teacher/alice"


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("QCRD_TEST_KEY", raising=False)
    from_keyring.cache_clear()
    yield
    from_keyring.cache_clear()


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """A keyring with one entry; what it is asked for."""
    found: list[tuple[str, str]] = []

    def get_password(service: str, user: str) -> str | None:
        found.append((service, user))
        return KEY if f"{service}/{user}" == ENTRY else None

    monkeypatch.setitem(sys.modules, "keyring", SimpleNamespace(get_password=get_password))
    return found


def test_the_key_is_sent_and_found_nowhere(tmp_path: Path, asked: list[tuple[str, str]]) -> None:
    database, said = tmp_path / "e.db", list[str]()
    with serve(lambda number: (None, "500 echo", "429")[number % 3], reply=lambda q, n: f"my key is {KEY}") as server:
        run_spec = spec(server.url, api_key_env=None, api_key_keyring=ENTRY, samples=2, attempts=9)
        run_id = create_run(database, run_spec)
        with Writer(database) as writer:
            recorder = Recorder(writer, run_id)
            recorder.dataset(Dataset("d", {"train": EXAMPLES, "validation": (), "test": ()}, "h"))
            sample(
                run_spec, EXAMPLES, Ledger(writer, run_id), NoOrders(), say=lambda _, s: said.append(s), backoff=0.001
            )
        assert {r["authorization"] for r in server.requests} == {f"Bearer {KEY}"}
    assert asked == [("team/teacher", "alice")]
    for name in ("o.jsonl", "o.parquet"):
        assert write_rows(tmp_path / name, export_rows(database, run_id, "qcrd")) == len(EXAMPLES)
    import_samples(tmp_path / "o.jsonl", tmp_path / "other.db", run_spec, EXAMPLES)
    files = [p for p in tmp_path.rglob("*") if p.is_file()]
    assert len(files) >= 4
    assert [p.name for p in files if KEY.encode() in p.read_bytes()] == []
    assert KEY not in "\n".join(said)


def test_a_key_that_litellm_reads_itself_is_kept_out_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with serve(reply=lambda q, n: f"my key is {KEY}") as server, Writer(tmp_path / "e.db") as writer:
        run_spec = spec(server.url, api_key_env=None, samples=1)
        run_id = create_run(tmp_path / "e.db", run_spec)
        found = sample(run_spec, EXAMPLES[:2], Ledger(writer, run_id), NoOrders())
        assert {r["authorization"] for r in server.requests} == {f"Bearer {KEY}"}
    assert {s.text for samples in found.values() for s in samples} == {"my key is [redacted]"}
    assert KEY.encode() not in (tmp_path / "e.db").read_bytes()


def test_a_refused_key_names_the_entry(tmp_path: Path, asked: list[tuple[str, str]]) -> None:
    with serve(lambda number: "401 echo") as server, Writer(tmp_path / "e.db") as writer:
        run_spec = spec(server.url, api_key_env=None, api_key_keyring=ENTRY)
        run_id = create_run(tmp_path / "e.db", run_spec)
        with pytest.raises(UsageError, match=f"the keyring's entry {ENTRY}") as caught:
            sample(run_spec, EXAMPLES, Ledger(writer, run_id), NoOrders())
    assert KEY not in str(caught.value)


def test_what_is_missing_is_told_before_anything_is_asked(
    monkeypatch: pytest.MonkeyPatch, asked: list[tuple[str, str]]
) -> None:
    teacher = spec("http://127.0.0.1:1/v1", api_key_env=None, api_key_keyring="team/bob").teacher
    with pytest.raises(UsageError, match=r"no such entry; `keyring set team bob` makes it"):
        client.check(teacher)

    def locked(service: str, user: str) -> str:
        raise RuntimeError(f"locked, by the way it is {KEY}")

    monkeypatch.setitem(sys.modules, "keyring", SimpleNamespace(get_password=locked))
    with pytest.raises(UsageError, match=r"cannot be read \(RuntimeError\); unlock it") as caught:
        client.check(teacher)
    assert KEY not in str(caught.value)
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(UsageError, match=r"not installed: pip install 'qcrd\[keyring\]'"):
        client.check(teacher)


def test_without_an_entry_no_keyring_is_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)  # an import would fail
    monkeypatch.setenv("QCRD_TEST_KEY", KEY)
    client.check(spec("http://127.0.0.1:1/v1").teacher)


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        (f"teacher.api_key_env={KEY}", "give the name of an environment variable"),
        ("teacher.api_key_env=AIzaSy0123456789abcdef", "give the name of an environment variable"),
        (f"teacher.api_key_keyring={KEY}", 'give "service/user"'),
        ("teacher.api_key_keyring=a/", 'give "service/user"'),
        (f"teacher.api_base=https://me:{KEY}@example.org/v1", "a URL with a user or password"),
        (f"teacher.api_base=https://example.org/v1?key={KEY}", "a URL with a query or fragment"),
        (f"teacher.api_base=https://example.org/v1#{KEY}", "a URL with a query or fragment"),
        (f"teacher.api_base={KEY}.example.org/v1", "with http:// or https://"),
        (f"teacher.api_base=ftp://{KEY}", "with http:// or https://"),
        (f"teacher.api_key={KEY}", "unknown key"),
        ('teacher={api_key_env="A", api_key_keyring="a/b"}', "give one of them"),
    ],
)
def test_a_key_in_the_spec_is_refused_and_not_repeated(setting: str, said: str) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        read_spec({}, [setting], where="run.toml", folder=Path.cwd())
    assert KEY not in str(caught.value)
    assert "AIza" not in str(caught.value)


def test_names_are_taken_as_before() -> None:
    settings = ["teacher.api_key_env=MY_KEY_2", "teacher.api_base=http://127.0.0.1:8000/v1/@x"]
    teacher = read_spec({}, settings, where="run.toml", folder=Path.cwd()).teacher
    assert teacher.api_key_env == "MY_KEY_2"
    assert os.environ.get("MY_KEY_2") is None
