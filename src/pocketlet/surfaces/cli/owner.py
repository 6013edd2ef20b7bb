"""`pocketlet owner list | add | password | remove | give`."""

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from pocketlet import errors
from pocketlet.surfaces.cli import output, session

if TYPE_CHECKING:
    from pocketlet.db import pool
    from pocketlet.platform import owners


@click.group()
def owner() -> None:
    """Say who sees which agents, and how they log in."""


@owner.command(name="list")
@output.as_json
def listing(*, as_json: bool) -> None:
    """List the owners. With more than one, everybody logs in."""
    found = session.call(_everyone)
    if as_json:
        output.document({"owners": [asdict(one) for one in found]})
        return
    rows = [(one.name, "yes" if one.keeper else "", "yes" if one.has_password else "") for one in found]
    output.table(("owner", "keeps the installation", "password"), rows)


async def _everyone(database: "pool.Database") -> "list[owners.Owner]":
    from pocketlet.platform import owners

    async with database.api() as conn:
        return await owners.everyone(conn)


@owner.command()
@click.argument("name")
@output.as_json
def add(name: str, *, as_json: bool) -> None:
    """Add an owner, who sees her own agents alone."""
    session.call(_add, name)
    if as_json:
        output.document({"owner": name, "added": True})
        return
    output.line(f"{name} is an owner. From now on everybody logs in.")
    output.note(f"Next: `pocketlet open --owner {name} --no-browser` prints an address to log in with.")


async def _add(database: "pool.Database", name: str) -> None:
    from pocketlet.platform import owners

    async with database.api() as conn:
        await owners.add(conn, name)


@owner.command()
@click.argument("name")
@output.as_json
def password(name: str, *, as_json: bool) -> None:
    """Set a password, read from stdin or a hidden prompt. All browsers of the owner are logged out."""
    if sys.stdin.isatty():
        value = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    else:
        value = sys.stdin.readline(1001).rstrip("\r\n")
    if not value:
        raise errors.BadInput("The password is empty.", hint=f"Type it, or pipe it in: owner password {name} < FILE")
    session.call(_password, name, value)
    if as_json:
        output.document({"owner": name, "password": True})
    else:
        output.line(f"{name} logs in with this password from now on.")


async def _password(database: "pool.Database", name: str, value: str) -> None:
    from pocketlet.platform import owners

    async with database.api() as conn:
        await owners.set_password(conn, name, value)


@owner.command()
@click.argument("name")
@output.as_json
def remove(name: str, *, as_json: bool) -> None:
    """Remove an owner who has no agents, with her sessions and tokens."""
    session.call(_remove, name)
    if as_json:
        output.document({"owner": name, "removed": True})
    else:
        output.line(f"{name} is removed.")


async def _remove(database: "pool.Database", name: str) -> None:
    from pocketlet.platform import owners

    async with database.api() as conn:
        await owners.remove(conn, name)


@owner.command()
@click.argument("agent")
@click.argument("name")
@output.as_json
def give(agent: str, name: str, *, as_json: bool) -> None:
    """Give an agent to an owner, with all its runs, memories and questions."""
    session.call(_give, agent, name)
    if as_json:
        output.document({"agent": agent, "owner": name})
    else:
        output.line(f"{agent} is {name}'s now.")


async def _give(database: "pool.Database", agent: str, name: str) -> None:
    from pocketlet.platform import owners

    async with database.api() as conn:
        await owners.give(conn, agent, name)
