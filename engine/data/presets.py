"""Known datasets of the hub: where they are, and how a row of theirs becomes question, answer and choices."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from engine.answers import layout
from engine.data import hub
from engine.data.rows import Row
from engine.errors import SpecError, UsageError
from engine.spec.sections import AnswerKind

NLI_LABELS = ("entailment", "neutral", "contradiction")
Values = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Preset:
    """One dataset of the hub."""

    hub_id: str
    kinds: tuple[AnswerKind, ...]
    """Kinds of answer it has; data.answer must be one of them."""
    convert: Callable[[Values, AnswerKind], Values]
    """A row of the hub to the columns question, answer and (where there are some) choices and id."""
    configs: tuple[str | None, ...] = (None,)
    """All of them together are the dataset."""
    splits: Mapping[str, str] = field(default_factory=lambda: {s: s for s in ("train", "validation", "test")})
    """The hub's split -> ours."""
    revision: str | None = None


def read_preset(name: str, kind: AnswerKind) -> dict[str, list[Row]]:
    """Rows by split, in the default columns."""
    preset = PRESETS[name]
    if kind not in preset.kinds:
        wanted = " or ".join(f'"{k}"' for k in preset.kinds)
        raise SpecError(f'dataset "{name}" has answers of another kind: set data.answer = {wanted}, not "{kind}"')
    found: dict[str, list[Row]] = {}
    for config in preset.configs:
        for split, rows in hub.read_hub(preset.hub_id, config, preset.revision, dict(preset.splits)).items():
            mine = found.setdefault(split, [])
            for row in rows:
                try:
                    values = preset.convert(row.values, kind)
                except (KeyError, TypeError) as error:
                    raise UsageError(f"{row.place}: not a row as the preset {name!r} knows them ({error!r})") from error
                mine.append(Row(row.place, len(mine) + 1, values))
    return found


def with_choices(question: str, choices: Sequence[str]) -> str:
    """The question with its options, as Distilling Step-by-Step renders them."""
    return "\n".join((question, "Answer Choices:", *(f"({chr(97 + i)}) {c}" for i, c in enumerate(choices))))


def _svamp(row: Values, kind: AnswerKind) -> Values:
    body = row["Body"].strip()
    question = f"{body}{'' if body.endswith(('.', '?', '!', ',')) else '.'} {row['Question'].strip()}"
    return {"question": question, "answer": row["Equation" if kind == "equation" else "Answer"]}


def _cqa(row: Values, kind: AnswerKind) -> Values:
    texts = [str(t) for t in row["choices"]["text"]]
    key = row["answerKey"]
    answer = texts[row["choices"]["label"].index(key)] if key in row["choices"]["label"] else None
    return {"id": row["id"], "question": with_choices(row["question"], texts), "answer": answer, "choices": texts}


def _nli(row: Values, kind: AnswerKind) -> Values:
    label = row["label"]
    question = f"premise: {row['premise']} hypothesis: {row['hypothesis']}"
    answer = NLI_LABELS[label] if isinstance(label, int) and 0 <= label < 3 else label
    return {"question": question, "answer": answer if answer in NLI_LABELS else None, "choices": list(NLI_LABELS)}


def _gsm8k(row: Values, kind: AnswerKind) -> Values:
    return {"question": row["question"], "answer": row["answer"].rpartition("####")[2].strip()}


def _math(row: Values, kind: AnswerKind) -> Values:
    boxes = layout.boxes(row["solution"])
    return {"question": row["problem"], "answer": boxes[0].content if boxes else None}


PRESETS: dict[str, Preset] = {
    "svamp": Preset("ChilleD/SVAMP", ("number", "equation"), _svamp),
    # the test answers of CommonsenseQA are not public: its validation split is the test, as in Distilling Step-by-Step
    "cqa": Preset("tau/commonsense_qa", ("choice",), _cqa, splits={"train": "train", "validation": "test"}),
    "anli1": Preset(
        "facebook/anli", ("choice",), _nli, splits={"train_r1": "train", "dev_r1": "validation", "test_r1": "test"}
    ),
    # esnli itself is a loading script, which `datasets` no longer runs
    "esnli": Preset("esnli/esnli", ("choice",), _nli, revision="refs/convert/parquet"),
    "gsm8k": Preset("openai/gsm8k", ("number",), _gsm8k, configs=("main",)),
    "math": Preset(
        "EleutherAI/hendrycks_math",
        ("latex",),
        _math,
        configs=(
            "algebra",
            "counting_and_probability",
            "geometry",
            "intermediate_algebra",
            "number_theory",
            "prealgebra",
            "precalculus",
        ),
    ),
}
