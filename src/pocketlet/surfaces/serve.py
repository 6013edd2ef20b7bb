"""The long-running process behind `pocketlet up`: worker, watchdog, and the listener for incoming mail."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from pocketlet import errors, settings
from pocketlet.agents import intake, worker
from pocketlet.db import pool
from pocketlet.learning import kinds
from pocketlet.platform import database, watchdog
from pocketlet.platform.gateways import reception


@dataclass(frozen=True, slots=True)
class Up:
    """What is running: the role, the home, and the port for incoming mail (None for a plain worker)."""

    role: str
    home: str
    mail_port: int | None


async def serve(config: settings.Settings, role: str, started: Callable[[Up], None], *, attached: bool = False) -> None:
    """Works until SIGTERM or SIGINT (or, if `attached`, until standard input ends); `started` is called once it does.

    `role`: up or worker. Raises what `database.opened` and `reception.listening` raise.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if attached:
        loop.add_reader(sys.stdin.fileno(), _at_end, stop)
    async with database.opened(config) as opened, _listening(opened, config, role) as port:
        guard = asyncio.create_task(_guard(opened))
        try:
            async with worker.serving(opened, config, "demo" if attached else role, kinds.KINDS, mail_port=port):
                started(Up(role, str(config.home), port))
                await stop.wait()
        finally:
            guard.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await guard


def _at_end(stop: asyncio.Event) -> None:
    if not os.read(sys.stdin.fileno(), 1):
        stop.set()


async def _guard(opened: pool.Database) -> None:
    """The watchdog, through restarts of Postgres."""
    while True:
        try:
            await watchdog.watch(opened)
        except errors.NoPostgres:
            await asyncio.sleep(1)


@asynccontextmanager
async def _listening(opened: pool.Database, config: settings.Settings, role: str) -> AsyncGenerator[int | None]:
    if role != "up":
        yield None
        return

    async def knows(address: str) -> bool:
        async with opened.api() as conn:
            return await intake.address_of(conn, address) is not None

    async def accept(address: str, raw: bytes) -> None:
        async with opened.api() as conn:
            await intake.accept_mail(conn, address, raw)

    async with reception.listening(config.mail_port, knows, accept) as port:
        yield port
