"""A server on loopback that answers as a test says: the outside world of the egress wire."""

import asyncio
import contextlib
import dataclasses
import ssl
from collections.abc import AsyncIterator, Callable, Sequence

from pocketlet.platform.gateways import wire

Answer = Callable[[bytes, bytes], Sequence[bytes]]


class Server:
    """A server on loopback: answers with what `answer` makes of head and body, then closes or hangs."""

    def __init__(self) -> None:
        self.accepts = 0
        self.heads: list[bytes] = []
        self.bodies: list[bytes] = []
        self.answer: Answer = lambda head, body: [reply(b"ok")]
        self.hangs = False
        self.reads = True
        self.asked = asyncio.Event()
        self.closing = asyncio.Event()
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepts += 1
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                if self.reads:
                    await self._exchange(reader, writer)
                if self.hangs:
                    await self.closing.wait()
        finally:
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        body = await reader.readexactly(int(lengths[0].partition(b":")[2])) if lengths else b""
        self.heads.append(head)
        self.bodies.append(body)
        self.asked.set()
        for piece in self.answer(head, body):
            writer.write(piece)
            await writer.drain()

    def target(self, prefix: str = "", **rest: int | float) -> wire.Target:
        """This server, pinned."""
        target = wire.Target(f"http://127.0.0.1:{self.port}{prefix}", ("127.0.0.1",))
        return dataclasses.replace(target, **rest)  # type: ignore[arg-type]


def reply(body: bytes, status: int = 200, *headers: bytes) -> bytes:
    """A whole response."""
    lines = (b"HTTP/1.1 %d X" % status, b"content-length: %d" % len(body), *headers, b"", b"")
    return b"\r\n".join(lines) + body


def chunked(body: bytes, size: int, *headers: bytes) -> list[bytes]:
    """A response in chunks of `size` bytes, each written on its own."""
    head = b"\r\n".join((b"HTTP/1.1 200 X", b"transfer-encoding: chunked", *headers, b"", b""))
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    return [head, *(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces), b"0\r\n\r\n"]


def authorization(head: bytes) -> bytes:
    """What a request's Authorization header says."""
    lines = [line for line in head.split(b"\r\n") if line.lower().startswith(b"authorization:")]
    return lines[0].partition(b":")[2].strip()


@contextlib.asynccontextmanager
async def serving(tls: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    """A server of its own, gone afterwards."""
    served = Server()
    listener = await asyncio.start_server(served.serve, "127.0.0.1", 0, ssl=tls)
    served.port = listener.sockets[0].getsockname()[1]
    try:
        yield served
    finally:
        served.closing.set()
        listener.close()
        await listener.wait_closed()
