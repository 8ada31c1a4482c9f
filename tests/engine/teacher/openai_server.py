"""A real HTTP server on 127.0.0.1: OpenAI's chat completions, answers by the scripted teacher, faults on order.

with serve(["500", None, "429 after 0.01"]) as server:
    ...  # the first request fails, the second succeeds, the third is told to wait, all others succeed
    server.url, server.requests
"""

import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from engine.teacher.builtin import answer
from tests.engine.teacher.http_server import Handler, listening

FAULTS = (
    "500",  # an error of the server
    "429",  # too many requests, without a word on when
    "429 after 0.01",  # … with Retry-After: 0.01
    "truncated",  # a body that ends in the middle of the JSON, Content-Length to match
    "short",  # a body shorter than its Content-Length, then the connection closes
    "reset",  # the connection is reset before any answer
    "fewer",  # one choice, however many were asked for
    "no choices",  # choices = []
    "empty",  # choices whose content is empty
    "401 echo",  # refuses the key and repeats it
    "500 echo",  # fails and repeats the key
    "404",  # unknown model
    "400",  # a request that it does not understand
    "400 many",  # refuses to give several choices, but would give one
    "slow 1.5",  # answers after 1.5 s
    "html",  # 200 with a page instead of JSON
)


@dataclass
class Server:
    """Where the server listens and what it was asked, request by request."""

    url: str
    requests: list[dict[str, Any]] = field(default_factory=list)
    """Each request's JSON body, plus "fault" and "authorization"."""

    @property
    def choices_sold(self) -> int:
        """Completions that were sent out."""
        return sum(r["sold"] for r in self.requests)


@contextmanager
def serve(
    faults: Sequence[str | None] | Callable[[int], str | None] = (),
    reply: Callable[[str, int], str] = answer,
    delay: float = 0.0,
) -> Iterator[Server]:
    """Runs the server in a thread; request number i (from 0) gets faults[i] or faults(i), and None is success.

    `reply(question, number)` writes the completions, numbered over the server's life; `delay` seconds pass before each.
    """
    lock = threading.Lock()
    server: Server
    sold = 0

    class Asked(Handler):
        def do_POST(self) -> None:  # noqa: N802 - http.server looks for it
            nonlocal sold
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with lock:
                number = len(server.requests)
                fault = faults(number) if callable(faults) else (faults[number] if number < len(faults) else None)
                fault = None if fault == "400 many" and body.get("n", 1) == 1 else fault
                kind, *rest = (fault or "ok").split()
                n = {"fewer": 1, "ok": body.get("n", 1), "slow": body.get("n", 1)}.get(kind, 0)
                first, sold = sold, sold + n
                server.requests.append(
                    {**body, "fault": fault, "sold": n, "authorization": self.headers["Authorization"]}
                )
            time.sleep(float(rest[0]) if kind == "slow" else delay)
            if kind == "reset":
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()
                self.close_connection = True
                return
            if kind.isdigit():
                said = f"refused with key {self.headers['Authorization']}" if "echo" in rest else "injected"
                after = {"Retry-After": rest[-1]} if "after" in rest else {}
                self._send(int(kind), json.dumps({"error": {"message": said, "type": "injected"}}), after)
                return
            if kind == "html":
                self._send(200, "<html>log in first</html>", {"Content-Type": "text/html"})
                return
            question = body["messages"][-1]["content"]
            texts = ["", ""] if kind == "empty" else [reply(question, first + i) for i in range(n)]
            text = json.dumps({
                "id": f"chatcmpl-{number}",
                "object": "chat.completion",
                "created": 0,
                "model": body["model"],
                "choices": [
                    {"index": i, "message": {"role": "assistant", "content": t}, "finish_reason": "stop"}
                    for i, t in enumerate(texts)
                ],
                "usage": {"prompt_tokens": 20, "completion_tokens": 10 * n, "total_tokens": 20 + 10 * n},
            })  # fmt: skip
            if kind == "short":
                self._send(200, text, {"Content-Length": str(len(text) + 100)})
                self.close_connection = True
                return
            self._send(200, text[: len(text) // 2] if kind == "truncated" else text)

        def _send(self, status: int, text: str, headers: dict[str, str] | None = None) -> None:
            self.send(status, text.encode(), headers)

    with listening(Asked) as address:
        server = Server(url=f"{address}/v1")
        yield server
