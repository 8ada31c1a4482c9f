"""A run that trains a ranking model (arXiv 2312.12832) and no student: its stages after the vote.

The best epoch is chosen on every other held-out question that has right and wrong rationales, and measured on the rest.
"""

import math
import shutil
from collections.abc import Sequence
from pathlib import Path

import torch

from engine.errors import QcrdError, SpecError
from engine.evaluation.sampled import mean
from engine.judge import ranking
from engine.judge.discriminator import Judged
from engine.judge.ranking import RankingModel
from engine.judge.ranking_training import Ranked, epoch_pairs, held_out, ranked, ranking_loss, within
from engine.randomness import derive
from engine.records import Voted
from engine.runs.orders import Orders
from engine.runs.stage import during
from engine.runs.taught import Taught, record_votes, training_texts
from engine.spec.dust_into_gold import Ranking
from engine.spec.run import RunSpec
from engine.spec.template import to_toml
from engine.store.recorder import Recorder
from engine.students.load import student as load_student
from engine.training import checkpoint
from engine.training.batches import target_text
from engine.training.checkpoint import Progress, Trained
from engine.training.memory import AtOnce
from engine.training.resumable import Resumable

FOLDER = "ranking"
"""In the run's folder: the exported model."""
CHECKPOINTS = "ranking.checkpoints"
FROM_SCRATCH, PUBLISHED = 1e-3, 2e-5
"""method.lr where it is unset: of an encoder from random weights, and of one that is pre-trained."""


def rank(
    spec: RunSpec, config: Ranking, taught: Taught, folder: Path, data_hash: str, recorder: Recorder, orders: Orders
) -> None:
    """Trains, evaluates and exports. Raises Interrupted after a checkpoint when an order to stop comes in."""
    record_votes(taught, spec, set(), recorder)
    if (folder / FOLDER).is_dir():  # whole: the process died between its export and its end
        recorder.stage("export", state="done")
        return
    model = _model(spec, config, taught, folder)
    model.at_once = AtOnce(lambda line: recorder.log("warning", line))
    learnt, over = ranked(model, _judged(spec, taught.train))
    unseen = [x for x in _judged(spec, taught.validation) if x.positives and x.negatives]
    chosen_on, told_of = (unseen[::2], unseen[1::2]) if len(unseen) > 1 else (unseen, unseen)
    recorder.fact("train", "questions with right and wrong rationales", len(learnt))
    recorder.fact("train", "rationales over method.max_tokens", over)
    if not learnt:
        raise SpecError(
            "method ranking learns from questions with a right and a wrong rationale, and there is none of at most "
            f"{model.max_tokens} tokens: raise teacher.samples or method.max_tokens"
        )
    with during(recorder, "train"):
        best = _train(spec, config, model, learnt, chosen_on, folder, recorder, orders)
    checkpoint.load_student(folder / CHECKPOINTS, best.best_step, model)
    recorder.log("info", f"best on held-out questions: step {best.best_step} ({best.best_value:.3f})", "train")
    orders.raise_if_stopped()
    with during(recorder, "evaluate", len(told_of)):
        lines = _evaluate(spec, model, told_of, best.best_step, recorder)
        if told_of is chosen_on:
            recorder.log("warning", "too few held-out questions to measure on others than those chosen on", "evaluate")
    with during(recorder, "export"):
        _export(spec, model, folder / FOLDER, lines, data_hash)
        recorder.log("info", f"the ranking model is in the run's folder, as {FOLDER}/", "export")
        recorder.flush()
        shutil.rmtree(folder / CHECKPOINTS, ignore_errors=True)


def _model(spec: RunSpec, config: Ranking, taught: Taught, folder: Path) -> RankingModel:
    """Before its first step; the student is there for its shape and its words, and is let go."""
    student = load_student(spec, training_texts(spec, taught), folder / "tokenizer")
    return ranking.build(config.encoder, student, config.max_tokens, spec.seed)


def _judged(spec: RunSpec, voted: Sequence[Voted]) -> list[Judged]:
    """Right and wrong by gold or by vote, as every method has them; in the form of the student's own texts."""
    ends = spec.student.answer_in_rationale
    return [
        Judged(
            v.example.question,
            tuple(target_text(r, ends) for r in v.positives),
            tuple(target_text(r, ends) for r in v.negatives),
        )
        for v in voted
    ]


