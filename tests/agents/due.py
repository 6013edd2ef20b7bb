"""What tests of slots ask and do: rows of slots, events, and runs taken to an end."""

from collections.abc import Awaitable, Callable
from typing import Any

import workshop as workshops
from scripted_model import finishes

from pocketlet.agents.triggers import stored
from pocketlet.agents.waking import settling, slots
from pocketlet.platform import notices

Opener = Callable[..., Awaitable[workshops.Workshop]]


async def rows(shop: workshops.Workshop) -> list[dict[str, Any]]:
    """All slots of the agent, the oldest first."""
    query = "SELECT * FROM pocketlet.slot WHERE agent_id = %s ORDER BY due_at, id"
    return await shop.rows(query, shop.agent.id)


async def started(shop: workshops.Workshop) -> list[int]:
    """The runs that its slots have, in order."""
    query = "SELECT run_id FROM pocketlet.slot WHERE agent_id = %s AND run_id IS NOT NULL ORDER BY id"
    return [row["run_id"] for row in await shop.rows(query, shop.agent.id)]


async def find(shop: workshops.Workshop, name: str) -> stored.Trigger:
    """Its trigger of that name."""
    async with shop.database.api() as conn:
        return await stored.by_name(conn, shop.agent.id, name)


async def event(shop: workshops.Workshop, name: str, key: str, body: bytes = b"") -> int | None:
    """Records an event; the slot."""
    trigger = await find(shop, name)
    async with shop.database.api() as conn:
        return await slots.record(conn, trigger, slots.Event(key, body))


async def problems(shop: workshops.Workshop) -> list[dict[str, Any]]:
    """The open notices on the agent."""
    async with shop.database.api() as conn:
        return [notice for notice in await notices.standing(conn) if notice["agent"] == shop.name]


async def ended(shop: workshops.Workshop, run: int, outcome: str) -> None:
    """Takes a run to this outcome, and settles its slot."""
    shop.says(finishes("So it ended.", outcome))
    await shop.advance(run)
    await settling.settle(shop.database)
