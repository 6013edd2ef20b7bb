"""One outgoing connection of the egress wire: only to addresses that were checked, and watched while it is used."""

import ssl
from collections.abc import Iterable, Sequence
from typing import Any, cast

import httpcore2

from pocketlet.platform import leases


class Link(httpcore2.AsyncNetworkBackend):
    """Connects to nothing but addresses that were checked, and knows whether anything of a request was written."""

    def __init__(self, room: int, seconds: float) -> None:
        """`room`: the most bytes that may arrive; `seconds`: shared by the addresses that are tried."""
        self.addresses: Sequence[str] = ()
        self.sent = False
        self.ended = False
        self._room = room
        self._seconds = seconds
        self._backend = cast(httpcore2.AsyncNetworkBackend, httpcore2.AnyIOBackend())
        self._opened: httpcore2.AsyncNetworkStream | None = None

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the library's own signature
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Connect to the first checked address that answers; `host` was looked up before."""
        broken: Exception = httpcore2.ConnectError()
        patience = self._seconds / max(1, len(self.addresses))
        for address in self.addresses:
            try:
                opened = await self._backend.connect_tcp(address, port, patience)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                broken = error
            else:
                self._opened = opened
                return Watched(opened, self)
        raise broken

    def received(self, data: bytes) -> bytes:
        """Count what arrived; raises RemoteProtocolError when that is more than a reply may have."""
        self.ended = not data
        self._room -= len(data)
        if self._room < 0:
            raise httpcore2.RemoteProtocolError
        return data

    async def aclose(self) -> None:
        """Close the connection, at whatever point it is."""
        if self._opened is not None:
            await self._opened.aclose()


class Watched(httpcore2.AsyncNetworkStream):
    """A connection whose link is told what goes over it; a TLS handshake is not counted as sent."""

    def __init__(self, stream: httpcore2.AsyncNetworkStream, link: Link) -> None:
        self._stream = stream
        self._link = link

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        return self._link.received(await self._stream.read(max_bytes, timeout))

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        leases.check()
        self._link.sent = True
        await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> httpcore2.AsyncNetworkStream:
        return Watched(await self._stream.start_tls(ssl_context, server_hostname, timeout), self._link)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