def _train(
    spec: RunSpec,
    config: Ranking,
    model: RankingModel,
    learnt: Sequence[Ranked],
    unseen: Sequence[Judged],
    folder: Path,
    recorder: Recorder,
    orders: Orders,
) -> Progress:
    """All epochs, from the last checkpoint where there is one; where it got to."""
    size = config.batch_size
    pairs = sum(max(len(q.right), len(q.wrong)) for q in learnt)
    an_epoch = -(-pairs // size)
    steps = config.epochs * an_epoch
    recorder.steps(steps)
    recorder.iterations(config.epochs)
    recorder.stage("train", total=steps)
    recorder.fact("train", "pairs an epoch", pairs)
    lr = config.lr or (FROM_SCRATCH if config.encoder == "student-sized" else PUBLISHED)
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=config.weight_decay, fused=True)
    resumable = Resumable(
        stage="train",
        steps=steps,
        every=spec.training.checkpoint_every,
        keep=1,
        place=folder / CHECKPOINTS,
        trained=Trained(model, optimizer),
        recorder=recorder,
        orders=orders,
    )
    torch.manual_seed(derive(spec.seed, "ranking", "dropout"))
    progress = resumable.restore(resumable.latest())
    if progress.step:
        recorder.rewind(progress.step)
    order: list[tuple[ranking.Pair, ranking.Pair]] = []
    for at in range(progress.step + 1, steps + 1):
        epoch, before = divmod(at - 1, an_epoch)
        if not order or before == 0:
            order = epoch_pairs(learnt, spec.seed, epoch)
        recorder.points(at, _step(model, optimizer, order[before * size :][:size], config, spec.training.clip, at))
        progress.step = at
        if at % an_epoch == 0:
            found = held_out(model, unseen, spec.seed)
            recorder.points(at, found)
            if found.get("ranked_right", 0.0) >= progress.best_value:
                progress.best_value, progress.best_step = found.get("ranked_right", 0.0), at
        recorder.progress(at, epoch + 1)
        recorder.stage("train", done=at)
        resumable.after_step(progress)
    return progress


def _step(
    model: RankingModel,
    optimizer: torch.optim.Optimizer,
    batch: Sequence[tuple[ranking.Pair, ranking.Pair]],
    config: Ranking,
    clip: float,
    at: int,
) -> dict[str, float]:
    """One step; its metrics. Raises SpecError where loss or gradient is no number."""
    model.train()
    scores = model([pair for pairs in zip(*batch, strict=True) for pair in pairs])
    right, wrong = scores.chunk(2)
    loss = ranking_loss(right, wrong, config.p)
    optimizer.zero_grad()
    loss.backward()
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), clip).item()
    if not math.isfinite(norm) or not math.isfinite(loss.item()):
        raise SpecError(f"step {at} of the ranking model has a loss or gradient that is no number: lower method.lr")
    optimizer.step()
    return {"loss/ranking": loss.item(), "grad_norm": norm, "lr": optimizer.param_groups[0]["lr"]}


def _evaluate(
    spec: RunSpec, model: RankingModel, told_of: Sequence[Judged], step: int, recorder: Recorder
) -> list[str]:
    """AUC by source as facts, the mean share of well ranked pairs as a score; lines for the card."""
    found = held_out(model, told_of, spec.seed)
    for name, value in found.items():
        recorder.fact("evaluate", name, value)
    auc = {name.removeprefix("auc/"): value for name, value in found.items() if name.startswith("auc/")}
    lines = [f"AUC against {name}: {value:.3f}" for name, value in auc.items()]
    shares = within(model, ranked(model, told_of)[0])
    if shares:
        share = mean(shares)
        recorder.score("validation", "ranking model", "", step, share.sum, share.questions, share.interval)
        low, high = share.interval
        lines.append(
            f"pairs of a question ranked rightly: {share.sum / share.questions:.3f} ({low:.3f} to {high:.3f}, "
            f"{share.questions} held-out questions)"
        )
    return lines


def _export(spec: RunSpec, model: RankingModel, final: Path, lines: Sequence[str], data_hash: str) -> None:
    """The model with a card; the folder appears whole or not at all."""
    beside = final.with_name(final.name + ".partial")
    try:
        shutil.rmtree(beside, ignore_errors=True)
        model.save(beside)
        (beside / "README.md").write_text(_card(spec, lines, data_hash), encoding="utf-8")
        shutil.rmtree(final, ignore_errors=True)
        beside.rename(final)
    except OSError as error:
        raise QcrdError(f"the ranking model could not be exported to {final} ({error.strerror or error})") from error


def _card(spec: RunSpec, lines: Sequence[str], data_hash: str) -> str:
    measured = "\n".join(f"- {line}" for line in lines)
    return f"""---
library_name: transformers
tags: [qcrd, ranking]
---
# {spec.name}

A ranking model of rationales (arXiv 2312.12832), trained on those of `{spec.teacher.name}` on `{spec.data.dataset}`.
`encoder/` is a Hugging Face encoder with its tokeniser; `head.safetensors` has two residual ELU layers and a linear
one over the mean of the rationale's tokens, ended by a sigmoid. To score with it needs qcrd: `qcrd evaluate`.

## Measured
{measured}

Data hash: `{data_hash}`. Seed: {spec.seed}.

## Spec
```toml
{to_toml(spec)}```
"""
