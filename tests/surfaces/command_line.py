"""Runs `pocketlet` commands, with the parts of the world that they talk to."""

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent import futures
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from click import testing

from pocketlet.surfaces.cli import main


@dataclass(frozen=True)
class Result:
    """What a command left."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """stdout as the one JSON document that it must be."""
        return json.loads(self.out)


@dataclass(frozen=True)
class Cli:
    """The program in an environment: in this process, in a thread of its own as it brings its own event loop."""

    env: dict[str, str | None] = field(default_factory=dict)

    def __call__(self, *arguments: object, stdin: str | bytes = "", **env: str | None) -> Result:
        with futures.ThreadPoolExecutor(1) as thread:
            return thread.submit(self._run, [str(one) for one in arguments], stdin, {**self.env, **env}).result()

    def _run(self, arguments: list[str], stdin: str | bytes, env: dict[str, str | None]) -> Result:
        hook = sys.excepthook
        try:
            with testing.CliRunner().isolation(input=stdin, env=env) as (out, err, _):
                try:
                    main.main(arguments)
                except SystemExit as end:
                    return Result(int(end.code or 0), out.getvalue().decode(), err.getvalue().decode())
        finally:
            sys.excepthook = hook
        raise AssertionError("main() returned")

    def process(self, *arguments: object) -> subprocess.Popen[str]:
        """The program in a process of its own."""
        return subprocess.Popen(
            [sys.executable, "-m", "pocketlet.surfaces.cli.main", *map(str, arguments)],
            env={**os.environ, **{name: value for name, value in self.env.items() if value is not None}},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


@contextlib.contextmanager
def program(module: str, *arguments: object) -> Iterator[str]:
    """A program of the demo's outside world, for as long as the block lasts; the URL that it prints."""
    command = [sys.executable, "-m", module, *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        try:
            assert running.stdout is not None
            yield running.stdout.readline().split()[-1]
        finally:
            running.terminate()


class FakeModel(ThreadingHTTPServer):
    """An OpenAI-compatible server that says one sentence, or fails with `status`."""

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.status = 200
        self.calls = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"

    @contextlib.contextmanager
    def serving(self) -> Iterator["FakeModel"]:
        thread = threading.Thread(target=self.serve_forever)
        thread.start()
        try:
            yield self
        finally:
            self.shutdown()
            thread.join()
            self.server_close()


class _Answer(BaseHTTPRequestHandler):
    server: FakeModel

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.calls += 1
        message = {"role": "assistant", "content": "Nothing to do."}
        document: dict[str, object] = {
            "id": "1", "object": "chat.completion", "created": 1, "model": "fake",
            "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
            "usage": {"prompt_tokens": 100, "completion_tokens": 5, "total_tokens": 105},
        }  # fmt: skip
        if self.server.status != 200:
            document = {"error": {"message": "no", "type": "error"}}
        body = json.dumps(document).encode()
        self.send_response(self.server.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Quiet."""


def write_agent(folder: Path, name: str, **files: str) -> Path:
    """An agent folder with the least that is needed; `files` by path, with `__` for `/` and `_dot_` for `.`."""
    texts = {
        "agent.toml": f'name = "{name}"\njob = "Say so."\nmodel = "openai:fake"\nprice = {{input = 1, output = 2}}\n'
    }
    texts |= {path.replace("__", "/").replace("_dot_", "."): text for path, text in files.items()}
    for path, text in texts.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    return folder
