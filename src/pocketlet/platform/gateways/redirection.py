"""Where a browser comes back to after an OAuth2 authorization: a listener on loopback, for one answer (RFC 8252)."""

import asyncio
import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from pocketlet import errors

PATH = "/callback"
LONGEST = 16_384
READ_SECONDS = 10.0
REQUEST = re.compile(rb"GET (/callback\?[!-~]{1,8000}) HTTP/1\.[01]\r\n")
PAGE = "<!doctype html><meta charset=utf-8><title>Pocketlet</title><p>{}</p>"
DONE = "Pocketlet has the answer. This window can be closed."


@dataclass(slots=True)
class Listener:
    """`redirect_uri` is what the service is told; `answer` becomes the target of the first request to it."""

    redirect_uri: str
    answer: "asyncio.Future[str]" = field(repr=False)

    async def wait(self, seconds: float) -> str:
        """The target (path and query) that the browser asked for. Raises errors.Refused if none came in time."""
        try:
            async with asyncio.timeout(seconds):
                return await self.answer
        except TimeoutError:
            raise errors.Refused("No answer came from the browser.", hint="Begin the authorization again.") from None


@asynccontextmanager
async def listening(port: int = 0) -> AsyncGenerator[Listener]:
    """Listens on 127.0.0.1, on `port` or (0) any free one, until the block ends. Raises errors.Failed."""
    answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(READ_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
                match = REQUEST.match(head)
                writer.write(_page(found=match is not None))
                await writer.drain()
            if match and not answer.done():
                answer.set_result(match[1].decode("ascii"))
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError, ConnectionError):
            return  # not a browser that comes back
        finally:
            writer.close()

    try:
        server = await asyncio.start_server(serve, "127.0.0.1", port, limit=LONGEST)
    except OSError as error:
        raise errors.Failed(f"The port {port} can't be listened on: {error.strerror}.") from error
    async with server:
        taken = server.sockets[0].getsockname()[1]
        yield Listener(f"http://127.0.0.1:{taken}{PATH}", answer)


def _page(*, found: bool) -> bytes:
    text = PAGE.format(DONE if found else "There is nothing here.").encode()
    head = (
        f"HTTP/1.1 {'200 OK' if found else '404 Not Found'}\r\nContent-Type: text/html; charset=utf-8\r\n"
        f"Content-Length: {len(text)}\r\nReferrer-Policy: no-referrer\r\n"
        "Content-Security-Policy: default-src 'none'\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + text
