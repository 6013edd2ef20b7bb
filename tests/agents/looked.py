"""What looks of triggers left behind, for the tests of each kind."""

import json
from typing import Any

import workshop as workshops

from pocketlet.agents.waking import looking
from pocketlet.platform import notices


async def look(shop: workshops.Workshop) -> int:
    """One turn of the worker's duty."""
    return await looking.look(shop.database, shop.engine.home)


async def slots_of(shop: workshops.Workshop) -> list[dict[str, Any]]:
    """The agent's slots, the oldest first."""
    return await shop.rows("SELECT * FROM pocketlet.slot WHERE agent_id = %s ORDER BY id", shop.agent.id)


async def bodies(shop: workshops.Workshop) -> list[Any]:
    """What came, as JSON."""
    return [json.loads(bytes(slot["body"])) for slot in await slots_of(shop)]


async def trigger_of(shop: workshops.Workshop) -> dict[str, Any]:
    """The agent's one trigger."""
    return await shop.row("SELECT * FROM pocketlet.trigger WHERE agent_id = %s AND active", shop.agent.id)


async def told(shop: workshops.Workshop) -> list[dict[str, Any]]:
    """The open notices about the agent."""
    async with shop.database.api() as conn:
        return [notice for notice in await notices.standing(conn) if notice["agent"] == shop.name]
