"""An HTTP service on loopback with three ways to act: PUT by id, POST with a key, and POST with neither."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from bench.effects import truth as truths

PATHS = {"idempotent": ("PUT", "/things/{id}"), "keyed": ("POST", "/keyed/{id}"), "unsafe": ("POST", "/orders/{id}")}
MORE = (("POST", "/notes/{text}/{id}"), ("GET", "/search"))  # what only the tests ask for


class Provider:
    """Breaks where `truth.faults` say, and writes down in `truth` what it did."""

    def __init__(self, truth: truths.Truth) -> None:
        self.truth = truth
        self.url = ""

    @asynccontextmanager
    async def listening(self) -> AsyncGenerator["Provider"]:
        """Serves for as long as the block lasts."""
        listener = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            listener.close()
            await listener.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            first, *lines = head.strip().split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            number = int(first.split(" ")[1].partition("?")[0].rpartition("/")[2])
            self.truth.heads[number].append(first)
            async with self.truth.arrival(number) as fault:
                await self._answer(reader, writer, fault, (number, first, headers.get("idempotency-key", ""), body))
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    async def _answer(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        fault: str,
        asked: tuple[int, str, str, bytes],
    ) -> None:
        if not fault.endswith("before"):
            self._act(*asked)
        if fault.startswith("late"):
            await reader.read()  # until the client has hung up
        if fault == "late before":
            self._act(*asked)
        if not fault.startswith(("late", "drop")):
            status = fault.partition(" ")[0] or "200"
            writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok".encode())
            await writer.drain()

    def _act(self, number: int, first: str, key: str, body: bytes) -> None:
        if first.startswith("PUT "):
            self.truth.put(number, body)
        elif "/keyed/" in first:
            self.truth.keyed(number, key, body)
        else:
            self.truth.act(number, body)
