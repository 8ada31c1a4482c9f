"""What a row of recorded outputs says, in the layouts of this program, of distilabel and of OpenAI's batches."""

from dataclasses import dataclass
from typing import Any, Literal, get_args

from engine.teacher.outcome import Completion

Layout = Literal["qcrd", "distilabel", "openai-batch"]
LAYOUTS: tuple[Layout, ...] = get_args(Layout)
DISTILABEL = ("instruction", "generation", "generations", "grouped_generation", "messages", "distilabel_metadata")


@dataclass(frozen=True, slots=True)
class Output:
    """One recorded completion, and the model that the file names, if it does."""

    completion: Completion
    model: str | None = None


@dataclass(frozen=True, slots=True)
class Recorded:
    """Completions for one question, which the row names by its id, its text, or both."""

    id: str | None
    question: str | None
    outputs: tuple[Output, ...]


class Unreadable(Exception):
    """Why a row does not fit its layout, for a person."""


def layout_of(values: dict[str, Any]) -> Layout | None:
    """Which layout a row has, by its columns; None: none of them."""
    if "custom_id" in values and ("response" in values or "error" in values):
        return "openai-batch"
    if "question" in values and "samples" in values:
        return "qcrd"
    return "distilabel" if any(name in values for name in DISTILABEL) else None


def read(values: dict[str, Any], layout: Layout) -> Recorded:
    """A row in its layout. Raises Unreadable."""
    if layout == "qcrd":
        return _qcrd(values)
    return _distilabel(values) if layout == "distilabel" else _openai_batch(values)


def asked_of(messages: Any) -> str | None:
    """The text of the last user turn of a conversation."""
    turns = messages if isinstance(messages, list) else []
    users = [t for t in turns if isinstance(t, dict) and t.get("role") == "user"]
    return _said(users[-1].get("content")) if users else None


def _qcrd(values: dict[str, Any]) -> Recorded:
    """id (may be missing), question, samples; beside these may be models (or model), and hidden reasoning."""
    question, samples = values.get("question"), values.get("samples")
    if not isinstance(question, str):
        raise Unreadable('"question" is missing or no text')
    if not isinstance(samples, list) or not all(isinstance(s, str) for s in samples):
        raise Unreadable('"samples" is missing or no list of texts')
    models = _models(values.get("models") or values.get("model"), len(samples))
    thoughts = _models(values["reasoning"] if isinstance(values.get("reasoning"), list) else None, len(samples))
    outputs = tuple(
        Output(Completion(text, reasoning=thought), model)
        for text, model, thought in zip(samples, models, thoughts, strict=True)
    )
    return Recorded(_id(values.get("id")), question, outputs)


def _distilabel(values: dict[str, Any]) -> Recorded:
    """instruction, or messages that end with the user, and generation (a list where generations are grouped, null where
    it failed); or messages alone, which end with the assistant."""
    question = values.get("instruction")
    messages = values.get("messages")
    found = next((values[name] for name in ("generations", "grouped_generation", "generation") if name in values), None)
    if question is None:
        question = asked_of(messages)
    if "generation" not in values and found is None:
        last = messages[-1] if isinstance(messages, list) and messages else None
        found = _said(last.get("content")) if isinstance(last, dict) and last.get("role") == "assistant" else None
        if found is None:
            raise Unreadable('there is no "generation", and "messages" does not end with the assistant')
    if not isinstance(question, str):
        raise Unreadable('neither "instruction" nor a user\'s turn in "messages"')
    texts = found if isinstance(found, list) else [found]
    if not all(text is None or isinstance(text, str) for text in texts):
        raise Unreadable('"generation" is no text and no list of texts')
    named = next(
        (values[n] for n in ("model_names", "grouped_model_name", "generation_model", "model_name") if values.get(n)),
        None,
    )
    models = _models(named, len(texts))
    outputs = tuple(Output(Completion(t), m) for t, m in zip(texts, models, strict=True) if t is not None)
    return Recorded(_id(values.get("id")), question, outputs)


def _openai_batch(values: dict[str, Any]) -> Recorded:
    """A line of a batch's result file; the question is in the request file alone."""
    name, response = values.get("custom_id"), values.get("response")
    if not isinstance(name, str):
        raise Unreadable('"custom_id" is missing or no text')
    if values.get("error") or not isinstance(response, dict) or response.get("status_code", 200) != 200:
        status = response.get("status_code") if isinstance(response, dict) else None
        raise Unreadable("the batch has no answer to it" + (f" (HTTP {status})" if isinstance(status, int) else ""))
    body = response.get("body")
    choices = body.get("choices") if isinstance(body, dict) else None
    if not isinstance(body, dict) or not isinstance(choices, list):
        raise Unreadable('"response.body.choices" is missing or no list')
    texts = [(_chosen(c), c.get("finish_reason"), _thought(c)) for c in choices if isinstance(c, dict)]
    model = body.get("model")
    outputs = tuple(
        Output(
            Completion(text, finish if isinstance(finish, str) else None, reasoning=thought),
            model if isinstance(model, str) else None,
        )
        for text, finish, thought in texts
        if text is not None
    )
    return Recorded(name, None, outputs)


def _chosen(choice: dict[str, Any]) -> str | None:
    """The text of a chat's choice, or of a completion's."""
    message = choice.get("message")
    return _said(message.get("content")) if isinstance(message, dict) else _said(choice.get("text"))


def _thought(choice: dict[str, Any]) -> str | None:
    """The hidden reasoning beside a chat's choice."""
    message = choice.get("message")
    return _said(message.get("reasoning_content")) if isinstance(message, dict) else None


def _said(content: Any) -> str | None:
    """A message's text; a list of parts is joined, and what is no text in it left out."""
    if isinstance(content, list):
        parts = [p.get("text") for p in content if isinstance(p, dict) and p.get("type") == "text"]
        return "".join(p for p in parts if isinstance(p, str)) if parts else None
    return content if isinstance(content, str) else None


def _models(named: Any, count: int) -> list[str | None]:
    """One for each output: the name may be one for all, or a list beside them."""
    if isinstance(named, list) and len(named) == count:
        return [m if isinstance(m, str) else None for m in named]
    return [named if isinstance(named, str) else None] * count


def _id(value: Any) -> str | None:
    return None if value is None else str(value)
