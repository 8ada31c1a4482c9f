"""A teacher to measure against: OpenAI's chat completions on 127.0.0.1, each answered after a fixed time.

`python -m engine.bench.teacher_server SECONDS` prints its port and serves until its standard input closes.
"""

import asyncio
import json
import sys

ANSWER = "<Explanation>: there are 3 first . 3 plus 4 makes 7 . then 7 minus 2 makes 5 . <Answer>: 5"


class _Connection(asyncio.Protocol):
    """One request after another, as HTTP/1.1 clients send them that keep a connection."""

    def __init__(self, delay: float) -> None:
        self.delay = delay
        self.received = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.received += data
        while (end := self.received.find(b"\r\n\r\n")) >= 0:
            length = _length(bytes(self.received[:end]))
            if len(self.received) < end + 4 + length:
                return
            body = json.loads(self.received[end + 4 : end + 4 + length])
            del self.received[: end + 4 + length]
            asyncio.get_running_loop().call_later(self.delay, self._answer, body)

    def _answer(self, body: dict[str, object]) -> None:
        n = body.get("n") or 1
        assert isinstance(n, int)
        message = {"role": "assistant", "content": ANSWER}
        said = json.dumps({
            "id": "chatcmpl-1", "object": "chat.completion", "created": 0, "model": body.get("model"),
            "choices": [{"index": i, "message": message, "finish_reason": "stop"} for i in range(n)],
            "usage": {"prompt_tokens": 200, "completion_tokens": 30 * n, "total_tokens": 200 + 30 * n},
        }).encode()  # fmt: skip
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(said)}\r\n\r\n"
        if not self.transport.is_closing():
            self.transport.write(head.encode() + said)


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length":
            return int(value)
    return 0


async def _serve(delay: float) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Connection(delay), "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)  # ends with whoever started us
    server.close()


if __name__ == "__main__":
    asyncio.run(_serve(float(sys.argv[1])))
