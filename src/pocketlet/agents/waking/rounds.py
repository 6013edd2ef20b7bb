"""What a worker does once a second beside its runs: tick, begin what is due, settle what has ended."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager

from pocketlet import clock, errors
from pocketlet.agents.waking import beginning, lists, settling, slots, ticking
from pocketlet.db import pool

log = logging.getLogger(__name__)
EVERY = 1.0  # seconds between two rounds with nothing to do
AT_ONCE = 50  # slots that are begun in one round
SIDE_BY_SIDE = 4  # triggers whose slots are begun at the same time; each may need a connection or two
#: A duty of the worker. What it gives says whether it has more to do at once.
Duty = Callable[[pool.Database], Awaitable[object]]


async def begin_due(database: pool.Database) -> int:
    """Begins what is due; how many slots were looked at."""
    async with database.api() as conn:
        taken = await slots.take_together(conn, AT_ONCE)
    gate = asyncio.Semaphore(SIDE_BY_SIDE)
    ended = await asyncio.gather(*(_begin(database, numbers, gate) for numbers in taken), return_exceptions=True)
    for error in ended:
        if error is not None:
            raise error
    return sum(map(len, taken))


async def _begin(database: pool.Database, numbers: Sequence[int], gate: asyncio.Semaphore) -> None:
    """Begins the slots of one trigger, one after the other. Raises errors.NoPostgres."""
    async with gate:
        for number in numbers:
            try:
                await beginning.begin(database, number)
            except errors.NoPostgres:
                raise
            except (errors.PocketletError, pool.DatabaseError) as error:  # one that can't be begun holds up no other
                said = pool.first_line(error)
                log.warning("slot %s is begun later: %s", number, said)
                async with database.api() as conn:
                    await slots.wait(conn, number, beginning.LATER, f"it could not be begun: {said}")


async def once(database: pool.Database) -> int:
    """One round: schedules, ended runs, the next items of lists, due slots; how many rows were moved."""
    moved = await ticking.tick(database) + await settling.settle(database) + await lists.release(database)
    return moved + await begin_due(database)


@asynccontextmanager
async def attending(database: pool.Database, duties: Mapping[Duty, float]) -> AsyncGenerator[None]:
    """Each of `duties` has a turn every so many seconds while the block lasts, all by themselves."""
    tasks = [asyncio.create_task(_keep(database, duty, every)) for duty, every in duties.items()]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        for task in tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task


async def _keep(database: pool.Database, duty: Duty, every: float) -> None:
    """One duty, for ever. A failure is told in the log, and the next turn comes all the same."""
    while True:
        began = clock.monotonic()
        try:
            busy = await duty(database)
        except (errors.PocketletError, pool.DatabaseError) as error:
            log.warning("%s is tried again later: %s", duty.__name__, pool.first_line(error))
            busy = 0
        if not busy:
            await asyncio.sleep(max(0.05, every - (clock.monotonic() - began)))
