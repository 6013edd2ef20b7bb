"""MCP servers: which there are, what each of their tools is allowed to be, and which agents may use them."""

from datetime import datetime
from typing import Annotated, Any, Literal

import pydantic

from pocketlet import errors
from pocketlet.db import pool
from pocketlet.platform import mcp_review, mcp_schema, mcp_servers, secret_needs, vault
from pocketlet.surfaces.api import caller as callers
from pocketlet.surfaces.api import connecting, endpoint

Effect = Literal["read", "idempotent", "keyed", "unsafe"]
Name = Annotated[str, pydantic.Field(max_length=200)]
Long = Annotated[str, pydantic.Field(max_length=4_000)]


class McpServer(endpoint.Model):
    """A server whose tools agents may use. `command` and `url`: where it is; only who keeps the installation is told.
    `agents`: yours; `others`: how many of other owners. `barred`: those of yours that can't use it for want of a
    secret. `on` and `new`: how many of its tools may be used, and how many wait for a review.
    """

    name: str
    transport: Literal["stdio", "http"]
    command: list[str]
    url: str
    off: bool
    agents: list[str]
    others: int
    barred: list[str]
    on: int
    new: int


class McpServers(endpoint.Model):
    """All that the caller may see."""

    items: list[McpServer]


class McpTool(endpoint.Model):
    """A tool as it was last shown. `description`, `parameters` (what runs are told of them, as JSON Schema) and `hints`
    are the server's words; `effect` is yours, and counts: what doing it twice means. `problem`: why it can't be turned
    on. `previous`: the description that you decided on, if it has to be decided on anew; else null.
    """

    tool: str
    description: str
    parameters: dict[str, Any]
    hints: list[str]
    digest: str
    effect: Effect
    state: Literal["new", "on", "off"]
    problem: str
    previous: str | None
    reviewed_at: datetime | None


class McpShown(McpServer):
    """With its tools, and the names of the secrets that it is given: whether each is set, and in `lacks`, by your
    agents, those that each may not use yet.
    """

    pinned: list[str]
    secrets: dict[str, bool]
    lacks: dict[str, list[str]]
    created_at: datetime
    tools: list[McpTool]


class McpReviewed(McpShown):
    """`gone`: tools that it had before, and has no longer."""

    gone: list[str]


class McpWanted(endpoint.Model):
    """A server as you want it: `url` (with addresses in `pinned`, if it is one of your own), or `command`: a program on
    this machine and its arguments, which no shell reads. It runs as the user that runs Pocketlet, and may do what that
    user may. `secrets`: names of sealed values that it is given, as variables, or the one as its bearer token.
    """

    name: Name
    command: list[Long] = pydantic.Field([], max_length=100)
    url: Long = ""
    secrets: list[Name] = pydantic.Field([], max_length=20)
    pinned: list[Name] = pydantic.Field([], max_length=20)


class McpOn(endpoint.Model):
    """A tool that may be used from now on. `digest`: of the tool as you were shown it."""

    tool: Name
    effect: Effect
    digest: Annotated[str, pydantic.Field(pattern="^[0-9a-f]{64}$")]


class McpReview(endpoint.Model):
    """Your word on tools; empty: you only look. `off`: their names."""

    on: list[McpOn] = pydantic.Field([], max_length=200)
    off: list[Name] = pydantic.Field([], max_length=200)


async def listing(caller: callers.Caller) -> McpServers:
    """Lists the MCP servers that your agents may use; whoever keeps the installation sees them all."""
    async with caller.database.api() as conn:
        return McpServers(items=await _items(conn, caller))


async def of_agent(caller: callers.Caller, agent: str) -> McpServers:
    """Lists the MCP servers that one of your agents may use."""
    async with caller.database.api() as conn:
        await callers.agent(conn, caller, agent)
        return McpServers(items=[one for one in await _items(conn, caller) if agent in one.agents])


async def show(caller: callers.Caller, server: str) -> McpShown:
    """Shows an MCP server and its tools as you reviewed them. Nothing is started or called."""
    async with caller.database.api() as conn:
        return await _shown(conn, caller, server)


async def add(caller: callers.Caller, body: McpWanted) -> McpShown:
    """Makes an MCP server known. Nothing of it is started or can be used before you have reviewed its tools."""
    caller.must_keep()
    pinned = tuple(pin.strip() for pin in body.pinned if pin.strip())
    secrets = tuple(name.strip() for name in body.secrets if name.strip())
    draft = mcp_servers.Draft(body.name.strip(), mcp_servers.program(body.command), body.url.strip(), secrets, pinned)
    async with caller.database.api() as conn:
        await mcp_servers.add(conn, draft)
        return await _shown(conn, caller, draft.name)


async def review(caller: callers.Caller, server: str, body: McpReview) -> McpReviewed:
    """Asks an MCP server for its tools as they are now, and turns on what you say. A program is started for it.

    What is shown is stored; a tool is turned on only as it was shown to you.
    """
    caller.must_keep()
    tools = dict.fromkeys(body.off, mcp_review.OFF) | {one.tool: ("on", one.effect) for one in body.on}
    wish = mcp_review.Wish(tools, shown={one.tool: one.digest for one in body.on})
    found = await mcp_review.by_owner(caller.database, caller.config.home, server, wish)
    return McpReviewed(**dict(await show(caller, server)), gone=found["gone"])


