"""The HTTP client that the MCP SDK is given: to the owner's URL only, at addresses that were checked, and capped.

Each request resolves the name once, checks every address, and goes to the first one, with the original name for
TLS and Host. Without a pin: https, port 443, public addresses. With one: the pinned addresses alone.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

import httpx2

from pocketlet import errors
from pocketlet.platform.gateways import addresses

MAX_BYTES = 4_000_000  # of all answers of one session
HINT = "A server in your own network needs its address: `pocketlet mcp add NAME --url URL --pin ADDRESS`."


@dataclass(frozen=True, slots=True)
class Place:
    """Where a server is: its URL, the addresses or networks that the owner pinned, and the headers of each request."""

    url: str
    pinned: tuple[str, ...]
    headers: Mapping[str, str] = field(repr=False)


def checked(url: str, pinned: Sequence[str]) -> None:
    """Whether such a server may be called at all. Raises errors.BadInput."""
    for pin in pinned:
        addresses.unpinned("127.0.0.1", [pin])
    where = addresses.host_of(url, inner=bool(pinned))
    if not pinned and (where.scheme, where.port) != ("https", 443):
        raise errors.BadInput(
            f"A server elsewhere is called by https, port 443, not by {where.scheme} on port {where.port}.", hint=HINT
        )


def client(place: Place, seconds: float) -> httpx2.AsyncClient:
    """A client for one session; nothing of the environment counts, and no redirect leaves the URL's own host."""
    return httpx2.AsyncClient(
        transport=_Checked(place),
        headers={**place.headers, "Accept-Encoding": "identity"},
        timeout=httpx2.Timeout(seconds),
        trust_env=False,
        follow_redirects=False,
    )


class _Checked(httpx2.AsyncBaseTransport):
    """Sends a request to an address that may be connected to, and to no other."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._inner = httpx2.AsyncHTTPTransport(trust_env=False, retries=0)
        self._left = MAX_BYTES

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Raises errors.EgressRefused, errors.ServiceUnreachable before anything was sent."""
        own = httpx2.URL(self._place.url)
        if (request.url.scheme, request.url.host, request.url.port) != (own.scheme, own.host, own.port):
            raise errors.EgressRefused(f"The MCP server sent a request on to {request.url.host}.")
        address = await self._address(request.url)
        sent = httpx2.Request(
            request.method,
            request.url.copy_with(host=address),
            headers=request.headers,  # Host among them: the original
            stream=request.stream,
            extensions={**request.extensions, "sni_hostname": request.url.host},
        )
        response = await self._inner.handle_async_request(sent)
        if response.headers.get("content-encoding", "identity").lower() != "identity":
            await response.aclose()
            raise errors.EgressRefused("The MCP server compressed its answer although it was asked not to.")
        return httpx2.Response(
            response.status_code,
            headers=response.headers,
            stream=_Counted(cast(httpx2.AsyncByteStream, response.stream), self),
            extensions=response.extensions,
        )

    async def _address(self, url: httpx2.URL) -> str:
        port = url.port or (443 if url.scheme == "https" else 80)
        try:
            found = await asyncio.get_running_loop().getaddrinfo(url.host, port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise errors.ServiceUnreachable(f"There is no host {url.host}.") from error
        places = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        for place in places:
            if problem := self._problem(place):
                raise errors.EgressRefused(f"{url.host} is at {place}: {problem}.", hint=HINT)
        return places[0]

    def _problem(self, address: str) -> str | None:
        if self._place.pinned:
            return addresses.unpinned(address, self._place.pinned)
        return addresses.forbidden(address)

    def take(self, size: int) -> None:
        """Counts bytes of answers. Raises errors.EgressRefused past the cap."""
        self._left -= size
        if self._left < 0:
            raise errors.EgressRefused(f"The MCP server sent more than {MAX_BYTES // 1_000_000} MB.")

    async def aclose(self) -> None:
        """Closes the connections."""
        await self._inner.aclose()


class _Counted(httpx2.AsyncByteStream):
    """An answer's bytes, counted as they come."""

    def __init__(self, stream: httpx2.AsyncByteStream, transport: _Checked) -> None:
        self._stream, self._transport = stream, transport

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._stream:
            self._transport.take(len(chunk))
            yield chunk

    async def aclose(self) -> None:
        """Gives the connection back."""
        await self._stream.aclose()
