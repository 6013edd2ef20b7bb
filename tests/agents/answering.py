"""An HTTP server on loopback that says whatever the test's function says."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass
class Reply:
    """One response."""

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass
class Answering:
    """`answer(target, headers)` is asked for every request; `asked` has them all, headers in lower case."""

    answer: Callable[[str, Mapping[str, str]], Reply | Awaitable[Reply]] = lambda target, headers: Reply()
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list[tuple[str, dict[str, str]]])
    port: int = 0
    server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def says(self, body: bytes, status: int = 200, **headers: str) -> None:
        """The same to every request; `headers` with _ for -."""
        known = {name.replace("_", "-"): value for name, value in headers.items()}
        self.answer = lambda target, asked: Reply(body, status, known)

    async def start(self) -> None:
        """Listens, at the port that it had."""
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self.server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Refuses connections."""
        if self.server:
            self.server.close()
            await self.server.wait_closed()
            self.server = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
        target = head[0].split(" ")[1]
        self.asked.append((target, headers))
        answer = self.answer(target, headers)
        reply = answer if isinstance(answer, Reply) else await answer
        lines = [f"{name}: {value}" for name, value in reply.headers.items()]
        lines = [f"HTTP/1.1 {reply.status} X", f"content-length: {len(reply.body)}", *lines, "", ""]
        try:
            writer.write("\r\n".join(lines).encode() + reply.body)
            await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()


@asynccontextmanager
async def answering() -> AsyncGenerator[Answering]:
    """A server of its own, gone afterwards."""
    server = Answering()
    await server.start()
    try:
        yield server
    finally:
        await server.stop()
