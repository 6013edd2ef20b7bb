"""`pocketlet mcp add | review | list | show | grant | revoke | on | off | remove`."""

import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import click

from pocketlet import errors, settings
from pocketlet.surfaces.cli import output, session

if TYPE_CHECKING:
    from pocketlet.db import pool

#: As in platform/mcp_servers.py, which the help need not import.
CLASSES = ("read", "idempotent", "keyed", "unsafe")

server: Callable[[Callable[..., None]], Callable[..., None]] = click.argument("server", metavar="NAME")


@click.group()
def mcp() -> None:
    """Use tools of MCP servers, after you have reviewed them."""


@mcp.command()
@server
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
@click.option("--url", help="A server that speaks streamable HTTP.")
@click.option("--pin", "pinned", multiple=True, metavar="ADDRESS", help="Its address or network, if it is a local one.")
@click.option("--secret", "secrets", multiple=True, metavar="NAME", help="A sealed secret that it is given.")
@output.as_json
def add(
    server: str, command: tuple[str, ...], url: str | None, pinned: tuple[str, ...], secrets: tuple[str, ...], *,
    as_json: bool,
) -> None:  # fmt: skip
    """Add a server: --url URL, or a program and its arguments after --.

    Nothing of it can be used before you have reviewed it.
    """
    from pocketlet.platform import mcp_servers

    draft = mcp_servers.Draft(server, mcp_servers.program(command), url or "", secrets, pinned)
    session.api(mcp_servers.add, draft)
    if as_json:
        output.document({"server": server, "added": True})
        return
    output.line(f"{server} is added.")
    if command:
        output.note("The program runs as you, and may read and write what you may.")
    output.note(f"Next: `pocketlet mcp review {server}` shows its tools.")


@mcp.command()
@server
@click.option("--on", "on", multiple=True, metavar="TOOL=CLASS", help=f"Turn a tool on, as {', '.join(CLASSES)}.")
@click.option("--off", "off", multiple=True, metavar="TOOL", help="Turn a tool off.")
@click.option("--all-reads", is_flag=True, help="Turn on, as read, every tool that calls itself read-only.")
@output.as_json
def review(server: str, on: tuple[str, ...], off: tuple[str, ...], *, all_reads: bool, as_json: bool) -> None:
    """Show a server's tools as they are now, and turn on those that may be used.

    A tool is turned on as it was last shown to you, so look first: without options.
    """
    from pocketlet.platform import mcp_review

    wanted = dict.fromkeys(off, mcp_review.OFF) | dict(map(_wanted, on))
    output.note(f"Asking {server} for its tools; this may take a minute.")
    found = session.call(mcp_review.by_owner, settings.read().home, server, mcp_review.Wish(wanted, all_reads))
    if as_json:
        output.document(found)
        return
    for tool in found["tools"]:
        _tell(tool)
    for tool in found["gone"]:
        output.line(f"{tool}: the server has it no longer")
    if any(tool["state"] == "new" and not tool["problem"] for tool in found["tools"]):
        output.note(
            f"Next: `pocketlet mcp review {server} --on TOOL=CLASS`; read: it changes nothing; unsafe: unknown."
        )


def _wanted(text: str) -> tuple[str, tuple[str, str]]:
    tool, _, effect_class = text.rpartition("=")
    if not tool or effect_class not in CLASSES:
        raise errors.BadInput(f"{text!r} is not TOOL=CLASS.", hint=f"Classes: {', '.join(CLASSES)}.")
    return tool, ("on", effect_class)


def _tell(tool: Mapping[str, Any]) -> None:
    """A tool with the server's words quoted: no line of theirs looks like one of ours."""
    standing = f"on, as {tool['class']}" if tool["state"] == "on" else tool["state"]
    output.line(f"{tool['tool']}: {tool['problem'] or standing}  ({tool['digest'][:16]})")
    if tool["fault"]:
        return
    if tool["hints"]:
        output.line(f"  it says of itself: {', '.join(tool['hints'])}")
    for line in tool["description"].splitlines():
        output.line(f"  > {line}")
    if tool["previous"] is not None and tool["previous"] != tool["description"]:
        output.line("  it was, when you reviewed it:")
        for line in tool["previous"].splitlines():
            output.line(f"  - {line}")
    output.line(f"  parameters: {_parameters(tool['schema'])}")


