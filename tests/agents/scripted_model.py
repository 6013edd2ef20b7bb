"""A model on loopback that says what a test wrote down, in the OpenAI wire; it can fail on demand."""

import asyncio
import contextlib
import json
from collections import defaultdict
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

USAGE = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer: text, calls as (tool, arguments as JSON text), and the usage that it reports."""

    text: str | None = None
    calls: tuple[tuple[str, str], ...] = ()
    usage: Mapping[str, int] | None = field(default_factory=lambda: USAGE)


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens in the place of an answer: an HTTP status, silence (`hang`), or a closed connection (`cut`)."""

    status: int = 500
    header: str = "x-none: 0"
    hang: bool = False
    cut: bool = False


def says(text: str, **more: Any) -> Reply:
    """A reply of text alone."""
    return Reply(text, **more)


def calls(*wanted: tuple[str, Mapping[str, Any] | str], **more: Any) -> Reply:
    """A reply that calls tools; arguments that are a text go over the wire as they are."""
    spelled = tuple((tool, args if isinstance(args, str) else json.dumps(args)) for tool, args in wanted)
    return Reply(None, spelled, **more)


def mails(to: str, body: str = "It is on its way.") -> Reply:
    """A reply that wants to send a mail."""
    return calls(("send_mail", {"to": to, "subject": "Your parcel", "body": body}))


def finishes(summary: str = "Did it.", outcome: str = "done") -> Reply:
    """A reply that ends the run."""
    return calls(("finish", {"outcome": outcome, "summary": summary}))


class ScriptedModel:
    """Scripts by the model's name; which reply comes next is told by the conversation, so a lost one comes again.

    The conversation of a manager is told by its tools; its script is `NAME#manager`.
    """

    def __init__(self) -> None:
        self.url = ""
        self.scripts: dict[str, tuple[Reply, ...]] = {}
        self.faults: defaultdict[str, list[Fault | None]] = defaultdict(list)
        self.requests: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
        self._closing = asyncio.Event()

    def script(self, name: str, *replies: Reply) -> None:
        """What the model of that name says, from the first reply on."""
        self.scripts[name] = replies

    @asynccontextmanager
    async def listening(self) -> AsyncGenerator["ScriptedModel"]:
        """Serves for as long as the block lasts."""
        listener = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}/v1"
        yield self
        self._closing.set()
        listener.close()
        await listener.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower().split("\r\n")
            length = next(int(line.partition(":")[2]) for line in head if line.startswith("content-length:"))
            await self._answer(json.loads(await reader.readexactly(length)), writer)
        writer.close()

    async def _answer(self, body: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        name = body["model"]
        if any(tool["function"]["name"] == "draft_lesson" for tool in body.get("tools", [])):
            name += "#manager"
        self.requests[name].append(body)
        fault = self.faults[name].pop(0) if self.faults[name] else None
        if fault is None:
            said = sum(message["role"] == "assistant" for message in body["messages"])
            await _write(writer, 200, _completion(body["model"], self.scripts[name][said], said), "x-none: 0")
        elif fault.hang:
            await self._closing.wait()
        elif not fault.cut:
            await _write(writer, fault.status, {"error": {"message": "on demand"}}, fault.header)


async def _write(writer: asyncio.StreamWriter, status: int, document: object, header: str) -> None:
    data = json.dumps(document).encode()
    lines = (f"HTTP/1.1 {status} X", "content-type: application/json", f"content-length: {len(data)}", header)
    writer.write("\r\n".join((*lines, "connection: close", "", "")).encode() + data)
    await writer.drain()


def _completion(model: str, reply: Reply, turn: int) -> dict[str, Any]:
    written = [
        {"id": f"call-{turn}-{index}", "type": "function", "function": {"name": tool, "arguments": args}}
        for index, (tool, args) in enumerate(reply.calls)
    ]
    message: dict[str, Any] = {"role": "assistant", "content": reply.text}
    if written:
        message["tool_calls"] = written
    choice = {"index": 0, "finish_reason": "tool_calls" if written else "stop", "message": message}
    head = {"id": f"reply-{turn}", "object": "chat.completion", "created": 1_700_000_000, "model": model}
    return {**head, "choices": [choice]} | ({"usage": dict(reply.usage)} if reply.usage else {})
