"""The best student as a Hugging Face folder with a model card, and what a model card says."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from engine.errors import QcrdError
from engine.spec.run import RunSpec
from engine.spec.template import to_toml
from engine.students import adapters, nat_alone
from engine.students.seam import Student


def export(student: Student, final: Path, spec: RunSpec, scores: Sequence[str], data_hash: str) -> Path:
    """Writes config, weights, tokeniser and README.md to the folder `final`; it appears whole or not at all.

    NAT's, which no library loads as one model, have code of their own beside them, and a base that was made here.
    """
    beside = final.with_name(final.name + ".partial")
    try:
        shutil.rmtree(beside, ignore_errors=True)
        student.save(beside)
        if spec.method.name == "nat":
            code = Path(nat_alone.__file__).read_text(encoding="utf-8")
            code = code.replace("CHAT = True", f"CHAT = {student.kind == 'chat'}")
            (beside / "nat.py").write_text(code, encoding="utf-8")
        (beside / "README.md").write_text(card(spec, scores, data_hash, _how(spec, student)), encoding="utf-8")
        shutil.rmtree(final, ignore_errors=True)
        beside.rename(final)
    except OSError as error:
        raise QcrdError(f"the student could not be exported to {final} ({error.strerror or error})") from error
    return final


def _how(spec: RunSpec, student: Student) -> str:
    """What a prompt must look like, and what the folder is where it is no plain model."""
    found = "."
    if student.kind == "causal":
        found = ", as a line of its own (a newline ends it); the text goes on from there."
    elif student.kind == "chat":
        found = ", as the user's turn of the tokeniser's chat template."
    if spec.method.name == "nat":
        of = f"the model in `{adapters.BASE}`" if spec.student.built_in else f"`{spec.student.model}`"
        four_bit = spec.student.lora.quantise == "4bit"
        return found + (
            f"\n\nThis folder is no plain model: `negative` and `positive` are PEFT adapters of {of} "
            f"(rank {spec.student.lora.r}), which load with `PeftModel.from_pretrained`, and `integrate.safetensors` "
            "holds the units that weigh the two at each projection (arXiv 2312.12832), which PEFT does not know. "
            '`nat.py` puts them together without qcrd: `python nat.py "explain: QUESTION"`'
            f"{', over weights of full width, where these were trained over 4 bits' if four_bit else ''}."
        )
    if spec.student.lora.r:
        added = "the adapters alone, to be loaded over" if spec.student.lora.quantise == "4bit" else "merged into"
        made = ", which was pre-trained on generated text first" if spec.student.base_steps else ""
        found += f"\n\nTrained with LoRA (rank {spec.student.lora.r}): {added} `{spec.student.model}`{made}."
    return found


def card(spec: RunSpec, scores: Sequence[str], data_hash: str, how: str = ".") -> str:
    """The model card: what it is, how to ask it, what was measured, and the spec that makes it again.

    `how`: what a prompt of this student must look like; ends the sentence that says what to ask.
    """
    quantised = spec.student.lora.r > 0 and spec.student.lora.quantise == "4bit"
    lines = "\n".join(f"- {line}" for line in scores)
    ending = " that ends in `Answer: …`" if spec.student.answer_in_rationale else ""
    label, rationale = "`predict: QUESTION` for the answer", f"`explain: QUESTION` for a rationale{ending}"
    ask = "Ask it " + ", or ".join(label if head == "predict" else rationale for head in spec.heads)
    return f"""---
library_name: {"peft" if quantised else "transformers"}
tags: [qcrd, distillation, {spec.method.name}]
---
# {spec.name}

A student of `{spec.teacher.name if spec.needs_teacher else "gold answers"}` on `{spec.data.dataset}`, \
trained with the method `{spec.method.name}` (qcrd; QCRD is arXiv 2405.13014).

{ask}{how}

## Measured (95 % Wilson intervals)
{lines}

Data hash: `{data_hash}`. Steps: {spec.training.steps}. Seed: {spec.seed}.

## Spec
```toml
{to_toml(spec)}```
"""
