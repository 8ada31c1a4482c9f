"""The lines of a batch: what goes up as its input file, and what its output and error files say of each request."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from engine.spec.teachers import TeacherConfig
from engine.store.ledger.rows import Sent
from engine.teacher import client
from engine.teacher.batches import api
from engine.teacher.outcome import Answer, Fault, redact

MOST_LINES = 50_000
"""Requests of one batch, at OpenAI; Azure takes twice as many."""
MOST_BYTES = 200_000_000
"""Bytes of an input file, at both."""
NEVER_RUN = ("batch_expired", "batch_cancelled")
"""Codes of lines that nobody worked on: they are not billed."""
OF_THE_QUESTION = ("content_policy_violation", "content_filter", "context_length_exceeded")


def custom_id(sent: Sent, slots: Sequence[int]) -> str:
    """A line's name: its request's row and its first slot."""
    return f"{sent.request}-{slots[0]}"


def written(teacher: TeacherConfig, name: str, messages: Sequence[Mapping[str, str]], n: int) -> bytes:
    """One line of the input file. Raises UsageError for settings that the model does not take."""
    body = {**api.options(teacher, n), "messages": messages}
    line = {"custom_id": name, "method": "POST", "url": api.endpoint(teacher), "body": body}
    return json.dumps(line).encode() + b"\n"


def read(line: str) -> tuple[str, dict[str, Any]] | None:
    """A line of an output or error file and whose it is; None where it is broken."""
    try:
        found = json.loads(line)
    except ValueError:
        return None
    name = found.get("custom_id") if isinstance(found, dict) else None
    return (name, found) if isinstance(name, str) else None


def outcome(teacher: TeacherConfig, line: Mapping[str, Any], n: int) -> Answer | Fault:
    """What became of a request for n completions. The answer's raw text is the whole line."""
    response = line.get("response")
    response = response if isinstance(response, dict) else {}
    status, body = response.get("status_code"), response.get("body")
    if status == 200 and isinstance(body, dict) and not line.get("error"):
        return _answer(teacher, line, body, n)
    key = client.secret_of(teacher, client.key_of(teacher))
    inner = body.get("error") if isinstance(body, dict) else None
    said = next((e for e in (inner, line.get("error")) if isinstance(e, dict)), {})
    code = str(said.get("code") or "")
    message = redact(str(said.get("message") or code or "no answer and no reason"), key)
    if code in NEVER_RUN or not isinstance(status, int):
        return Fault("server", message)
    if status in (401, 403):
        return Fault("key", message, status)
    if status == 429:
        return Fault("rate-limit", message, status)
    if code in OF_THE_QUESTION:
        return Fault("question", message, status)
    return Fault("request" if 400 <= status < 500 and status not in (408, 409, 425) else "server", message, status)


def _answer(teacher: TeacherConfig, line: Mapping[str, Any], body: dict[str, Any], n: int) -> Answer | Fault:
    litellm = client.load_litellm()
    key = client.secret_of(teacher, client.key_of(teacher))
    try:
        response = litellm.utils.convert_to_model_response_object(
            response_object=body, model_response_object=litellm.ModelResponse()
        )
        return client.answer_of(response, n, key, json.dumps(line))
    except Exception as error:  # noqa: BLE001 - litellm raises plain Exceptions over a body that it does not understand
        return Fault("body", redact(str(error), key), 200)
