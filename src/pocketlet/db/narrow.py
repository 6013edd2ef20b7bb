"""A narrow wire: what Postgres answers on one connection comes into this process up to a number of bytes.

The driver holds a whole message before it gives any of it: a row, but also a plan (which quotes constants) and an error
(which quotes values), each of which may have a gigabyte. So the driver's end of the connection becomes one of a pair of
sockets, and what Postgres says is passed on to the other one until it was too much. What Postgres itself builds for an
answer is bounded by its own limits alone: time, work_mem, temporary files, logins at once.
"""

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from psycopg import pq

from pocketlet.db import pool

CHUNK = 64 * 1024


class Wire:
    """`left`: bytes that may still come. `cut`: there were more, and the connection is lost."""

    def __init__(self, most: int) -> None:
        self.left = most

    @property
    def cut(self) -> bool:
        """Whether more came than may."""
        return self.left < 0


@asynccontextmanager
async def narrowed(conn: pool.Conn, most: int) -> AsyncGenerator[Wire]:
    """Lets `most` bytes of answers come over this connection, of which nobody waits for one now."""
    wire, number = Wire(most), conn.fileno()
    near, drivers = socket.socketpair()
    with near, socket.socket(fileno=os.dup(number)) as far:
        with drivers:
            for end in (near, drivers, far):
                end.settimeout(0)
            os.dup2(drivers.fileno(), number, inheritable=False)
        passing = [asyncio.create_task(_pass(far, near, wire)), asyncio.create_task(_pass(near, far))]
        try:
            yield wire
        finally:
            for task in passing:
                task.cancel()
            await asyncio.gather(*passing, return_exceptions=True)
            if not wire.cut and not conn.closed and conn.info.transaction_status != pq.TransactionStatus.ACTIVE:
                os.dup2(far.fileno(), number, inheritable=False)  # so that Postgres hears of the end


async def _pass(source: socket.socket, target: socket.socket, wire: Wire | None = None) -> None:
    loop = asyncio.get_running_loop()
    with contextlib.suppress(OSError):  # one end is gone: the other one learns of it as of any that is
        while said := await loop.sock_recv(source, CHUNK):
            if wire:
                wire.left -= len(said)
                if wire.cut:
                    break
            await loop.sock_sendall(target, said)
    for end in (source, target):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
