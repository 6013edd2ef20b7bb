"""A worker: this process, taking runs from the queue for as long as it is asked to."""

import contextlib
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace

from pocketlet import errors, settings
from pocketlet.agents import duties, loop, thinking
from pocketlet.db import pool
from pocketlet.platform import installation, queue
from pocketlet.platform.gateways import models, submission


@asynccontextmanager
async def serving(
    database: pool.Database,
    config: settings.Settings,
    role: str,
    kinds: Mapping[str, loop.Kind],
    *,
    ports: queue.Ports | None = None,
    ears: duties.Ears | None = None,
) -> AsyncGenerator[loop.Engine]:
    """Runs are advanced in the background while the block lasts. `role`: up, worker, demo or command.

    `kinds` are the kinds of run that there are (`learning.kinds`), `ears` what hears the owner (a command has none).

    Sealed settings are read again whenever a run is taken up, so that a key that was just sealed counts.
    """
    lookup = await duties.variables(database, config)
    async with database.api() as conn:
        instance = await installation.identity(conn)
    gateway = models.Gateway()
    worker = await queue.register(database, role, ports)
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
            lookup = await duties.variables(database, config)
            server = submission.read(lookup("POCKETLET_SMTP_URL"))
            fresh = replace(engine, thinker=replace(engine.thinker, lookup=lookup), server=server)
            await loop.advance(fresh, kinds, run)

        of_mine = duties.Worker(worker, instance, ears)
        beside = duties.of_a_command(database) if role == "command" else duties.attending(database, config, of_mine)
        async with queue.working(database, worker, advance), beside:
            try:
                yield engine
            finally:
                engine.leaving.set()  # a run that is under way here goes on elsewhere, or later
    finally:
        await gateway.aclose()
        with contextlib.suppress(errors.NoPostgres):
            await queue.unregister(database, worker)
            await queue.rescue(database)  # a run that was cut short is queued again, for whoever comes next
