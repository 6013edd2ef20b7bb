"""The owner's MCP servers as rows: what was set up, what was reviewed, and who may use it. Each change is audited."""

import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from pocketlet import errors
from pocketlet.db import pool, queries
from pocketlet.platform import audit, mcp_schema
from pocketlet.platform.gateways import addresses, mcp_client, mcp_http

Q = queries.load("mcp")
NAME = re.compile(r"[a-z][a-z0-9-]{0,19}")
#: What every provider takes in a tool's name, and with a server's name and `__` before it not more than 64 of them.
TOOL = re.compile(r"[A-Za-z0-9_-]{1,40}")
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
#: Variables that would make a program of another one, or send what it sends elsewhere.
NOT_TO_SET = re.compile(r"(?i)PATH|HOME|IFS|ENV|LD_.*|DYLD_.*|PYTHON.*|NODE_OPTIONS|NODE_PATH|PERL.*|RUBY.*|.*_PROXY")
CLASSES = ("read", "idempotent", "keyed", "unsafe")
#: In a listing, a tool that can't be offered.
UNUSABLE = "its name can't be offered to a model: 1 to 40 of A-Z a-z 0-9 _ -"


@dataclass(frozen=True, slots=True)
class Server:
    """A server as it is stored. `secrets`: names only; `agents`: who may use it."""

    id: int
    name: str
    transport: str
    command: Sequence[str]
    url: str
    secrets: Sequence[str]
    pinned: Sequence[str]
    off: bool
    created_at: datetime
    agents: Sequence[str]

    def opened(self, secrets: Mapping[str, str]) -> mcp_client.Server:
        """For the gateway, with the values of its secrets."""
        return mcp_client.Server(self.name, tuple(self.command), self.url, tuple(self.pinned), secrets)


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool as it was last shown to the owner. `effect_class`: the owner's word on what a call does there.

    `fault`: why it was left out of the server's list, if it was. `reviewed`: its description as the owner last decided
    on it.
    """

    tool: str
    description: str
    schema: Mapping[str, Any]
    annotations: Mapping[str, Any]
    digest: str
    fault: str
    effect_class: str
    state: str
    reviewed: str | None
    reviewed_at: datetime | None

    @property
    def previous(self) -> str | None:
        """What the owner decided on, if it has to be decided on anew."""
        return self.reviewed if self.state == "new" else None

    @property
    def hints(self) -> list[str]:
        """What it says of itself."""
        return [name for name, value in sorted(self.annotations.items()) if value is True]

    @property
    def problem(self) -> str:
        """Why it can't be turned on; nothing if it can."""
        if self.fault:
            return f"it is left out: {self.fault}"
        if not TOOL.fullmatch(self.tool):
            return UNUSABLE
        try:
            mcp_schema.simplified(self.schema)
        except errors.BadInput as error:
            return str(error)
        return ""


@dataclass(frozen=True, slots=True)
class Draft:
    """A server that the owner wants to add: a command, or a URL with its pins; the names of secrets."""

    name: str
    command: tuple[str, ...] = ()
    url: str = ""
    secrets: tuple[str, ...] = ()
    pinned: tuple[str, ...] = ()

    def check(self) -> None:
        """Raises errors.BadInput."""
        if not NAME.fullmatch(self.name):
            raise errors.BadInput(f"{self.name!r} is not a name: a-z, then up to 19 of a-z 0-9 -.")
        if bool(self.command) == bool(self.url):
            raise errors.BadInput("A server is either a command after -- or a URL.", hint="`pocketlet mcp add --help`")
        strange = [name for name in self.secrets if not VARIABLE.fullmatch(name) or NOT_TO_SET.fullmatch(name)]
        if strange:
            raise errors.BadInput(f"A server can't be given a variable {strange[0]!r}.")
        if self.command and self.pinned:
            raise errors.BadInput("Only the server of a URL has an address to pin.")
        if any("\x00" in part for part in self.command):
            raise errors.BadInput("A command holds no NUL.")
        if self.url:
            addresses.check_pins(self.pinned)
            mcp_http.checked(self.url, self.pinned)
            if len(self.secrets) > 1:
                raise errors.BadInput("The server of a URL is given one secret: its bearer token.")


def program(command: Sequence[str]) -> tuple[str, ...]:
    """The command with its program by its path, so that it is the same one whatever the PATH is later.

    Raises errors.BadInput if there is no such program.
    """
    if not command:
        return ()
    found = shutil.which(command[0])
    if found is None:
        hint = "Install it first, or give its whole path."
        raise errors.BadInput(f"There is no program {command[0]!r} that can be run.", hint=hint)
    return (str(Path(found).absolute()), *command[1:])


async def add(conn: pool.Conn, draft: Draft) -> None:
    """Raises errors.BadInput, errors.Conflict."""
    draft.check()
    values = {
        "name": draft.name,
        "transport": "stdio" if draft.command else "http",
        "command": list(draft.command),
        "url": draft.url,
        "secrets": sorted(set(draft.secrets)),
        "pinned": list(draft.pinned),
    }
    if await (await conn.execute(Q["add"], values)).fetchone() is None:
        hint = f"`pocketlet mcp remove {draft.name} --yes` removes it."
        raise errors.Conflict(f"There is an MCP server {draft.name!r} already.", hint=hint)
    details = {key: value for key, value in values.items() if key != "name"}
    await audit.write(conn, audit.Entry("owner", "mcp.add", draft.name, details=details))


