"""An HTTP client that sends exactly what it is told, byte for byte, and reads one answer."""

import asyncio
import json
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

Fields = Iterable[tuple[str, str]]


@dataclass(frozen=True)
class Reply:
    """An answer; names of header fields in small letters."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as a document."""
        return json.loads(self.body)

    @property
    def problem(self) -> str:
        """What a refusal is called."""
        return str(self.json["type"]).removeprefix("urn:pocketlet:problem:")


@dataclass(frozen=True)
class Line:
    """One open connection to a port of loopback."""

    port: int
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, raw: bytes) -> Reply:
        """These bytes, and the answer. A server that has seen enough may close before it has read all."""
        self.writer.write(raw)
        return await self.read(bare=raw.startswith(b"HEAD "))

    async def ask(self, method: str, path: str, fields: Fields = (), body: bytes = b"") -> Reply:
        """A well-formed request, addressed to the port unless `fields` name another Host."""
        given = list(fields)
        if not any(name.lower() == "host" for name, _ in given):
            given.insert(0, ("Host", f"127.0.0.1:{self.port}"))
        if body or method == "POST":
            given.append(("Content-Length", str(len(body))))
        head = f"{method} {path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in given) + "\r\n"
        return await self.send(head.encode("latin-1") + body)

    async def read(self, *, bare: bool = False) -> Reply:
        """The next answer that is no 1xx. `bare`: it has no body, whatever its length."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")[:-2]
        pairs = (line.partition(":") for line in lines)
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        status = int(first.split()[1])
        if status < 200:
            return await self.read()
        size = headers.get("content-length")
        if bare:
            return Reply(status, headers, b"")
        if size is not None:
            return Reply(status, headers, await self.reader.readexactly(int(size)))
        try:
            return Reply(status, headers, await self.reader.read())
        except ConnectionResetError:  # it closed with bytes of ours unread
            return Reply(status, headers, b"")


@asynccontextmanager
async def connected(port: int) -> AsyncGenerator[Line]:
    """A connection, for as long as the block lasts."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield Line(port, reader, writer)
    finally:
        writer.transport.abort()


async def ask(port: int, method: str, path: str, fields: Fields = (), body: bytes = b"") -> Reply:
    """One request on a connection of its own."""
    async with connected(port) as line:
        return await line.ask(method, path, fields, body)
