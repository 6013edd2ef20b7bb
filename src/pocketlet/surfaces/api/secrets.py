"""Secrets by their names: what each is used by, and when it was last. A value goes in, and never comes out again."""

from datetime import datetime
from typing import Annotated

import pydantic

from pocketlet.agents import agent as agents
from pocketlet.db import queries
from pocketlet.platform import connection_changes, secret_needs, vault
from pocketlet.platform import connections as stored
from pocketlet.surfaces.api import caller as callers
from pocketlet.surfaces.api import endpoint

Q = queries.load("connections_page")


class Secret(endpoint.Model):
    """A sealed value, by its name. `agents`: yours whose connections may use it; `others`: how many of other owners.
    `connections`: which need it. `last_used_at`: to the day.
    """

    name: str
    created_at: datetime
    changed_at: datetime
    last_used_at: datetime | None
    agents: list[str]
    others: int
    connections: list[str]


class Secrets(endpoint.Model):
    """All of them. `missing`: names that connections need and nobody has set yet."""

    items: list[Secret]
    missing: list[str]


class SecretValue(endpoint.Model):
    """What is sealed. It is never answered, shown or logged."""

    value: Annotated[pydantic.SecretStr, pydantic.Field(max_length=vault.LONGEST)]


async def listing(caller: callers.Caller) -> Secrets:
    """Lists the names of the sealed values, what needs them, and when each was last used. For the keeper."""
    caller.must_keep()
    async with caller.database.api() as conn:
        rows = await (await conn.execute(Q["secrets"], {"owner": caller.owner.id})).fetchall()
        needs: dict[str, list[str]] = {}
        for one, _ in await stored.everything(conn):
            for name in connection_changes.secrets_of(one.auth):
                needs.setdefault(name, []).append(one.name)
    items = [Secret(**row, connections=needs.get(row["name"], [])) for row in rows]
    return Secrets(items=items, missing=sorted(needs.keys() - {one.name for one in items}))


async def put(caller: callers.Caller, secret: str, body: SecretValue) -> endpoint.Done:
    """Seals a secret's value under its name, in the place of what was there. Its grants stay. For the keeper.

    A new one is granted to the agents that were granted a connection which needs it.
    """
    caller.must_keep()
    value = body.value.get_secret_value()
    secret_needs.check(secret, value)
    async with caller.database.api() as conn:
        is_new = secret not in await vault.names(conn)
        await vault.put(conn, vault.key(caller.config.home), secret, value)
        waiting = await secret_needs.lacks(conn, secret, kind="connection") if is_new else []
        for agent in {lack.agent for lack in waiting}:
            await vault.grant(conn, secret, (await agents.get(conn, agent)).id)
        lacks = await secret_needs.lacks(conn, secret)
    more = f" {lacks[0].advice}" if lacks else ""
    return endpoint.Done(said=f"{secret} is sealed.{more}")


async def remove(caller: callers.Caller, secret: str) -> endpoint.Done:
    """Forgets a secret's value, and who may use it. For the keeper."""
    caller.must_keep()
    async with caller.database.api() as conn:
        await vault.remove(conn, secret)
    return endpoint.Done(said=f"{secret} is forgotten. What needed it is refused from now on.")


async def grant(caller: callers.Caller, secret: str, agent: str) -> endpoint.Done:
    """Lets the connections of one of your agents use a secret; the agent itself never sees it. For the keeper."""
    caller.must_keep()
    async with caller.database.api() as conn:
        await vault.grant(conn, secret, (await callers.agent(conn, caller, agent)).id)
    return endpoint.Done(said=f"Connections of {agent} may use {secret}.")


async def revoke(caller: callers.Caller, secret: str, agent: str) -> endpoint.Done:
    """Takes a secret back from one of your agents, from the next use on. For the keeper."""
    caller.must_keep()
    async with caller.database.api() as conn:
        await vault.revoke(conn, secret, (await callers.agent(conn, caller, agent)).id)
    return endpoint.Done(said=f"Connections of {agent} may not use {secret} any more.")


ENDPOINTS = (
    endpoint.Endpoint("GET", "/secrets", "read", listing),
    endpoint.Endpoint("PUT", "/secrets/{secret}", "admin", put),
    endpoint.Endpoint("DELETE", "/secrets/{secret}", "admin", remove),
    endpoint.Endpoint("PUT", "/secrets/{secret}/grants/{agent}", "admin", grant),
    endpoint.Endpoint("DELETE", "/secrets/{secret}/grants/{agent}", "admin", revoke),
)
