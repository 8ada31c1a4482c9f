"""The frame of the tests' servers: a handler behind a real socket on 127.0.0.1, for the length of a block."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    """Keeps connections open, as providers do, and says nothing on stderr."""

    protocol_version = "HTTP/1.1"

    def send(self, status: int, data: bytes, headers: dict[str, str] | None = None) -> None:
        """A whole answer; `headers` over those of JSON."""
        self.send_response(status)
        known = {"Content-Type": "application/json", "Content-Length": str(len(data))}
        for name, value in (known | (headers or {})).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@contextmanager
def listening(handler: type[Handler]) -> Iterator[str]:
    """Serves in threads; gives http://127.0.0.1:PORT."""
    http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    http.daemon_threads = True
    http.handle_error = lambda *_: None  # type: ignore[method-assign]  # a client that was killed is no news
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{http.server_address[1]}"
    finally:
        http.shutdown()
        http.server_close()
        thread.join(5)
