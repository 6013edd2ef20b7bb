"""A service on loopback: orders that can be read and made, with whatever faults a test wants."""

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass
class Service:
    """`requests` are all that arrived whole: method, target, headers (small letters), body. `done` counts acts by key.

    `faults` are used up one a request: drop before (it is not done), drop after (it is done, no reply), 401, 500.
    """

    port: int = 0
    requests: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)
    done: dict[str, int] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    remembers: bool = False

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request on one connection."""
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            first, *lines = head.strip().split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            method, target, _ = first.split(" ")
            fault = self.faults.pop(0) if self.faults else ""
            if fault != "drop before":
                self.requests.append((method, target, headers, body))
                self._act(method, target, headers, body, fault)
            if not fault.startswith("drop"):
                writer.write(self._reply(method, target, headers, body, fault))
                await writer.drain()
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    def _act(self, method: str, target: str, headers: dict[str, str], body: bytes, fault: str) -> None:
        if method == "GET" or fault.isdigit():
            return
        key = headers.get("idempotency-key") or f"{target} {body.decode()}"
        again = key in self.done and (method == "PUT" or "idempotency-key" in headers)
        self.done[key] = self.done.get(key, 0) + (not again)

    def _reply(self, method: str, target: str, headers: dict[str, str], body: bytes, fault: str) -> bytes:
        status = fault if fault.isdigit() else "200"
        seen = {"method": method, "target": target, "seen": headers.get("authorization", ""), "n": len(self.requests)}
        said = json.dumps(seen)
        head = (
            f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {len(said)}\r\nConnection: close"
        )
        return f"{head}\r\n\r\n{said}".encode()


@asynccontextmanager
async def serving() -> AsyncGenerator[Service]:
    """A service of its own."""
    service = Service()
    server = await asyncio.start_server(service.serve, "127.0.0.1", 0)
    service.port = server.sockets[0].getsockname()[1]
    try:
        yield service
    finally:
        server.close()
        await server.wait_closed()
