"""`pocketlet secret set | list | remove`."""

import re
import sys
from typing import TYPE_CHECKING

import click

from pocketlet import errors, settings
from pocketlet.surfaces.cli import output, session

if TYPE_CHECKING:
    from pocketlet.db import pool

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")


@click.group()
def secret() -> None:
    """Keep keys and passwords, sealed."""


@secret.command(name="set")
@click.argument("name")
@output.as_json
def put(name: str, *, as_json: bool) -> None:
    """Seal a value, read from stdin or a hidden prompt.

    NAME is that of the variable that it stands for, such as OPENAI_API_KEY; the environment's own goes first.
    """
    if not NAME.fullmatch(name):
        raise errors.BadInput(f"{name!r} is not a name: use letters, digits and _.", hint="For example OPENAI_API_KEY.")
    value = click.prompt(name, hide_input=True, err=True) if sys.stdin.isatty() else _piped()
    if not value:
        raise errors.BadInput("The value is empty.", hint=f"Type it, or pipe it in: pocketlet secret set {name} < FILE")
    if name == "POCKETLET_SMTP_URL":
        from pocketlet.platform.gateways import submission

        submission.read(value)  # a worker would stumble over it at each run
    session.call(_put, name, value)
    if as_json:
        output.document({"secret": name, "set": True})
    else:
        output.line(f"{name} is sealed.")


def _piped() -> str:
    try:
        return sys.stdin.buffer.read().decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:  # its text is not passed on: it quotes the value
        raise errors.BadInput("The value is not UTF-8 text.") from None


@secret.command(name="list")
@output.as_json
def listing(*, as_json: bool) -> None:
    """List the names; values are never shown."""
    names = session.call(_names)
    if as_json:
        output.document({"secrets": names})
        return
    for name in names:
        output.line(name)
    if not names:
        output.note("There are none: `pocketlet secret set NAME` seals one.")


@secret.command()
@click.argument("name")
@output.as_json
def remove(name: str, *, as_json: bool) -> None:
    """Forget a value."""
    session.call(_remove, name)
    if as_json:
        output.document({"secret": name, "removed": True})
    else:
        output.line(f"{name} is removed.")


async def _put(database: "pool.Database", name: str, value: str) -> None:
    from pocketlet.platform import vault

    async with database.api() as conn:
        await vault.put(conn, vault.key(settings.read().home), name, value)


async def _names(database: "pool.Database") -> list[str]:
    from pocketlet.platform import vault

    async with database.api() as conn:
        return await vault.names(conn)


async def _remove(database: "pool.Database", name: str) -> None:
    from pocketlet.platform import vault

    async with database.api() as conn:
        await vault.remove(conn, name)
