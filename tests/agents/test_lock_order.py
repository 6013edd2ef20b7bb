"""Whoever changes an agent locks it, then its triggers; a look takes the same order, so that neither waits in vain."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable

import pytest
import workshop as workshops
from answering import Answering, answering
from looked import look, slots_of, told

from pocketlet.agents import agent as agents
from pocketlet.db import pool

Opener = Callable[..., Awaitable[workshops.Workshop]]
FEED = b'<rss version="2.0"><channel><title>N</title><item><title>A</title><guid>1</guid></item></channel></rss>'
TRIGGERS = b"SELECT id FROM pocketlet.trigger WHERE agent_id = %s FOR UPDATE NOWAIT"
WAITS = "SELECT FROM pg_locks WHERE NOT granted AND locktype IN ('transactionid', 'tuple')"


@pytest.fixture
async def server() -> AsyncGenerator[Answering]:
    async with answering() as found:
        yield found


async def waits(shop: workshops.Workshop, looking: "asyncio.Task[int]") -> None:
    """Until the look waits for a row that somebody holds."""
    while not await shop.rows(WAITS):
        assert not looking.done()


@pytest.mark.parametrize(("status", "seen"), [(200, (1, 0)), (404, (0, 1))])
async def test_a_look_waits_for_whoever_changes_the_agent_without_holding_a_trigger(
    open_shop: Opener, server: Answering, status: int, seen: tuple[int, int]
) -> None:
    more = f'feed = "{server.url}/f"\npin = "127.0.0.1"\nfrom_start = true\ntask = "Sum it up."'
    shop = await open_shop(f"[triggers.news]\n{more}\n")
    server.says(FEED, status)
    async with shop.database.api() as conn:
        await agents.lock(conn, shop.agent.id)
        looking = asyncio.create_task(look(shop))
        await waits(shop, looking)
        try:
            await conn.execute(TRIGGERS, (shop.agent.id,))
        except pool.DatabaseError as error:
            pytest.fail(f"the look holds the trigger: {error}")
    assert await looking == 1
    assert (len(await slots_of(shop)), len(await told(shop))) == seen
