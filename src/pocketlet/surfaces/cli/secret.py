"""`pocketlet secret set | list | grant | revoke | rekey | remove`."""

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from pocketlet import errors, settings
from pocketlet.surfaces.cli import output, session

if TYPE_CHECKING:
    from pocketlet.db import pool
    from pocketlet.platform import secret_needs


@click.group()
def secret() -> None:
    """Keep keys and passwords, sealed."""


@secret.command(name="set")
@click.argument("name")
@output.as_json
def put(name: str, *, as_json: bool) -> None:
    """Seal a value, read from stdin or a hidden prompt.

    NAME is that of the variable that it stands for, such as OPENAI_API_KEY; the environment's own goes first.
    Setting it again replaces the value; the agents that may use it stay the same.
    """
    from pocketlet.platform import secret_needs

    secret_needs.check_name(name)
    value = click.prompt(name, hide_input=True, err=True) if sys.stdin.isatty() else _piped()
    if not value:
        raise errors.BadInput("The value is empty.", hint=f"Type it, or pipe it in: pocketlet secret set {name} < FILE")
    secret_needs.check(name, value)
    lacks = session.api(_put, name, value)
    if as_json:
        output.document({"secret": name, "set": True, "barred": [asdict(one) for one in lacks]})
        return
    output.line(f"{name} is sealed.")
    if "\n" in value or "\r" in value:
        output.note("Note: it has more than one line. A program may be given it; as a login it can't be sent.")
    for one in lacks:
        output.note(f"Next: {one.advice}")


def _piped() -> str:
    from pocketlet.platform import vault

    try:
        return sys.stdin.buffer.read(2 * vault.LONGEST).decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:  # its text is not passed on: it quotes the value
        raise errors.BadInput("The value is not UTF-8 text.") from None


@secret.command(name="list")
@click.option("--long", is_flag=True, help="Add when each was made; with --json, all of it.")
@output.as_json
def listing(*, long: bool, as_json: bool) -> None:
    """List the names, with changes, last use and agents; values are never shown."""
    rows = session.api(_listing)
    if as_json:
        names = {"secrets": [row["secret"] for row in rows]}
        output.document(names | {"details": rows} if long else names)
        return
    times = ("created_at", "changed_at", "last_used_at") if long else ("changed_at", "last_used_at")
    columns = ("secret", *(name.removesuffix("_at").replace("_", " ") for name in times), "agents")
    shown = [
        [row["secret"], *(output.when(row[name])[:10] for name in times), ", ".join(row["agents"])] for row in rows
    ]
    if rows:
        output.table(columns, shown)
    else:
        output.note("There are none: `pocketlet secret set NAME` seals one.")


@secret.command()
@click.argument("name")
@click.argument("agent")
@output.as_json
def grant(name: str, agent: str, *, as_json: bool) -> None:
    """Let an agent's connections use a value; the agent itself never sees it."""
    session.api(_change_grant, name, agent, granted=True)
    output.say(
        {"secret": name, "agent": agent, "granted": True}, f"Connections of {agent} may use {name}.", as_json=as_json
    )


@secret.command()
@click.argument("name")
@click.argument("agent")
@output.as_json
def revoke(name: str, agent: str, *, as_json: bool) -> None:
    """Take a grant back: it counts from the next use."""
    session.api(_change_grant, name, agent, granted=False)
    output.say(
        {"secret": name, "agent": agent, "granted": False},
        f"Connections of {agent} may not use {name} any more.",
        as_json=as_json,
    )


@secret.command()
@click.option("--lost", is_flag=True, help="The old key is lost: forget the values that need it.")
@click.option("--yes", is_flag=True, help="Of --lost: do not ask.")
@output.as_json
def rekey(*, lost: bool, yes: bool, as_json: bool) -> None:
    """Make a new key file and seal every value anew with it.

    If this is cut short, nothing is lost: do it once more.
    """
    if lost and not yes and not (sys.stdin.isatty() and click.confirm("Forget what can't be opened?", err=True)):
        raise errors.Refused("Nothing was changed.", hint="`pocketlet secret rekey --lost --yes` forgets it.")
    count, forgotten = session.call(_rekey, lost=lost)
    if as_json:
        output.document({"rekeyed": count, "forgotten": forgotten})
        return
    output.line(f"{count} values are sealed with a new key.")
    for name in forgotten:
        output.note(f"{name} is forgotten: `pocketlet secret set {name}` seals it anew.")
    output.note("Back the key file up again; backups of the database from before need the old one.")


@secret.command()
@click.argument("name")
@output.as_json
def remove(name: str, *, as_json: bool) -> None:
    """Forget a value, and who may use it."""
    lacks = session.api(_remove, name)
    if as_json:
        output.document({"secret": name, "removed": True, "barred": [asdict(one) for one in lacks]})
        return
    output.line(f"{name} is removed.")
    for one in lacks:
        output.note(f"Next: {one.advice}")


async def _put(conn: "pool.Conn", name: str, value: str) -> "list[secret_needs.Lack]":
    from pocketlet.platform import secret_needs, vault

    await vault.put(conn, vault.key(settings.read().home), name, value)
    return await secret_needs.lacks(conn, name)


async def _listing(conn: "pool.Conn") -> list[dict[str, Any]]:
    from pocketlet.platform import vault

    return [{"secret": row.pop("name")} | row for row in await vault.listing(conn)]


async def _change_grant(conn: "pool.Conn", name: str, agent: str, *, granted: bool) -> None:
    from pocketlet.agents import agent as agents
    from pocketlet.platform import vault

    found = await agents.get(conn, agent)
    await (vault.grant if granted else vault.revoke)(conn, name, found.id)


async def _rekey(database: "pool.Database", *, lost: bool) -> tuple[int, list[str]]:
    from pocketlet.platform import vault

    config = settings.read()
    async with database.api() as conn:
        forgotten = await vault.forget_lost(conn, config.home) if lost else []
        count = await vault.rekey(conn, config.home, keep_logins=bool(config.database_url))
    async with database.api() as conn:
        await vault.settle(conn, config.home)
    return count, forgotten


async def _remove(conn: "pool.Conn", name: str) -> "list[secret_needs.Lack]":
    from pocketlet.platform import secret_needs, vault

    await vault.remove(conn, name)
    return await secret_needs.lacks(conn, name)
