"""A worker: this process, taking runs from the queue for as long as it is asked to."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace

from pocketlet import errors, settings
from pocketlet.agents import approving, loop, thinking
from pocketlet.db import pool
from pocketlet.platform import installation, queue, vault
from pocketlet.platform.gateways import models, submission

log = logging.getLogger(__name__)
EVERY = 30  # seconds between two looks at questions whose time is over


@asynccontextmanager
async def serving(
    database: pool.Database,
    config: settings.Settings,
    role: str,
    kinds: Mapping[str, loop.Kind],
    *,
    mail_port: int | None = None,
) -> AsyncGenerator[loop.Engine]:
    """Runs are advanced in the background while the block lasts. `role`: up, worker, demo or command.

    `kinds` are the kinds of run that there are (`learning.kinds`).

    Sealed settings are read again whenever a run is taken up, so that a key that was just sealed counts.
    """
    lookup = await variables(database, config)
    async with database.api() as conn:
        instance = await installation.identity(conn)
    gateway = models.Gateway()
    worker = await queue.register(database, role, mail_port)
    try:
        engine = loop.Engine(
            database=database,
            thinker=thinking.Thinker(database, gateway, lookup, config.model),
            server=submission.read(lookup("POCKETLET_SMTP_URL")),
            instance=instance,
            worker=worker,
            home=config.home,
        )

        async def advance(run: int) -> None:
            lookup = await variables(database, config)
            server = submission.read(lookup("POCKETLET_SMTP_URL"))
            fresh = replace(engine, thinker=replace(engine.thinker, lookup=lookup), server=server)
            await loop.advance(fresh, kinds, run)

        async with queue.working(database, worker, advance), _expiring(database):
            try:
                yield engine
            finally:
                engine.leaving.set()  # a run that is under way here goes on elsewhere, or later
    finally:
        await gateway.aclose()
        with contextlib.suppress(errors.NoPostgres):
            await queue.unregister(database, worker)
            await queue.rescue(database)  # a run that was cut short is queued again, for whoever comes next


@asynccontextmanager
async def _expiring(database: pool.Database) -> AsyncGenerator[None]:
    """Questions that nobody answered in time are answered with no, while the block lasts."""

    async def expire() -> None:
        while True:
            try:
                async with database.api() as conn:
                    await approving.expire(conn)
            except (errors.PocketletError, pool.DatabaseError) as error:
                log.warning("questions whose time is over are looked at again later: %s", error)
            await asyncio.sleep(EVERY)

    task = asyncio.create_task(expire())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def variables(database: pool.Database, config: settings.Settings) -> Callable[[str], str | None]:
    """Looks a provider's variable up: the environment first, then the settings that are sealed now."""
    environment = settings.provider_environment()
    async with database.api() as conn:
        sealed = await vault.opened(conn, vault.key(config.home)) if await vault.names(conn) else {}

    def lookup(name: str) -> str | None:
        return environment.get(name) or sealed.get(name)

    return lookup
