"""Models that go on with a text: the paper's layout as one prompt, over real HTTP."""

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from engine.answers.kinds import parse
from engine.records import Example
from engine.spec.teachers import TeacherConfig
from engine.teacher import client
from engine.teacher.messages import load_prompt, messages_for, style_of
from engine.teacher.outcome import Completion

FILE = """
system = "Think."
format = "<Explanation>: {rationale} <Answer>: {answer}"
[[shots]]
question = "1 + 1?"
rationale = "One and one."
answer = "2"
"""
TEXT = """Think.

Question: 1 + 1?
<Explanation>: One and one. <Answer>: 2

Question: 2 + 2?
<Explanation>:"""


@contextmanager
def completions() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A server of /v1/completions that runs on into a next question, stop or not."""
    seen: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            seen.append({**body, "path": self.path})
            text = " Two and two. <Answer>: 4\n\nQuestion: 9 + 9?\n<Explanation>: Nines. <Answer>: 18"
            choices = [{"index": i, "text": text, "finish_reason": "stop"} for i in range(body.get("n") or 1)]
            usage = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
            answer = {"id": "c", "object": "text_completion", "created": 0, "model": "m", "choices": choices}
            data = json.dumps({**answer, "usage": usage}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            return

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{http.server_address[1]}/v1", seen
    finally:
        http.shutdown()
        http.server_close()
        thread.join(5)


def teacher(tmp_path: Path, **settings: Any) -> TeacherConfig:
    path = tmp_path / "p.toml"
    path.write_text(FILE)
    return TeacherConfig(prompt=str(path), **{"model": "text-completion-openai/base", **settings})


def test_a_completion_model_gets_one_text_and_its_run_on_is_cut(tmp_path: Path) -> None:
    with completions() as (url, seen):
        asked = teacher(tmp_path, api_base=url)
        messages = messages_for(load_prompt(asked, "number"), Example("x", "2 + 2?"))

        async def ask() -> list[Completion]:
            try:
                return list((await client.complete(asked, messages, 2)).completions)
            finally:
                await client.close()

        found = asyncio.run(ask())
    assert seen[0]["path"] == "/v1/completions"
    assert seen[0]["prompt"] == TEXT
    assert seen[0]["stop"] == ["\nQuestion:"]
    assert seen[0]["n"] == len(found) == 2
    parsed = parse("number", found[0].text)
    assert (parsed.answer, parsed.rule, parsed.rationale) == ("4", "strict", "Two and two.")


def test_the_style_is_told_or_known_by_the_models_name(tmp_path: Path) -> None:
    def style(model: str, told: Any = "auto") -> str:
        return style_of(TeacherConfig(model=model, prompt_style=told))

    assert style("text-completion-openai/base") == style("azure_text/x") == style("davinci-002") == "completion"
    assert style("openai/gpt-4o-mini") == style("hosted_vllm/base") == style("builtin/arithmetic") == "chat"
    assert style("hosted_vllm/base", "completion") == "completion"
    assert style("davinci-002", "chat") == "chat"
    one = teacher(tmp_path, model="hosted_vllm/base", prompt_style="completion")
    assert messages_for(load_prompt(one, "number"), Example("x", "2 + 2?")) == [{"role": "user", "content": TEXT}]


def test_an_answer_that_comes_first_keeps_its_mark(tmp_path: Path) -> None:
    asked = teacher(tmp_path)
    Path(asked.prompt).write_text(
        FILE.replace("<Explanation>: {rationale} <Answer>: {answer}", "A: {answer} {rationale}")
    )
    text = messages_for(load_prompt(asked, "number"), Example("x", "2 + 2?"))[0]["content"]
    assert text.endswith("A: 2 One and one.\n\nQuestion: 2 + 2?\n")


@pytest.mark.parametrize("change", ["Think.", "One and one.", "{answer}", "1 + 1?"])
def test_the_hash_is_over_the_words_not_the_file(tmp_path: Path, change: str) -> None:
    asked = teacher(tmp_path)
    first = load_prompt(asked, "number")
    (tmp_path / "other.toml").write_text(FILE)
    same = asked.model_copy(update={"prompt": str(tmp_path / "other.toml")})
    assert load_prompt(same, "number").hash == first.hash
    assert len(first.hash) == 64
    (tmp_path / "other.toml").write_text(FILE.replace(change, f"{change} " if change != "{answer}" else "{answer}!"))
    # white space around the system text is no part of it
    assert (load_prompt(same, "number").hash == first.hash) == (change == "Think.")
    chat = same.model_copy(update={"prompt": asked.prompt, "prompt_style": "chat"})
    assert load_prompt(chat, "number").hash != first.hash
