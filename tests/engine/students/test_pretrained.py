"""The built-in base: what it reads, and that a run gets the same one whichever way it comes to it."""

import random
import shutil
from itertools import islice
from pathlib import Path

import pytest
import torch

from engine.data.arithmetic import generate, parse
from engine.errors import Interrupted, QcrdError
from engine.spec.sections import ArithmeticConfig
from engine.students import pretrained, tiny
from engine.students.base_text import lines

QUESTIONS = [x.question for x in generate(3, ArithmeticConfig(train=200, test=1, validation=1)).splits["train"]]
WORDS = "plus makes minus begin add get take start with and is less there are + = - Answer:"
SIGNS = {"plus": 1, "and": 1, "+": 1, "add": 1, "minus": -1, "less": -1, "-": -1, "take": -1}


@pytest.fixture(scope="module")
def words() -> object:
    return tiny.build_tokenizer([*QUESTIONS, WORDS], alphabetical=True)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("QCRD_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "base"


def prepared(words: object, folder: Path, steps: int = 3) -> tuple[str, list[float], list[str]]:
    """The hash, the losses and what was said."""
    folder.mkdir()
    losses: list[float] = []
    said: list[str] = []
    found = pretrained.prepare(
        words, steps, [], folder, lambda _, loss: losses.append(loss), lambda level, line: said.append(level)
    )
    return found, losses, said


def test_no_line_is_a_question_of_the_task_and_every_sum_is_true(words) -> None:
    known = words.get_vocab().__contains__
    found = list(islice(lines(random.Random(0), known, []), 3000))
    assert not [line for line in found if parse(line.partition("?")[0] + "?") or not all(map(known, line.split()))]
    sums = 0
    for line in found:
        match line.rpartition(" . ")[2].split():
            case [a, sign, n, "makes" | "is" | "=", b]:
                assert int(a) + SIGNS[sign] * int(n) == int(b), line
                sums += 1
            case ["add" | "take" as sign, n, "get", b]:
                assert int(line.partition("begin ")[2].split()[0]) + SIGNS[sign] * int(n) == int(b), line
                sums += 1
    assert sums > 500
    stories = [line for line in found if "how many" in line and " now ? " in line]
    for line in stories:
        problem = parse(line.partition(" ?")[0].replace(" . ", " . first ", 1) + " ?")
        assert problem is not None
        assert str(problem.answer) in line.partition(" ? ")[2].split()
    assert len(stories) > 500


def test_other_data_is_read_as_its_own_questions() -> None:
    found = list(islice(lines(random.Random(0), lambda word: True, ["what is pi?"]), 60))
    assert "what is pi?" in found
    assert not [line for line in found if "how many" in line]


def test_words_unknown_to_a_small_tokeniser_do_not_stop_it() -> None:
    assert len(list(islice(lines(random.Random(0), {"1", "2"}.__contains__, []), 3))) == 3


def test_one_tokeniser_for_texts_of_the_same_words() -> None:
    one, other = (tiny.build_tokenizer(texts, alphabetical=True) for texts in (["b a", "b b"], ["a a b"]))
    assert one.backend_tokenizer.to_str() == other.backend_tokenizer.to_str()


def test_a_base_is_the_same_made_twice_or_from_the_cache(words, cache: Path, tmp_path: Path, monkeypatch) -> None:
    before = torch.get_rng_state()
    first = prepared(words, tmp_path / "first")
    assert torch.equal(before, torch.get_rng_state())
    again = prepared(words, tmp_path / "again")
    assert (first[2], again[2]) == ([], ["info"])
    assert first[:2] == again[:2]
    assert len(first[1]) == 3
    (kept,) = cache.iterdir()

    (kept / "model.safetensors").write_bytes(b"\0" * 100)  # a damaged one is made anew
    assert prepared(words, tmp_path / "damaged") == first
    assert prepared(words, tmp_path / "mended")[2] == ["info"]

    monkeypatch.setenv("QCRD_CACHE", "/dev/null/nowhere")
    alone = prepared(words, tmp_path / "alone")
    assert alone[:2] == first[:2]
    assert alone[2] == ["warning"]
    assert prepared(words, tmp_path / "longer", steps=4)[0] != first[0]

    model = pretrained.load(tmp_path / "mended")
    assert model is not None
    fresh = pretrained.pretrain(words, 3, [], lambda step, loss: None)
    assert all(torch.equal(p, q) for p, q in zip(model.parameters(), fresh.parameters(), strict=True))


def test_one_that_is_stopped_leaves_nothing(words, cache: Path, tmp_path: Path) -> None:
    def stop(step: int, loss: float) -> None:
        if step == 2:
            raise Interrupted("stopped")

    with pytest.raises(Interrupted):
        pretrained.prepare(words, 3, [], tmp_path, stop, lambda level, line: None)
    assert not cache.exists()
    assert pretrained.load(tmp_path) is None


def test_a_base_that_is_gone_is_put_back_from_the_cache_or_asked_for(words, cache: Path, tmp_path: Path) -> None:
    folder, lines = tmp_path / "run", []
    recorded = prepared(words, folder)[0]
    prepared(words, tmp_path / "other", steps=2)

    def put_back(recorded: str | None) -> None:
        pretrained.put_back(folder, recorded, lambda level, line: lines.append((level, line)))

    put_back(recorded)
    assert lines == []
    files = {file.name: file.read_bytes() for file in (folder / "base").iterdir()}
    shutil.rmtree(folder / "base")
    put_back(None)  # begun before there were bases
    assert pretrained.load(folder) is None
    put_back(recorded)
    assert {file.name: file.read_bytes() for file in (folder / "base").iterdir()} == files
    ((level, line),) = lines
    assert (level, "put back from the cache" in line) == ("info", True)

    (folder / "base" / "model.safetensors").write_bytes(b"\0" * 100)
    with pytest.raises(QcrdError, match=r"base could not be read .*: delete that folder"):
        pretrained.load(folder)
    shutil.rmtree(folder / "base")
    for kept in cache.iterdir():  # damaged ones are none
        (kept / "config.json").write_text("{}")
    with pytest.raises(QcrdError, match=rf"base is gone.*{recorded[:12]}.*put the folder back.*QCRD_CACHE"):
        put_back(recorded)
    assert list(folder.iterdir()) == []
    shutil.rmtree(cache)
    with pytest.raises(QcrdError, match="has none that is the same"):
        put_back(recorded)