async def get(conn: pool.Conn, name: str) -> Server:
    """Raises errors.NotFound."""
    row = await (await conn.execute(Q["get"], {"name": name})).fetchone()
    if row is None:
        raise errors.NotFound(f"There is no MCP server {name!r}.", hint="`pocketlet mcp list` names them.")
    return Server(**row)


async def listing(conn: pool.Conn) -> list[dict[str, Any]]:
    """Every server: `name`, `transport`, `command`, `url`, `off`, `agents`, and how many tools are `on` and `new`."""
    return await (await conn.execute(Q["list"])).fetchall()


async def tools(conn: pool.Conn, server: Server) -> list[Tool]:
    """What was shown of its tools, by name."""
    rows = await (await conn.execute(Q["tools"], {"id": server.id})).fetchall()
    return [Tool(**{("effect_class" if key == "class" else key): value for key, value in row.items()}) for row in rows]


async def switch(conn: pool.Conn, name: str, *, off: bool) -> None:
    """The cut-off switch. Raises errors.NotFound."""
    server = await get(conn, name)
    await conn.execute(Q["switch"], {"id": server.id, "off": off})
    await audit.write(conn, audit.Entry("owner", "mcp.off" if off else "mcp.on", name))


async def remove(conn: pool.Conn, name: str) -> None:
    """With its tools and grants. Raises errors.NotFound."""
    server = await get(conn, name)
    await conn.execute(Q["remove"], {"id": server.id})
    await audit.write(conn, audit.Entry("owner", "mcp.remove", name))


async def grant(conn: pool.Conn, name: str, agent_id: int) -> None:
    """Lets an agent use the tools that are on. Raises errors.NotFound."""
    server = await get(conn, name)
    if (await conn.execute(Q["grant"], {"id": server.id, "agent": agent_id})).rowcount:
        await audit.write(conn, audit.Entry("owner", "mcp.grant", name, agent_id=agent_id))


async def revoke(conn: pool.Conn, name: str, agent_id: int) -> None:
    """Raises errors.NotFound if there is no such server or grant."""
    server = await get(conn, name)
    if (await conn.execute(Q["revoke"], {"id": server.id, "agent": agent_id})).rowcount == 0:
        hint = f"`pocketlet mcp show {name}` names the agents that may."
        raise errors.NotFound(f"That agent may not use {name} anyway.", hint=hint)
    await audit.write(conn, audit.Entry("owner", "mcp.revoke", name, agent_id=agent_id))


def _values(server_id: int, entry: mcp_client.Listed) -> dict[str, object]:
    return {
        "id": server_id,
        "tool": entry.tool,
        "description": entry.description.replace("\x00", "\ufffd").encode("utf-8", "replace").decode(),
        "schema": pool.jsonb(dict(entry.schema)),
        "annotations": pool.jsonb(dict(entry.annotations)),
        "digest": entry.digest,
        "fault": entry.fault,
    }


async def hold(conn: pool.Conn, server: Server) -> None:
    """Whoever changes what is known of this server's tools takes turns until the end of the transaction."""
    await conn.execute(Q["hold"], {"id": server.id})


async def show(conn: pool.Conn, server: Server, listed: Sequence[mcp_client.Listed]) -> None:
    """Stores what the owner is shown now. A tool that is not what it was is off; one that is gone is forgotten."""
    await conn.execute(Q["hold"], {"id": server.id})
    for entry in listed:
        await conn.execute(Q["show"], _values(server.id, entry))
    await conn.execute(Q["forget"], {"id": server.id, "tools": [entry.tool for entry in listed]})


async def decide(conn: pool.Conn, server: Server, tool: Tool, *, state: str, effect_class: str) -> None:
    """The owner's word on a tool as it was shown. Raises errors.BadInput, errors.Conflict."""
    if tool.problem and state == "on":
        raise errors.BadInput(f"{tool.tool!r} can't be turned on: {tool.problem}.")
    values = {"id": server.id, "tool": tool.tool, "digest": tool.digest, "state": state, "class": effect_class}
    if (await conn.execute(Q["decide"], values)).rowcount == 0:
        raise errors.Conflict(f"{tool.tool} has changed since.", hint=f"`pocketlet mcp review {server.name}`")
    details = {"digest": tool.digest, "class": effect_class}
    entry = audit.Entry("owner", f"mcp.tool_{state}", f"{server.name}/{tool.tool}", details=details)
    await audit.write(conn, entry)


async def compare(conn: pool.Conn, server_id: int, name: str, listed: Sequence[mcp_client.Listed]) -> list[str]:
    """Turns off, until the owner looks, tools that are not listed as they were reviewed; their names, with new ones."""
    await conn.execute(Q["hold"], {"id": server_id})
    values = {"id": server_id, "tools": [one.tool for one in listed], "digests": [one.digest for one in listed]}
    doubted = [row["tool"] for row in await (await conn.execute(Q["doubt"], values)).fetchall()]
    noticed = [entry.tool for entry in listed if (await conn.execute(Q["notice"], _values(server_id, entry))).rowcount]
    for tool in sorted(doubted):
        await audit.write(conn, audit.Entry("gate", "mcp.doubt", f"{name}/{tool}", verdict="deny", rule="mcp-digest"))
    return sorted({*doubted, *noticed})
