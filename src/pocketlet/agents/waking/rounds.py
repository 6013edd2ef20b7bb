"""What a worker does once a second beside its runs: tick, begin what is due, settle what has ended."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager

from pocketlet import clock, errors
from pocketlet.agents.waking import beginning, lists, settling, slots, ticking
from pocketlet.db import ending, pool
from pocketlet.platform import notices

log = logging.getLogger(__name__)
EVERY = 1.0  # seconds between two rounds with nothing to do
SOON = 0.25  # seconds between two looks for what is due, which another worker may have recorded
AT_ONCE = 50  # slots that are begun in one round
SIDE_BY_SIDE = 4  # triggers whose slots are begun at the same time; each may need a connection or two
#: A duty of the worker. What it gives says whether it has more to do at once.
Duty = Callable[[pool.Database], Awaitable[object]]


async def begin_due(database: pool.Database) -> int:
    """Begins what is due; how many slots were looked at."""
    async with database.api() as conn:
        taken = await slots.take(conn, AT_ONCE)
    gate = asyncio.Semaphore(SIDE_BY_SIDE)
    await asyncio.gather(*(_begin(database, numbers, gate) for numbers in taken))
    return sum(map(len, taken))


async def _begin(database: pool.Database, numbers: Sequence[int], gate: asyncio.Semaphore) -> None:
    """Begins the slots of one trigger, one after the other; one that can't be begun holds up no other."""
    async with gate:
        for number in numbers:
            try:
                await beginning.begin(database, number)
            except Exception as error:
                log.exception("slot %s is begun later", number)
                async with database.api() as conn:
                    await slots.wait(conn, number, beginning.LATER, f"it could not be begun: {pool.first_line(error)}")


async def once(database: pool.Database) -> int:
    """One turn of each of the duties below; how many rows were moved."""
    moved = await ticking.tick(database) + await settling.settle(database) + await lists.release(database)
    return moved + await begin_due(database)


#: From what is due to what has ended: duties that wait for no other.
TURNS: Mapping[Duty, float] = {
    ticking.tick: EVERY,
    begin_due: SOON,
    settling.settle: EVERY,
    lists.release: EVERY,
}


@asynccontextmanager
async def attending(database: pool.Database, duties: Mapping[Duty, float]) -> AsyncGenerator[None]:
    """Each of `duties` has a turn every so many seconds while the block lasts, all by themselves."""
    tasks = [asyncio.create_task(_keep(database, duty, every)) for duty, every in duties.items()]
    try:
        yield
    finally:
        await ending.end(tasks)


async def _keep(database: pool.Database, duty: Duty, every: float) -> None:
    """One duty, for ever. Whatever fails is told in the log, and the next turn comes all the same.

    A fault of ours is told to the owner, too, until a turn goes well.
    """
    faulty = False
    while True:
        began, busy = clock.monotonic(), None
        try:
            busy = await duty(database)
            if faulty:
                faulty = await _well(database, duty)
        except (errors.PocketletError, pool.DatabaseError) as error:
            log.warning("%s is tried again later: %s", duty.__name__, pool.first_line(error))
        except Exception as error:
            log.exception("%s is tried again later", duty.__name__)
            faulty = await _told(database, duty, error)
        if not busy:
            await asyncio.sleep(_rest(duty, every, clock.monotonic() - began))


def _rest(duty: Duty, every: float, took: float) -> float:
    """Seconds until the next turn. Schedules are due at whole seconds: they are looked at just after each."""
    if duty is ticking.tick:
        return every - clock.now().timestamp() % every + 0.005
    return max(0.05, every - took)


async def _told(database: pool.Database, duty: Duty, error: Exception) -> bool:
    title = f"Pocketlet itself failed at a duty of its worker ({duty.__name__}): {type(error).__name__}."
    with contextlib.suppress(errors.PocketletError, pool.DatabaseError):
        async with database.api() as conn:
            hint = "It is tried again and again; the log has the details."
            await notices.report(conn, notices.Notice(f"duty:{duty.__name__}", title, hint))
    return True


async def _well(database: pool.Database, duty: Duty) -> bool:
    async with database.api() as conn:
        await notices.resolve(conn, f"duty:{duty.__name__}", "it went well again")
    return False
