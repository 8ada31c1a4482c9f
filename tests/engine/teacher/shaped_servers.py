"""Real HTTP servers on 127.0.0.1 in the shape of Anthropic's messages and of Ollama's chat; one choice a request.

with serve(anthropic) as server:
    ...  # teacher.model = "anthropic/…", teacher.api_base = server.url; server.requests has each body
"""

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from engine.teacher.builtin import answer
from tests.engine.teacher.http_server import Handler, listening

Shape = Callable[[dict[str, Any], str, str | None], dict[str, Any]]
"""A request's body, the text and the hidden reasoning to send -> the body of the answer."""


def anthropic(body: dict[str, Any], text: str, thinking: str | None) -> dict[str, Any]:
    """https://docs.anthropic.com/en/api/messages"""
    blocks = [{"type": "thinking", "thinking": thinking, "signature": "sig"}] if thinking else []
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": body["model"],
        "content": [*blocks, {"type": "text", "text": text}],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 20, "output_tokens": 10},
    }


def ollama(body: dict[str, Any], text: str, thinking: str | None) -> dict[str, Any]:
    """https://github.com/ollama/ollama/blob/main/docs/api.md"""
    return {
        "model": body["model"],
        "created_at": "2026-01-01T00:00:00Z",
        "message": {"role": "assistant", "content": text, **({"thinking": thinking} if thinking else {})},
        "done": True,
        "done_reason": "stop",
        "prompt_eval_count": 20,
        "eval_count": 10,
    }


ERROR_TYPES = {429: "rate_limit_error", 401: "authentication_error", 404: "not_found_error", 529: "overloaded_error"}


@dataclass
class Server:
    """Where it listens and what it was asked."""

    url: str
    requests: list[dict[str, Any]] = field(default_factory=list)
    """Each request's JSON body, plus "path", "status" and "headers"."""


@contextmanager
def serve(
    shape: Shape,
    statuses: Sequence[int] = (),
    reply: Callable[[str, int], str] = answer,
    thinking: str | None = None,
    retry_after: str | None = None,
) -> Iterator[Server]:
    """Request number i (from 0) gets statuses[i], all later ones 200; errors carry `retry_after`."""
    lock = threading.Lock()
    server: Server

    class Asked(Handler):
        def do_POST(self) -> None:  # noqa: N802 - http.server looks for it
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with lock:
                number = len(server.requests)
                status = statuses[number] if number < len(statuses) else 200
                server.requests.append({**body, "path": self.path, "status": status, "headers": dict(self.headers)})
            if status == 200:
                said = shape(body, reply(_question(body), number), thinking)
            else:
                kind = ERROR_TYPES.get(status, "api_error")
                said = {"error": {"type": kind, "message": "injected"} if shape is anthropic else "injected"}
            wait = {"Retry-After": retry_after} if status != 200 and retry_after else None
            self.send(status, json.dumps(said).encode(), wait)

    with listening(Asked) as address:
        server = Server(url=address)
        yield server


def _question(body: dict[str, Any]) -> str:
    content = body["messages"][-1]["content"]
    return content if isinstance(content, str) else "".join(part["text"] for part in content)
