"""OpenAI's chat completions over HTTP/1.1 on loopback, with keep-alive and a thread for each connection."""

import json
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import cast

from . import answer, family, hats, prompt

MAX_BODY = 32 * 1024 * 1024
IDLE_SECONDS = 120


class Server(ThreadingHTTPServer):
    """The stand-in on 127.0.0.1; with a `key`, only this bearer token is let in."""

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
            model = {"id": family.NAME, "object": "model", "created": 0, "owned_by": family.NAME}
            self._reply(200, {"object": "list", "data": [model]})

    def do_POST(self) -> None:
        body = self._body()
        if body is None or not self._known("/v1/chat/completions"):
            return
        try:
            request = prompt.read(body)
            given = hats.answer(request)
        except prompt.BadRequest as error:
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

    def _body(self) -> bytes | None:
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or len(length) > len(str(MAX_BODY)) or int(length) > MAX_BODY:
            self.send_error(400, f"A Content-Length of at most {MAX_BODY} bytes is required.")
            return None
        return self.rfile.read(int(length))

    def _known(self, path: str) -> bool:
        key = cast("Server", self.server).key
        if key is not None and self.headers.get("Authorization") != f"Bearer {key}":
            self._fail(401, "Incorrect API key provided.", code="invalid_api_key")
            return False
        if self.path.partition("?")[0].rstrip("/") != path:
            self._fail(404, f"Unknown request URL: {self.command} {self.path}.", code="unknown_url")
            return False
        return True

    def _send(self, request: prompt.Request, given: answer.Answer) -> None:
        if not request.stream:
            self._reply(200, answer.completion(request, given))
            return
        events = [json.dumps(chunk) for chunk in answer.chunks(request, given)]
        self._head(200, {"Content-Type": "text/event-stream", "Transfer-Encoding": "chunked"})
        for event in (*events, "[DONE]"):
            line = f"data: {event}\n\n".encode()
            self.wfile.write(b"%x\r\n%b\r\n" % (len(line), line))
            self.wfile.flush()
        self.wfile.write(b"0\r\n\r\n")

    def _fail(self, status: int, message: str, *, code: str | None = None) -> None:
        error = {"message": message, "type": "invalid_request_error", "param": None, "code": code}
        self._reply(status, {"error": error})

    def _reply(self, status: int, document: Mapping[str, object]) -> None:
        body = json.dumps(document).encode()
        self._head(status, {"Content-Type": "application/json", "Content-Length": str(len(body))})
        if self.command != "HEAD":
            self.wfile.write(body)

    def _head(self, status: int, headers: Mapping[str, str]) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
