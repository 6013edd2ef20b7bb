"""A process that does a worker's rounds and everybody's runs, and dies where it is told to."""

import asyncio
from dataclasses import dataclass

from pocketlet import crashing
from pocketlet.agents.waking import rounds
from pocketlet.db import pool
from pocketlet.platform import database

#: What the model and the loop would do: every run of the agent comes to its end.
DONE = """
UPDATE pocketlet.run SET state = 'done', outcome = 'done', result = 'Did it.', ended_at = pocketlet.now()
 WHERE agent_id = %s AND state = 'queued'
"""


@dataclass(frozen=True, slots=True)
class Order:
    """Where the database is, whose runs are done, and what `crashing.arm` is told."""

    host: str
    port: int
    user: str
    agent: int
    crash: str


def live(order: Order) -> None:
    """Works until there is nothing to do."""
    asyncio.run(_live(order))


async def _live(order: Order) -> None:
    address = pool.Address(order.host, order.port, database.EMBEDDED, order.user, None, lambda _: None)
    async with pool.Database(address) as opened:
        crashing.arm(order.crash)
        await through(opened, order.agent)


async def through(opened: pool.Database, agent: int) -> None:
    """Rounds, and runs that end, until nothing moves."""
    while True:
        while await rounds.once(opened):
            pass
        async with opened.api() as conn:
            if not (await conn.execute(DONE.encode(), [agent])).rowcount:
                return
