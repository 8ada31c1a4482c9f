"""The weight that the rationale screen shows is the one that the loss used: against a loss worked by hand."""

from pathlib import Path

import pytest
import torch

from engine.methods import qcrd
from engine.records import Dataset, Example, Rationale, Voted
from engine.spec.methods import Qcrd
from engine.spec.run import RunSpec
from engine.store.connect import open_reader
from engine.store.rationales.questions import Question, read_question
from engine.store.recorder import Recorder
from engine.store.runs.run import create_run
from engine.store.writer import Writer
from engine.training.batches import Candidate, Item
from engine.training.losses import Outcome, Scores
from engine.training.step import Row, Stepped
from engine.training.visits import visits
from screens.widgets.pair import figures
from screens.widgets.reasons import reasons

POSITIVE_CE, NEGATIVE_CE = [0.5, 1.0], [2.0, 3.5]
POSITIVE_S, NEGATIVE_S = [0.9, 0.8], [0.25, 0.4]


def shown(path: Path, config: Qcrd) -> tuple[Question, Outcome, torch.Tensor, torch.Tensor]:
    """One example with two positives and two negatives through the loss, the store and the reading of the console."""
    positive_ce = torch.tensor([POSITIVE_CE], dtype=torch.float64, requires_grad=True)
    negative_ce = torch.tensor([NEGATIVE_CE], dtype=torch.float64, requires_grad=True)
    mask = torch.ones(1, 2, dtype=torch.bool)
    scores = Scores(
        predict_ce=torch.zeros(1, dtype=torch.float64),
        predict_mask=torch.zeros(1, dtype=torch.bool),
        positive_ce=positive_ce,
        positive_mask=mask,
        negative_ce=negative_ce,
        negative_mask=mask,
        positive_quality=torch.tensor([POSITIVE_S], dtype=torch.float64),
        negative_quality=torch.tensor([NEGATIVE_S], dtype=torch.float64),
        draw=torch.zeros(1, 2),
    )
    outcome = qcrd.loss(config, scores)
    outcome.loss.backward()
    example = Example("q", "how many?", "1")
    told = [
        Rationale(i, "q", f"text {i}", "1" if i < 2 else "2", "strict", "positive" if i < 2 else "negative",
                  "teacher" if i < 2 else "minority", slot=i)
        for i in range(4)
    ]  # fmt: skip
    voted = Voted(example, "1", 2, 4, False, tuple(told[:2]), tuple(told[2:]))
    ours = [Candidate(rationale, rationale.text, [1]) for rationale in told]
    item = Item(
        example=example, predict=[1], explain=[1], label=None, answer="1", positives=tuple(ours[:2]), negatives=()
    )
    row = Row(item, tuple(ours[2:]), judge_all=True)
    stepped = Stepped(outcome, scores, mask, mask, 4)
    run_id = create_run(path, RunSpec(method=config))
    with Writer(path) as writer:
        recorder = Recorder(writer, run_id)
        recorder.dataset(Dataset("d", {"train": (example,), "validation": (), "test": ()}, "00" * 32))
        recorder.votes([voted], {"q"})
        recorder.visits(7, 1, visits([row], stepped, {"q"}, [False], True))
    connection = open_reader(path)
    question = read_question(connection, run_id, ("q",), 0)
    connection.close()
    assert question is not None
    assert positive_ce.grad is not None
    assert negative_ce.grad is not None
    return question, outcome, positive_ce.grad[0], negative_ce.grad[0]


def test_weights_are_those_of_a_loss_worked_by_hand(tmp_path: Path) -> None:
    config = Qcrd.model_validate({"negatives": {"select": "min"}, "discriminator": {"normalise": False}})
    question, outcome, up, down = shown(tmp_path / "x.db", config)
    # min CE of the positives 0.5 with s 0.9; of the negatives 2.0 with s 0.25: 0.2 * 0.75 * (2 - 3)
    assert float(outcome.loss.detach()) == pytest.approx(0.5 * (0.9 * 0.5 - 0.2 * 0.75 * (2.0 - 3.0)))
    positive, other = question.positives
    negative, spare = question.negatives
    assert (positive.number, negative.number) == (0, 2)
    assert positive.weight == pytest.approx(0.9)
    assert negative.weight == pytest.approx(0.15)
    assert (other.weight, spare.weight) == (0.0, 0.0)
    # alpha times the weight is the gradient of each cross-entropy; a negative's is against it
    assert up.tolist() == pytest.approx([0.5 * 0.9, 0.0])
    assert down.tolist() == pytest.approx([-0.5 * 0.15, 0.0])
    assert ("weight 0.90", "") in figures(positive, None, True)
    assert ("weight −0.15", "") in figures(negative, None, True)
    assert reasons(question) == {3: "silent: 3.50 > 3"}


def test_one_negative_beyond_delta_silences_all_and_is_named(tmp_path: Path) -> None:
    config = Qcrd.model_validate({"discriminator": {"normalise": False}})
    question, outcome, _, down = shown(tmp_path / "x.db", config)
    assert float(outcome.loss.detach()) == pytest.approx(0.5 * 0.9 * 0.5)
    assert down.tolist() == [0.0, 0.0]
    assert [c.weight for c in question.negatives] == [0.0, 0.0]
    assert reasons(question) == {
        3: "silent: 3.50 > 3, and with it the whole term",
        2: "silenced by sample 4: CE 3.50 > 3",
    }
