"""Removing an agent: what goes with it, and the act, for which its name is said once more."""

from decimal import Decimal
from typing import Annotated

import pydantic

from pocketlet import errors
from pocketlet.agents import agent as agents
from pocketlet.agents import portable
from pocketlet.surfaces.api import caller as callers
from pocketlet.surfaces.api import endpoint


class Leaving(endpoint.Model):
    """What goes with an agent beside its memory and its tables. `under_way`: runs that work or wait. `spent`: what it
    cost, which stays in the ledger.
    """

    agent: str
    runs: int
    under_way: int
    revisions: int
    feedback: int
    spent: Decimal


class AgentNamed(endpoint.Model):
    """The name of the agent once more, so that none is removed by mistake."""

    name: Annotated[str, pydantic.Field(max_length=100)]


async def show(caller: callers.Caller, agent: str) -> Leaving:
    """Shows what would go with an agent if it were removed."""
    async with caller.database.api() as conn:
        found = await callers.agent(conn, caller, agent)
        row = await (await conn.execute(agents.Q["leaving"], {"id": found.id})).fetchone() or {}
    return Leaving(agent=agent, **row)


async def remove(caller: callers.Caller, agent: str, body: AgentNamed) -> endpoint.Done:
    """Removes an agent for good, with its memory and tables, its runs and revisions, its triggers, rules and grants.

    What it cost stays in the ledger, and what was decided in the audit trail. There is no undo.
    """
    async with caller.database.api() as conn:
        await callers.agent(conn, caller, agent)
    if body.name != agent:
        raise errors.BadInput("The name does not match. Nothing was removed.", hint=f"Give {agent} to remove it.")
    await portable.remove(caller.database, agent)
    return endpoint.Done(
        said=f"{agent} is removed, with its data, runs and revisions. What it cost stays in the ledger."
    )


ENDPOINTS = (
    endpoint.Endpoint("GET", "/agents/{agent}/removal", "read", show),
    endpoint.Endpoint("POST", "/agents/{agent}/removal", "admin", remove),
)
