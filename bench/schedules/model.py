"""A model on loopback that ends every run at once, and counts who asked it: `asked` by the model's name."""

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

USAGE = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}
FINISH = {"name": "finish", "arguments": json.dumps({"outcome": "done", "summary": "Looked."})}


@dataclass
class Model:
    """`url` once it is listening."""

    url: str = ""
    asked: Counter[str] = field(default_factory=Counter[str])

    @asynccontextmanager
    async def listening(self) -> AsyncGenerator["Model"]:
        """Serves for as long as the block lasts."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        async with server:
            yield self

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            length = int(head.partition("content-length:")[2].split()[0])
            body: dict[str, Any] = json.loads(await reader.readexactly(length))
            self.asked[str(body["model"])] += 1
            data = json.dumps(_completion(str(body["model"]))).encode()
            lines = ("HTTP/1.1 200 OK", "content-type: application/json", f"content-length: {len(data)}")
            writer.write("\r\n".join((*lines, "connection: close", "", "")).encode() + data)
            await writer.drain()
        writer.close()


def _completion(model: str) -> dict[str, Any]:
    message = {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "1", "type": "function", "function": FINISH}],
    }
    choice = {"index": 0, "finish_reason": "tool_calls", "message": message}
    return {"id": "1", "object": "chat.completion", "created": 1, "model": model, "choices": [choice], "usage": USAGE}
