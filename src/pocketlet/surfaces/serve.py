"""The long-running process behind `pocketlet up`: worker, watchdog, and the listeners for mail and for HTTP."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from pocketlet import crashing, errors, settings
from pocketlet.agents import duties, worker
from pocketlet.agents.waking import mails
from pocketlet.db import ending, pool
from pocketlet.learning import hearing, kinds, replies
from pocketlet.platform import database, installation, queue, watchdog
from pocketlet.platform.gateways import listener, naming, origin, reception
from pocketlet.surfaces.web import app

EARS = duties.Ears(hearing.listen, hearing.answer_back, replies.from_mail)


@dataclass(frozen=True, slots=True)
class Up:
    """What is running: the role, the home, and the ports for incoming mail and for HTTP (None for a plain worker)."""

    role: str
    home: str
    mail_port: int | None
    port: int | None


async def serve(config: settings.Settings, role: str, started: Callable[[Up], None], *, attached: bool = False) -> None:
    """Works until SIGTERM or SIGINT (or, if `attached`, until standard input ends); `started` is called once it does.

    `role`: up or worker. Raises what `database.opened`, `reception.listening` and `listener.listening` raise.
    """
    crashing.arm(settings.crash_at())
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if attached:
        loop.add_reader(sys.stdin.fileno(), _at_end, stop)
    async with (
        database.opened(config) as opened,
        _listening(opened, config, role) as port,
        _answering(opened, config, role) as web,
    ):
        guard = asyncio.create_task(_guard(opened))
        try:
            part = "demo" if attached else role
            async with worker.serving(opened, config, part, kinds.KINDS, ports=queue.Ports(port, web), ears=EARS):
                started(Up(role, str(config.home), port, web))
                await stop.wait()
        finally:
            await ending.end([guard])


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
            return await mails.trigger_of(conn, address) is not None or await replies.knows(conn, address)

    async def accept(address: str, raw: bytes) -> None:
        try:
            if not await _heard(opened, config, raw):
                async with opened.api() as conn:
                    await mails.accept(conn, address, raw)
        except pool.DatabaseError as error:  # the mail server is asked to bring it again
            raise errors.NoPostgres(f"The mail could not be recorded: {pool.first_line(error)}") from error

    async with reception.listening(config.mail_port, knows, accept) as port:
        yield port


async def _heard(opened: pool.Database, config: settings.Settings, raw: bytes) -> bool:
    """Whether a mail is an answer of the owner to a message of ours, which is then taken in."""
    async with opened.api() as conn:
        if not mails.may_answer(raw, await installation.identity(conn)):
            return False
    verdict = await origin.check(raw, origin.Hop(), naming.asking())
    post = await duties.post(opened, config)
    async with opened.api() as conn:
        return await replies.from_mail(conn, post, raw, verdict)


@asynccontextmanager
async def _answering(opened: pool.Database, config: settings.Settings, role: str) -> AsyncGenerator[int | None]:
    if role != "up":
        yield None
        return
    async with listener.listening(config.port, lambda port: app.made(opened, config, port)) as port:
        yield port
