"""HTTP/1.1 on loopback, with keep-alive and a thread for each connection, for the wires of two providers."""

import json
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Protocol, cast

from . import answer, completions_wire, document, family, hats, messages_wire, prompt

MAX_BODY = 32 * 1024 * 1024
IDLE_SECONDS = 120


class Wire(Protocol):
    """How a provider's requests are read and answered."""

    def read(self, body: bytes) -> prompt.Request: ...
    def whole(self, request: prompt.Request, given: answer.Answer) -> dict[str, object]: ...
    def stream(self, request: prompt.Request, given: answer.Answer) -> Iterator[str]: ...
    def failure(self, status: int, message: str, code: str | None) -> dict[str, object]: ...
    def models(self) -> dict[str, object]: ...


class Server(ThreadingHTTPServer):
    """The stand-in on 127.0.0.1; with a `key`, only who brings it is let in."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int, *, key: str | None = None) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.key = key


class Handler(BaseHTTPRequestHandler):
    """One connection. No header depends on a clock, so equal requests get equal bytes."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    timeout = IDLE_SECONDS

    def do_GET(self) -> None:
        if self._known("/v1/models"):
            self._reply(200, self._wire.models())

    def do_POST(self) -> None:
        body = self._body()
        if body is None or not self._known(completions_wire.PATH, messages_wire.PATH):
            return
        try:
            request = self._wire.read(body)
            given = hats.answer(request)
        except document.BadRequest as error:
            self._fail(400, str(error))
        except family.UnknownModel as error:
            self._fail(404, f"The model `{error}` does not exist.", code="model_not_found")
        else:
            self._send(request, given)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        self.close_connection = True
        self._fail(code, message or "The request can't be read.")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the parent's name
        """Keep quiet: the journal of what was asked belongs to the client."""

    @property
    def _wire(self) -> Wire:
        """The wire that the path or, on a path that both have, the headers speak of."""
        theirs = "anthropic-version" in getattr(self, "headers", {})
        return messages_wire if theirs or self._path() == messages_wire.PATH else completions_wire

    def _path(self) -> str:
        return getattr(self, "path", "").partition("?")[0].rstrip("/")

    def _body(self) -> bytes | None:
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or len(length) > len(str(MAX_BODY)) or int(length) > MAX_BODY:
            self.send_error(400, f"A Content-Length of at most {MAX_BODY} bytes is required.")
            return None
        return self.rfile.read(int(length))

    def _known(self, *paths: str) -> bool:
        key = cast("Server", self.server).key
        brought = (self.headers.get("Authorization"), f"Bearer {self.headers.get('x-api-key')}")
        if key is not None and f"Bearer {key}" not in brought:
            self._fail(401, "Incorrect API key provided.", code="invalid_api_key")
            return False
        if self._path() not in paths:
            self._fail(404, f"Unknown request URL: {self.command} {self.path}.", code="unknown_url")
            return False
        return True

    def _send(self, request: prompt.Request, given: answer.Answer) -> None:
        if not request.stream:
            self._reply(200, self._wire.whole(request, given))
            return
        events = list(self._wire.stream(request, given))
        self._head(200, {"Content-Type": "text/event-stream", "Transfer-Encoding": "chunked"})
        for event in events:
            line = event.encode()
            self.wfile.write(b"%x\r\n%b\r\n" % (len(line), line))
            self.wfile.flush()
        self.wfile.write(b"0\r\n\r\n")

    def _fail(self, status: int, message: str, *, code: str | None = None) -> None:
        self._reply(status, self._wire.failure(status, message, code))

    def _reply(self, status: int, body: Mapping[str, object]) -> None:
        data = json.dumps(body).encode()
        self._head(status, {"Content-Type": "application/json", "Content-Length": str(len(data))})
        if self.command != "HEAD":
            self.wfile.write(data)

    def _head(self, status: int, headers: Mapping[str, str]) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
