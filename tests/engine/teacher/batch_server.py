"""A real HTTP server on 127.0.0.1 that speaks OpenAI's files and batches, answers by the scripted teacher.

with serve() as server:
    ...  # server.url, server.batches, server.sold
Each batch needs `looks` looks before it has ended. Faults are asked for by name of the call: `server.on["create"] =
["500", None]` fails the first creation; `plan` says what a batch does with each line.
"""

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from engine.teacher.builtin import answer
from tests.engine.teacher.http_server import Handler, listening

Call = str
"""upload, read, create, list, look, fetch, cancel; single: a request of its own."""


@dataclass
class Server:
    """What the provider holds and what it was asked."""

    url: str = ""
    looks: int = 1
    file_status: str = "processed"
    """Of a file that was just uploaded."""
    files: dict[str, bytes] = field(default_factory=dict)
    batches: list[dict[str, Any]] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    on: dict[Call, list[str | None]] = field(default_factory=dict)
    """Faults of the next calls of a name: 500, 429, 401 echo, 400, or late (done, but answered with a 500)."""
    after: dict[Call, Callable[[], None]] = field(default_factory=dict)
    """Called when the call was obeyed and before it is answered."""
    before: dict[Call, Callable[[], None]] = field(default_factory=dict)
    plan: Callable[[int, int, dict[str, Any]], str] = lambda batch, number, line: "ok"
    """(number of the batch, of the line, line) -> ok, fewer, empty, 400, 400 many, 500, expired, lost, broken."""
    status: Callable[[int], str] = lambda batch: "completed"
    """How a batch ends; "failed CODE" before any work."""
    reply: Callable[[str, int], str] = answer
    sold: int = 0
    """Completions that are on the bill."""

    @property
    def lines(self) -> list[int]:
        """Of each batch."""
        return [len(b["asked"]) for b in self.batches]

    def take(self, call: Call) -> str | None:
        """The next fault of a call."""
        waiting = self.on.get(call)
        return waiting.pop(0) if waiting else None

    def work(self, batch: dict[str, Any]) -> None:
        """Ends a batch as planned: output in reverse order, some of it in the error file."""
        number = self.batches.index(batch)
        status, _, code = self.status(number).partition(" ")
        batch["public"]["status"] = status
        if status == "failed":
            message = {"code": code or "invalid_request", "message": "this organisation may not", "line": None}
            batch["public"]["errors"] = {"object": "list", "data": [message]}
            return
        output, errors = [], []
        for i, line in enumerate(batch["asked"]):
            kind = self.plan(number, i, line)
            n = line["body"].get("n", 1)
            if kind == "400 many":
                kind = "400" if n > 1 else "ok"
            record: dict[str, Any] = {"id": f"r{i}", "custom_id": line["custom_id"], "response": None, "error": None}
            if kind in ("ok", "fewer", "empty", "lost", "broken"):
                texts = self.texts(line, {"fewer": 1}.get(kind, n), kind == "empty")
                record["response"] = {"status_code": 200, "request_id": f"q{i}", "body": self.body(line, texts)}
                text = json.dumps(record)
                if kind != "lost":
                    output.append(text[: len(text) // 2] if kind == "broken" else text)
            elif kind == "expired":
                record["error"] = {"code": "batch_expired", "message": "not executed in time"}
                errors.append(json.dumps(record))
            else:
                said = {"error": {"message": "injected", "code": None}}
                record["response"] = {"status_code": int(kind), "request_id": f"q{i}", "body": said}
                errors.append(json.dumps(record))
        for name, found in (("output_file_id", output), ("error_file_id", errors)):
            if found:
                batch["public"][name] = self.keep("\n".join(reversed(found)).encode() + b"\n")
        batch["public"]["request_counts"] = {
            "total": len(batch["asked"]), "completed": len(output), "failed": len(errors)
        }  # fmt: skip

    def texts(self, line: dict[str, Any], n: int, empty: bool) -> list[str]:
        first, self.sold = self.sold, self.sold + n
        question = line["body"]["messages"][-1]["content"]
        return [""] * n if empty else [self.reply(question, first + i) for i in range(n)]

    def body(self, line: dict[str, Any], texts: list[str]) -> dict[str, Any]:
        return {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 0,
            "model": line["body"]["model"],
            "choices": [
                {"index": i, "message": {"role": "assistant", "content": t}, "finish_reason": "stop"}
                for i, t in enumerate(texts)
            ],
            "usage": {
                "prompt_tokens": 20,
                "completion_tokens": 10 * len(texts),
                "total_tokens": 20 + 10 * len(texts),
            },
        }

    def keep(self, content: bytes) -> str:
        """A new file's id."""
        name = f"file-{len(self.files)}"
        self.files[name] = content
        return name


@contextmanager
def serve() -> Iterator[Server]:
    """Runs the server in a thread."""
    lock = threading.Lock()
    server = Server()

    class Asked(Handler):
        def do_POST(self) -> None:  # noqa: N802 - http.server looks for it
            content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            path = self.path.partition("?")[0]
            if path.endswith("/files"):
                self.obey("upload", lambda: _file(server, content))
            elif path.endswith("/cancel"):
                self.obey("cancel", lambda: _cancel(server, path.split("/")[-2]))
            elif path.endswith("/chat/completions"):
                self.obey("single", lambda: _single(server, json.loads(content)))
            else:
                self.obey("create", lambda: _create(server, json.loads(content)))

        def do_GET(self) -> None:  # noqa: N802 - http.server looks for it
            path, _, query = self.path.partition("?")
            parts = path.strip("/").split("/")
            if parts[-1] == "content":
                self.obey("fetch", lambda: server.files.get(parts[-2]))
            elif parts[-2] == "files":
                self.obey("read", lambda: {**_public(parts[-1], 0), "status": "processed"})
            elif parts[-1] == "batches":
                self.obey("list", lambda: _list(server, query))
            else:
                self.obey("look", lambda: _look(server, parts[-1]))

        def obey(self, call: Call, do: Callable[[], Any]) -> None:
            with lock:
                server.calls.append(call)
                if call in server.before:
                    server.before[call]()
                fault = server.take(call)
                answered = do() if fault in (None, "late") else None
                if call in server.after and answered is not None:
                    server.after[call]()
            if fault is not None:
                status = 500 if fault == "late" else int(fault.split()[0])
                said = f"refused with key {self.headers['Authorization']}" if "echo" in fault else "injected"
                self.send(status, json.dumps({"error": {"message": said, "type": "injected"}}).encode())
            elif answered is None:
                self.send(404, json.dumps({"error": {"message": "no such object", "type": "injected"}}).encode())
            else:
                self.send(200, answered if isinstance(answered, bytes) else json.dumps(answered).encode())

    with listening(Asked) as address:
        server.url = f"{address}/v1"
        yield server


def _file(server: Server, form: bytes) -> dict[str, Any]:
    """Of the multipart form, the part that is a file."""
    boundary = form[: form.index(b"\r\n")]
    parts = [p.partition(b"\r\n\r\n") for p in form.split(boundary)]
    (content,) = (body[: -len(b"\r\n")] for head, _, body in parts if b"filename=" in head)
    assert any(b'name="purpose"' in head and body.strip() == b"batch" for head, _, body in parts)
    return {**_public(server.keep(content), len(content)), "status": server.file_status}


def _public(name: str, length: int) -> dict[str, Any]:
    return {"id": name, "object": "file", "bytes": length, "created_at": 0, "filename": "x", "purpose": "batch"}


def _single(server: Server, body: dict[str, Any]) -> dict[str, Any]:
    line = {"body": body}
    return server.body(line, server.texts(line, body.get("n", 1), empty=False))


def _create(server: Server, body: dict[str, Any]) -> dict[str, Any]:
    assert body["completion_window"] == "24h"
    asked = [json.loads(line) for line in server.files[body["input_file_id"]].splitlines()]
    assert {line["url"] for line in asked} == {body["endpoint"]}
    assert len({line["custom_id"] for line in asked}) == len(asked)
    public = {
        "id": f"batch_{len(server.batches)}", "object": "batch", "endpoint": body["endpoint"], "errors": None,
        "input_file_id": body["input_file_id"], "completion_window": "24h", "status": "in_progress",
        "output_file_id": None, "error_file_id": None, "created_at": int(time.time()), "metadata": body["metadata"],
        "request_counts": {"total": len(asked), "completed": 0, "failed": 0},
    }  # fmt: skip
    server.batches.append({"public": public, "asked": asked, "looks": server.looks})
    return public


def _look(server: Server, name: str) -> dict[str, Any] | None:
    batch = next((b for b in server.batches if b["public"]["id"] == name), None)
    if batch is None:
        return None
    if batch["public"]["status"] == "in_progress":
        batch["looks"] -= 1
        if batch["looks"] <= 0:
            server.work(batch)
    found: dict[str, Any] = batch["public"]
    return found


def _cancel(server: Server, name: str) -> dict[str, Any] | None:
    batch = next((b for b in server.batches if b["public"]["id"] == name), None)
    if batch is None:
        return None
    batch["public"]["status"] = "cancelled"
    found: dict[str, Any] = batch["public"]
    return found


def _list(server: Server, query: str) -> dict[str, Any]:
    """Newest first, two at a time, whatever is asked: so that paging is used."""
    newest = [b["public"] for b in reversed(server.batches)]
    after = re.search(r"after=(\w+)", query)
    start = 0 if after is None else [b["id"] for b in newest].index(after[1]) + 1
    page = newest[start : start + 2]
    ends = {"first_id": page[0]["id"] if page else None, "last_id": page[-1]["id"] if page else None}
    return {"object": "list", "data": page, **ends, "has_more": len(newest) > start + 2}