def _parameters(schema: Mapping[str, Any]) -> str:
    import json

    return json.dumps(schema.get("properties", {}), ensure_ascii=False)


@mcp.command(name="list")
@output.as_json
def listing(*, as_json: bool) -> None:
    """List the servers."""
    from pocketlet.platform import mcp_servers

    rows = session.api(mcp_servers.listing)
    if as_json:
        output.document({"servers": rows})
        return
    output.table(
        ("server", "is", "where", "on", "to review", "agents"),
        [
            (row["name"], "off" if row["off"] else "on", row["url"] or " ".join(row["command"]), row["on"], row["new"],
             ", ".join(row["agents"]))
            for row in rows
        ],
    )  # fmt: skip
    if not rows:
        output.note("There are none: `pocketlet mcp add NAME -- COMMAND` adds one.")


@mcp.command()
@server
@output.as_json
def show(server: str, *, as_json: bool) -> None:
    """Show a server and its tools as you reviewed them; nothing is started or called."""
    from pocketlet.platform import mcp_review

    found = session.api(mcp_review.document, server)
    if as_json:
        output.document(found)
        return
    where = found["url"] or " ".join(found["command"])
    output.line(f"{server}: {'off' if found['off'] else 'on'}, {where}")
    output.line(f"secrets: {', '.join(found['secrets']) or 'none'}; agents: {', '.join(found['agents']) or 'none'}")
    for tool in found["tools"]:
        _tell(tool)


@mcp.command()
@server
@click.argument("agent")
@output.as_json
def grant(server: str, agent: str, *, as_json: bool) -> None:
    """Let an agent use the tools that are on."""
    lacks = session.api(_grant, server, agent)
    if as_json:
        output.document({"server": server, "agent": agent, "granted": True})
        return
    output.line(f"{agent} may use {server}.")
    for advice in lacks:
        output.note(f"But {advice}")


@mcp.command()
@server
@click.argument("agent")
@output.as_json
def revoke(server: str, agent: str, *, as_json: bool) -> None:
    """Take a grant back."""
    session.api(_revoke, server, agent)
    if as_json:
        output.document({"server": server, "agent": agent, "granted": False})
    else:
        output.line(f"{agent} may no longer use {server}.")


@mcp.command(name="on")
@server
@output.as_json
def turn_on(server: str, *, as_json: bool) -> None:
    """Turn a server on again."""
    _switch(server, off=False, as_json=as_json)


@mcp.command(name="off")
@server
@output.as_json
def turn_off(server: str, *, as_json: bool) -> None:
    """Turn a server off for all agents, runs at work included."""
    _switch(server, off=True, as_json=as_json)


def _switch(server: str, *, off: bool, as_json: bool) -> None:
    from pocketlet.platform import mcp_servers

    session.api(mcp_servers.switch, server, off=off)
    if as_json:
        output.document({"server": server, "off": off})
    else:
        output.line(f"{server} is {'off' if off else 'on'}.")


@mcp.command()
@server
@click.option("--yes", is_flag=True, help="Do not ask.")
@output.as_json
def remove(server: str, *, yes: bool, as_json: bool) -> None:
    """Forget a server, its tools, its grants and the standing rules that name it."""
    if not yes and not (sys.stdin.isatty() and click.confirm(f"Remove {server}?", err=True)):
        raise errors.Refused("Nothing was removed.", hint=f"`pocketlet mcp remove {server} --yes` removes it.")
    from pocketlet.platform import mcp_servers

    session.api(mcp_servers.remove, server)
    if as_json:
        output.document({"server": server, "removed": True})
    else:
        output.line(f"{server} is removed.")


async def _grant(conn: "pool.Conn", name: str, agent: str) -> list[str]:
    """What the agent lacks still, each with the command that gives it."""
    from pocketlet.agents import agent as agents
    from pocketlet.platform import mcp_servers, secret_needs

    await mcp_servers.grant(conn, name, (await agents.get(conn, agent)).id)
    return [lack.advice for lack in await secret_needs.lacks(conn, kind="mcp", name=name) if lack.agent == agent]


async def _revoke(conn: "pool.Conn", name: str, agent: str) -> None:
    from pocketlet.agents import agent as agents
    from pocketlet.platform import mcp_servers

    await mcp_servers.revoke(conn, name, (await agents.get(conn, agent)).id)
