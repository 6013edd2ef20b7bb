"""The HTTP listener on loopback. It hands requests on and keeps no log of them: a path may hold a token."""

import asyncio
import logging
import socket
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from uvicorn.protocols.http import h11_impl

from pocketlet import errors

HOST = "127.0.0.1"
DRAIN = 5  # seconds that requests under way get at a graceful stop
AT_ONCE = 128  # connections; one more is told to come again later
HEADER_BYTES = 16_384
IDLE = 5  # seconds that an open connection may rest between two requests
HEAD = 10.0  # seconds that the head of a request may take: else a few slow senders could hold all connections

#: The application for a port: whom a request may be addressed to depends on it.
Application = Callable[..., Any]


class _Protocol(h11_impl.H11Protocol):
    """Does not wait for ever for the head of a request; for its body, whoever reads it says how long."""

    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._rest()

    def shutdown(self) -> None:
        """At a stop. What would go on for as long as somebody reads (`endless` in its state) is not waited for."""
        if self.cycle and not self.cycle.response_complete and self.cycle.scope.get("state", {}).get("endless"):
            self.transport.close()
        else:
            super().shutdown()

    def _watch(self) -> None:
        if str(self.conn.their_state) != "IDLE":  # the head of a request is here
            self._rest()
        elif self._late is None:
            self._late = self.loop.call_later(HEAD, self.transport.close)

    def _rest(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None


class _Server(uvicorn.Server):
    """Says when it listens. Signals are the program's own business."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listens = asyncio.Event()

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        await self._serve(sockets)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listens.set()


@asynccontextmanager
async def listening(port: int, application: Callable[[int], Application]) -> AsyncGenerator[int]:
    """Listens while the block lasts; the port in use (`port` 0: any free one). Raises errors.Conflict."""
    bound = _bound(port)
    number: int = bound.getsockname()[1]
    server = _Server(_config(application(number)))
    serving = asyncio.create_task(server.serve([bound]))
    ready = asyncio.create_task(server.listens.wait())
    try:
        await asyncio.wait({serving, ready}, return_when=asyncio.FIRST_COMPLETED)
        yield number
    finally:
        ready.cancel()
        server.should_exit = True
        await serving


def _config(application: Application) -> uvicorn.Config:
    """Nothing of a request is logged, no header of a proxy is believed, and nothing but HTTP/1.1 is spoken."""
    return uvicorn.Config(
        application,
        loop="asyncio",
        http=_Protocol,
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        log_level=logging.ERROR,
        access_log=False,
        workers=1,
        proxy_headers=False,
        server_header=False,
        limit_concurrency=AT_ONCE,
        timeout_keep_alive=IDLE,
        timeout_graceful_shutdown=DRAIN,
        h11_max_incomplete_event_size=HEADER_BYTES,
    )


def _bound(port: int) -> socket.socket:
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((HOST, port))
        bound.listen()  # a port that another program has is known now, and not once the first page is asked for
    except OSError as error:
        bound.close()
        raise errors.Conflict(
            f"Port {port} can't be used for web pages and webhooks: {error.strerror or error}.",
            hint="Set POCKETLET_PORT to a free port, or to 0 for any.",
        ) from error
    return bound
