"""The owner's review of a server: what is shown is stored, and only what was shown before can be turned on."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pocketlet import errors
from pocketlet.db import pool
from pocketlet.platform import mcp_servers, vault
from pocketlet.platform.gateways import mcp_client

#: The state and class of a tool that is turned off.
OFF = ("off", "unsafe")


@dataclass(frozen=True, slots=True)
class Wish:
    """What the owner says: by tool its state and class; `all_reads`: what calls itself read-only is on, as read.

    `shown`: digests of tools as the owner saw them, where that may have been before somebody else looked.
    """

    tools: Mapping[str, tuple[str, str]]
    all_reads: bool = False
    shown: Mapping[str, str] = field(default_factory=dict[str, str])


async def by_owner(database: pool.Database, home: Path, name: str, wish: Wish) -> dict[str, Any]:
    """`review` with the secrets of the vault, and what that raises. `home`: where the vault's key is."""
    async with database.api() as conn:
        secrets = await vault.opened(conn, vault.key(home)) if await vault.names(conn) else {}
    return await review(database, name, secrets, wish)


async def review(database: pool.Database, name: str, secrets: Mapping[str, str], wish: Wish) -> dict[str, Any]:
    """Lists the server's tools, stores that as shown, and turns on what was the same when it was last shown.

    Raises errors.NotFound, errors.Conflict (a wish is of a tool that has changed since, or was never shown; nothing is
    turned on, the list is stored), errors.BadInput, errors.EgressRefused, errors.ServiceUnreachable.
    """
    async with database.api() as conn:
        server = await mcp_servers.get(conn, name)
    listed = await mcp_client.listing(server.opened(_given(server, secrets)))
    async with database.api() as conn:
        before = {tool.tool: tool for tool in await mcp_servers.tools(conn, server)}
        await mcp_servers.show(conn, server, listed)
    same = {entry.tool for entry in listed if entry.tool in before and before[entry.tool].digest == entry.digest}
    async with database.api() as conn:
        await mcp_servers.hold(conn, server)  # before the audit chain, as a run's comparison does
        now = {tool.tool: tool for tool in await mcp_servers.tools(conn, server)}
        for tool, (state, effect_class) in _wished(wish, now, same, name).items():
            await mcp_servers.decide(conn, server, now[tool], state=state, effect_class=effect_class)
        found = await document(conn, name)
    return found | {"gone": sorted(before.keys() - now.keys())}


def _given(server: mcp_servers.Server, secrets: Mapping[str, str]) -> dict[str, str]:
    if missing := [name for name in server.secrets if name not in secrets]:
        hint = f"`pocketlet secret set {missing[0]}` seals it."
        raise errors.NotFound(f"The server {server.name} needs the secret {missing[0]}.", hint=hint)
    return {name: secrets[name] for name in server.secrets}


def _wished(
    wish: Wish, now: Mapping[str, mcp_servers.Tool], same: set[str], name: str
) -> Mapping[str, tuple[str, str]]:
    for tool in wish.tools:
        if tool not in now:
            raise errors.NotFound(f"{name} has no tool {tool!r}.", hint=f"`pocketlet mcp review {name}` lists them.")
        as_shown = tool in same and wish.shown.get(tool, now[tool].digest) == now[tool].digest
        if not as_shown and wish.tools[tool][0] == "on":
            hint = f"`pocketlet mcp review {name}`, then turn it on."
            raise errors.Conflict(f"{tool} is not what was shown to you before. Nothing was turned on.", hint=hint)
    reads = [tool for tool, entry in now.items() if entry.annotations.get("readOnlyHint") is True and not entry.problem]
    all_reads = {tool: ("on", "read") for tool in reads if tool in same and wish.all_reads}
    return all_reads | dict(wish.tools)


async def document(conn: pool.Conn, name: str) -> dict[str, Any]:
    """A server and its tools as they were last shown. Raises errors.NotFound."""
    server = await mcp_servers.get(conn, name)
    return asdict(server) | {"tools": [_told(tool) for tool in await mcp_servers.tools(conn, server)]}


def _told(tool: mcp_servers.Tool) -> dict[str, Any]:
    fields = asdict(tool)
    del fields["reviewed"]
    fields |= {"class": fields.pop("effect_class"), "hints": tool.hints}
    return fields | {"problem": tool.problem, "previous": tool.previous}