async def switch(caller: callers.Caller, server: str, body: connecting.Switch) -> McpShown:
    """Switches an MCP server off for all agents, runs at work included, or lets it be used again."""
    caller.must_keep()
    async with caller.database.api() as conn:
        await mcp_servers.switch(conn, server, off=body.off)
        return await _shown(conn, caller, server)


async def grant(caller: callers.Caller, server: str, agent: str) -> McpShown:
    """Lets one of your agents use the tools of an MCP server that are on. Its secrets are granted one by one."""
    caller.must_keep()
    async with caller.database.api() as conn:
        await mcp_servers.grant(conn, server, (await callers.agent(conn, caller, agent)).id)
        return await _shown(conn, caller, server)


async def revoke(caller: callers.Caller, server: str, agent: str) -> endpoint.Done:
    """Takes an MCP server back from one of your agents, from its next call on."""
    async with caller.database.api() as conn:
        mine = await callers.agent(conn, caller, agent)
        await _item(conn, caller, server)
        await mcp_servers.revoke(conn, server, mine.id)
    return endpoint.Done(said=f"{agent} may not use {server} any more.")


async def remove(caller: callers.Caller, server: str) -> endpoint.Done:
    """Forgets an MCP server, its tools, its grants and the standing rules that name it."""
    caller.must_keep()
    async with caller.database.api() as conn:
        await mcp_servers.remove(conn, server)
    return endpoint.Done(said=f"{server} is removed, with its tools, its grants and the rules that named it.")


async def _items(conn: pool.Conn, caller: callers.Caller) -> list[McpServer]:
    """Those that the caller may see, without what is the keeper's to know."""
    mine = {one.name for one in await callers.everyone(conn, caller)}
    lacks = await secret_needs.lacks(conn, kind="mcp")
    items: list[McpServer] = []
    for row in await mcp_servers.listing(conn):
        agents = [name for name in row["agents"] if name in mine]
        if not (agents or caller.owner.keeper):
            continue
        if not caller.owner.keeper:
            row |= {"command": [], "url": ""}
        row["agents"], row["others"] = agents, len(row["agents"]) - len(agents)
        row["barred"] = sorted({lack.agent for lack in lacks if lack.name == row["name"] and lack.agent in mine})
        items.append(McpServer(**row))
    return items


async def _item(conn: pool.Conn, caller: callers.Caller, name: str) -> McpServer:
    """One that the caller may see. Raises errors.NotFound, in the same words for one that is not there."""
    for one in await _items(conn, caller):
        if one.name == name:
            return one
    raise errors.NotFound(f"There is no MCP server {name!r}.", hint="Look at the list of your MCP servers.")


async def _shown(conn: pool.Conn, caller: callers.Caller, name: str) -> McpShown:
    item = await _item(conn, caller, name)
    stored = await mcp_servers.get(conn, name)
    secrets: dict[str, bool] = {}
    lacks: dict[str, list[str]] = {}
    if caller.owner.keeper:
        known = set(await vault.names(conn))
        secrets = {secret: secret in known for secret in stored.secrets}
        for lack in await secret_needs.lacks(conn, kind="mcp", name=name):
            if lack.agent in item.agents:
                lacks.setdefault(lack.agent, []).append(lack.secret)
    return McpShown(
        **dict(item),
        pinned=list(stored.pinned) if caller.owner.keeper else [],
        secrets=secrets,
        lacks=lacks,
        created_at=stored.created_at,
        tools=[_tool(one) for one in await mcp_servers.tools(conn, stored)],
    )


def _tool(one: mcp_servers.Tool) -> McpTool:
    same = ("tool", "description", "hints", "digest", "state", "problem", "previous", "reviewed_at")
    values: dict[str, Any] = {name: getattr(one, name) for name in same} | {"effect": one.effect_class}
    return McpTool(**values, parameters={} if one.problem else mcp_schema.simplified(one.schema))


ENDPOINTS = (
    endpoint.Endpoint("GET", "/mcp", "read", listing),
    endpoint.Endpoint("GET", "/agents/{agent}/mcp", "read", of_agent),
    endpoint.Endpoint("GET", "/mcp/{server}", "read", show),
    endpoint.Endpoint("POST", "/mcp", "admin", add, status=201),
    endpoint.Endpoint("DELETE", "/mcp/{server}", "admin", remove),
    endpoint.Endpoint("POST", "/mcp/{server}/review", "admin", review, keyed=True),
    endpoint.Endpoint("PUT", "/mcp/{server}/switch", "admin", switch),
    endpoint.Endpoint("PUT", "/mcp/{server}/grants/{agent}", "admin", grant),
    endpoint.Endpoint("DELETE", "/mcp/{server}/grants/{agent}", "admin", revoke),
)
