"""What a teacher is asked: a system message, few-shot examples in the paper's layout, the question.

A chat model gets them as turns, a completion model as one text that breaks off where the answer is to begin.

The default prompts are `prompts/*.toml`, one for each kind of answer; a user's file has the same three keys:

    system = "…"
    format = "<Explanation>: {rationale} <Answer>: {answer}"
    [[shots]]
    question = "…"
    rationale = "…"
    answer = "…"
    choices = ["…"]     # multiple choice only
"""

import hashlib
import json
import tomllib
from dataclasses import asdict, dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Literal

from engine.errors import UsageError
from engine.records import Example
from engine.spec.sections import AnswerKind
from engine.spec.teachers import TeacherConfig

SHOT_KEYS = {"question", "rationale", "answer", "choices"}
STOP = ("\nQuestion:",)
"""Where a completion model begins to write the next question itself."""
COMPLETION_PROVIDERS = ("text-completion-", "azure_text/")
COMPLETION_MODELS = ("gpt-3.5-turbo-instruct", "babbage-002", "davinci-002")

Style = Literal["chat", "completion"]


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt file, checked."""

    system: str
    format: str
    """The layout of an answer, with {rationale} and {answer}."""
    shots: tuple[tuple[Example, str], ...]
    """Worked examples, each with its rationale."""
    style: Style = "chat"

    @property
    def hash(self) -> str:
        """SHA-256 of all that it says, in hexadecimal: another file with the same words is the same prompt."""
        said = asdict(self)
        for shot, _ in said["shots"]:
            del shot["id"]  # names the file
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def style_of(teacher: TeacherConfig) -> Style:
    """What teacher.prompt_style says; "auto" knows LiteLLM's names of completion models."""
    if teacher.prompt_style != "auto":
        return teacher.prompt_style
    completes = teacher.model.startswith(COMPLETION_PROVIDERS) or teacher.model in COMPLETION_MODELS
    return "completion" if completes else "chat"


def load_prompt(teacher: TeacherConfig, kind: AnswerKind) -> Prompt:
    """The default prompt of a kind of answer, or the user's file. Raises UsageError that names the file and the key."""
    return replace(_load(teacher, kind), style=style_of(teacher))


def _load(teacher: TeacherConfig, kind: AnswerKind) -> Prompt:
    if teacher.prompt != "default":
        path = Path(teacher.prompt).expanduser()
        try:
            return _read(path.read_text("utf-8"), str(path))
        except OSError as error:
            raise UsageError(f"teacher.prompt: cannot read {path}: {error.strerror or error}") from None
        except UnicodeDecodeError:
            raise UsageError(f"teacher.prompt: {path} is no UTF-8 text") from None
    name = "builtin.toml" if teacher.model.startswith("builtin/") else f"{kind}.toml"
    return _read(resources.files("engine.teacher").joinpath("prompts", name).read_text("utf-8"), name)


def messages_for(prompt: Prompt, example: Example) -> list[dict[str, str]]:
    """The messages that ask one example's question; for a completion model one, which it is to go on with."""
    if prompt.style == "completion":
        return [{"role": "user", "content": _as_text(prompt, example)}]
    messages = [{"role": "system", "content": prompt.system}] if prompt.system else []
    for shot, rationale in prompt.shots:
        messages.append({"role": "user", "content": ask(shot)})
        messages.append({"role": "assistant", "content": _reply(prompt, shot, rationale)})
    return [*messages, {"role": "user", "content": ask(example)}]


def _as_text(prompt: Prompt, example: Example) -> str:
    """The paper's layout: system text, worked examples, the question, and the beginning of an answer."""
    parts = [prompt.system] if prompt.system else []
    parts += [f"Question: {ask(shot)}\n{_reply(prompt, shot, rationale)}" for shot, rationale in prompt.shots]
    cue = prompt.format.partition("{rationale}")[0].rstrip()  # a space at the end is a token of its own to most models
    if "{answer}" in cue:  # a layout with the answer first: what is parsed must hold its mark
        cue = ""
    return "\n\n".join([*parts, f"Question: {ask(example)}\n{cue}"])


def _reply(prompt: Prompt, shot: Example, rationale: str) -> str:
    return prompt.format.replace("{answer}", shot.answer or "").replace("{rationale}", rationale)


def ask(example: Example) -> str:
    """The question, with its options lettered where it has some."""
    if not example.choices:
        return example.question
    options = [f"({letter}) {c}" for letter, c in zip("abcdefghijklmnopqrstuvwxyz", example.choices, strict=False)]
    return "\n".join([example.question, "Answer choices:", *options])


def _read(text: str, where: str) -> Prompt:
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{where}: not valid TOML: {error}") from None
    if unknown := sorted(table.keys() - {"system", "format", "shots"}):
        raise UsageError(f"{where}: unknown key {unknown[0]!r}; a prompt has system, format and [[shots]]")
    system, layout, shots = table.get("system", ""), table.get("format", ""), table.get("shots", [])
    if not isinstance(system, str) or not isinstance(layout, str):
        raise UsageError(f"{where}: system and format must be texts")
    if not isinstance(shots, list) or not all(isinstance(s, dict) for s in shots):
        raise UsageError(f"{where}: shots must be tables: write [[shots]]")
    if shots and not ("{rationale}" in layout and "{answer}" in layout):
        raise UsageError(f"{where}: format must contain {{rationale}} and {{answer}}")
    return Prompt(system.strip(), layout, tuple(_shot(s, f"{where}: shot {i}") for i, s in enumerate(shots, 1)))


def _shot(shot: dict[str, object], where: str) -> tuple[Example, str]:
    if unknown := sorted(shot.keys() - SHOT_KEYS):
        raise UsageError(f"{where}: unknown key {unknown[0]!r}; a shot has question, rationale, answer and choices")
    for key in ("question", "rationale", "answer"):
        if not isinstance(shot.get(key), str):
            raise UsageError(f"{where}: {key} is missing or no text")
    choices = shot.get("choices", [])
    if not isinstance(choices, list) or not all(isinstance(c, str) for c in choices):
        raise UsageError(f"{where}: choices must be a list of texts")
    return Example(where, str(shot["question"]), str(shot["answer"]), tuple(choices)), str(shot["rationale"])
