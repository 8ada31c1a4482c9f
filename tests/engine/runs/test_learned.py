"""A student taken from a run's folder: it answers as the one that was saved, from a checkpoint and from its export."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, T5ForConditionalGeneration

from engine.answers.kinds import parse
from engine.errors import UsageError
from engine.evaluation.evaluate import alike
from engine.evaluation.one_question import Learned, greedy
from engine.evaluation.reply import Asked, Failed, Over, Piece, Ready, Reply, Told, Votes
from engine.records import Example
from engine.runs import learned
from engine.runs.inference import Inbox, Inference
from engine.store.runs.run import create_run, set_status
from engine.training import checkpoint
from tests.engine.tiny_learned import LORA, QUESTION, make, spec_of


def texts(found: Learned, text: str = QUESTION) -> dict[str, str]:
    told = greedy(found, Asked(1, 1, text), Example("", text), lambda: False)
    return {one.head: one.text for one in told if isinstance(one, Told)}


@pytest.mark.parametrize("student", [{}, LORA], ids=["t5", "llama with adapters"])
def test_what_answers_is_what_was_saved_and_so_does_its_export(tmp_path: Path, student: dict[str, Any]) -> None:
    database, run_id, saved = make(tmp_path, spec_of(student))
    found = learned.load(learned.place(database, run_id))
    assert (found.step, found.note) == (7, "")
    assert found.judge is not None
    prompts = [saved.prompt(f"{head}: {QUESTION}") for head in found.heads]
    wanted = [
        saved.generate([p], found.longest[head], 0.0, None)[0] for p, head in zip(prompts, found.heads, strict=True)
    ]
    assert list(texts(found).values()) == wanted
    assert len(set(wanted)) == 2

    told = list(greedy(found, Asked(1, run_id, ""), Example("test-0", QUESTION, "5"), lambda: False))
    explained = told[-1]
    assert isinstance(explained, Told)
    parsed = parse("number", explained.text)
    assert (explained.answer, explained.rule) == (parsed.answer, parsed.rule)
    assert explained.right is (parsed.answer == "5")
    assert explained.quality is not None
    assert 0 <= explained.quality <= 1

    folder = learned.export_student(database, run_id, tmp_path / "out")
    kind = AutoModelForCausalLM if student else T5ForConditionalGeneration
    plain, words = kind.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    tokens = plain.generate(torch.tensor([prompts[1]]), max_new_tokens=found.longest["explain"], do_sample=False)[0]
    text = words.decode(tokens[len(prompts[1]) :] if student else tokens, skip_special_tokens=True)
    assert text == wanted[1]
    assert "explain: QUESTION" in (folder / "README.md").read_text()
    with pytest.raises(UsageError, match="--force"):
        learned.export_student(database, run_id, folder)


def test_adapters_that_no_plain_model_holds_answer_from_the_checkpoint(tmp_path: Path) -> None:
    database, run_id, saved = make(tmp_path, spec_of(LORA, "nat"))
    found = learned.load(learned.place(database, run_id))
    prompts = {head: saved.prompt(f"{head}: {QUESTION}") for head in found.heads}
    wanted = {head: saved.generate([p], found.longest[head], 0.0, None)[0] for head, p in prompts.items()}
    assert texts(found) == wanted
    learned.export_student(database, run_id, None)
    set_status(database, run_id, "done")
    assert (learned.export_student(database, run_id, tmp_path / "out") / "integrate.safetensors").is_file()


def test_without_checkpoints_the_export_answers(tmp_path: Path) -> None:
    database, run_id, _ = make(tmp_path, spec_of({}))
    before = texts(learned.load(learned.place(database, run_id)))
    own = learned.export_student(database, run_id, None)
    assert own == tmp_path / "runs" / str(run_id) / "student"
    set_status(database, run_id, "done")
    assert learned.export_student(database, run_id, None) == own  # it is there
    checkpoint.folder_of(tmp_path / "runs" / str(run_id), 7).rename(tmp_path / "away")
    found = learned.load(learned.place(database, run_id))
    assert (found.step, found.judge) == (None, None)
    assert "no quality" in found.note
    assert texts(found) == before
    copied = learned.export_student(database, run_id, tmp_path / "copy")
    assert (copied / "config.json").read_text() == (own / "config.json").read_text()


def test_which_weights_are_asked_and_what_cannot_be(tmp_path: Path) -> None:
    database, run_id, _ = make(tmp_path, spec_of({}, "single-task"))
    folder = tmp_path / "runs" / str(run_id)
    (folder / "checkpoints" / "step-00000009").mkdir()
    (folder / "checkpoints" / "step-00000009" / "progress.json").write_text('{"best_step": 7}')
    (folder / "checkpoints" / "step-00000011.partial").mkdir()
    assert learned.place(database, run_id).step == 7
    (folder / "checkpoints" / "step-00000009" / "progress.json").write_text('{"best_step": 3}')
    assert learned.place(database, run_id).step == 9  # that of step 3 is gone
    other = create_run(database, spec_of({}))
    with pytest.raises(UsageError, match="no checkpoint yet"):
        learned.place(database, other)
    set_status(database, other, "failed", "x")
    with pytest.raises(UsageError, match="no checkpoint and no exported"):
        learned.place(database, other)
    with pytest.raises(UsageError, match="no question 'x'"):
        learned.example_of(database, spec_of({}), run_id, "x")


def test_an_answer_is_told_in_pieces_drawn_in_votes_and_what_fails_in_a_line(tmp_path: Path) -> None:
    database, run_id, _ = make(tmp_path, spec_of({}))
    said: list[Reply] = []
    inference = Inference(database, said.append)
    inference.answer(Asked(1, run_id, "", example="test-0"), lambda: False)
    whole = [type(one) for one in said if isinstance(one, Ready | Told | Over)]
    assert whole == [Ready, Told, Told, Over]
    inference.answer(Asked(2, run_id, QUESTION, samples=6, temperature=1.5), lambda: False)
    loaded = [one for one in said if isinstance(one, Ready)]
    assert len(loaded) == 2
    votes = said[-2]
    assert isinstance(votes, Votes)
    assert sum(one.count for one in votes.given) == 6
    counts = [one.count for one in votes.given if one.answer is not None]
    assert counts == sorted(counts, reverse=True)
    again: list[Reply] = []
    Inference(database, again.append).answer(Asked(2, run_id, QUESTION, samples=6, temperature=1.5), lambda: False)
    assert isinstance(again[-2], Votes)
    assert replace(again[-2], seconds=0) == replace(votes, seconds=0)  # the same question, the same draws
    said.clear()
    inference.answer(Asked(3, run_id, QUESTION), lambda: True)
    assert [type(one) for one in said] == [Ready, Over]
    inference.answer(Asked(4, 99, QUESTION), lambda: False)
    assert said[-2] == Failed(4, "there is no run 99: `qcrd runs` lists them")


def test_pieces_grow_into_the_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.evaluation.one_question.SHOWN_EVERY", 0.0)
    database, run_id, _ = make(tmp_path, spec_of({}))
    found = learned.load(learned.place(database, run_id))
    told = list(greedy(found, Asked(1, 1, QUESTION), Example("", QUESTION), lambda: False))
    pieces = [one.text for one in told if isinstance(one, Piece) and one.head == "explain"]
    assert len(pieces) > 2
    assert all(b.startswith(a) for a, b in pairwise(pieces))
    assert pieces[-1] == told[-1].text


def test_answers_are_clustered_by_the_first_member() -> None:
    assert alike("number", ["1", "2", "1.0", "2", "3"]) == [["1", "1.0"], ["2", "2"], ["3"]]


def test_a_question_overtakes_the_one_before_it() -> None:
    ended: list[bool] = []
    lines = ['{"id": 1, "run_id": 1, "text": "a"}', '{"id": 2, "run_id": 1, "text": "b"}']
    inbox = Inbox(lines, lambda: ended.append(True))
    asked = inbox.take() if ended else Asked(0, 0, "")
    while asked.id != 2:
        asked = inbox.take()
    assert inbox.stopped(1)
    assert not inbox.stopped(2)
    stopped = Inbox([*lines, "\n"], lambda: ended.append(True))
    while len(ended) < 2:
        time.sleep(0.01)
    assert stopped.stopped(2)


@pytest.mark.slow
def test_the_process_answers_and_does_not_outlive_who_is_killed(tmp_path: Path) -> None:
    database, run_id, _ = make(tmp_path, spec_of({}))
    program = f"""
import sys, time
from pathlib import Path
from engine.evaluation.reply import Asked, Told
from engine.runs.inference_client import InferenceClient
client = InferenceClient(Path({str(database)!r}), lambda reply: print(client.pid, type(reply).__name__, flush=True))
client.ask(Asked(1, {run_id}, {QUESTION!r}))
time.sleep(600)
"""
    root = Path(__file__).resolve().parents[3]
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(root)}
    ) as asking:
        assert asking.stdout is not None
        kinds = []
        while "Over" not in kinds:
            pid, kind = asking.stdout.readline().split()
            kinds.append(kind)
        assert kinds.count("Told") == 2
        asking.send_signal(signal.SIGKILL)
    give_up = time.monotonic() + 60
    while Path(f"/proc/{pid}").exists() and Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
        assert time.monotonic() < give_up
        time.sleep(0.05)
