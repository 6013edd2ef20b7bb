"""`pocketlet token create | list | revoke`."""

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

from pocketlet import clock
from pocketlet.surfaces.cli import output, session

if TYPE_CHECKING:
    from pocketlet.db import pool
    from pocketlet.platform import owners

SCOPES = ("read", "run", "approve", "admin")
TIMES = ("expires_at", "last_used_at")


@click.group()
def token() -> None:
    """Let programs use the API: each has scopes, and an end."""


@token.command()
@click.argument("name")
@click.option("--scope", "scopes", multiple=True, default=("read",), type=click.Choice(SCOPES), help="May be repeated.")
@click.option("--days", type=click.IntRange(1, 3650), default=90, show_default=True, help="Until it ends.")
@click.option("--owner", help="Whose (the first owner's, if not said).")
@output.as_json
def create(name: str, *, scopes: tuple[str, ...], days: int, owner: str | None, as_json: bool) -> None:
    """Make a token and print it, this once. NAME says what it is for.

    read: look at everything. run: start and stop runs, give feedback. approve: answer questions, adopt changes.
    admin: all else.
    """
    number, secret = session.api(_create, name, frozenset(scopes), days, owner)
    if as_json:
        output.document({"token": number, "name": name, "secret": secret, "scopes": sorted(set(scopes))})
        return
    output.line(secret)
    output.note("It is shown this once. A program sends it as `Authorization: Bearer TOKEN`.")


async def _create(
    conn: "pool.Conn", name: str, scopes: frozenset[str], days: int, owner: str | None
) -> tuple[int, str]:
    from pocketlet.platform import owners

    return await owners.new_token(conn, await whose(conn, owner), name, scopes, clock.now() + timedelta(days=days))


@token.command(name="list")
@click.option("--owner", help="Whose (the first owner's, if not said).")
@output.as_json
def listing(*, owner: str | None, as_json: bool) -> None:
    """List the tokens, with scopes, end and last use; the tokens themselves are not kept."""
    rows = session.api(_listing, owner)
    if as_json:
        output.document({"tokens": rows})
        return
    shown = [
        (row["id"], row["name"], ", ".join(row["scopes"]), *(output.when(row[time])[:16] for time in TIMES))
        for row in rows
    ]
    output.table(("token", "name", "scopes", "ends", "last used"), shown)


async def _listing(conn: "pool.Conn", owner: str | None) -> list[dict[str, Any]]:
    from pocketlet.platform import owners

    return await owners.tokens(conn, await whose(conn, owner))


@token.command()
@click.argument("number", metavar="TOKEN", type=click.IntRange(1, 2**63 - 1))
@click.option("--owner", help="Whose (the first owner's, if not said).")
@output.as_json
def revoke(number: int, *, owner: str | None, as_json: bool) -> None:
    """End a token, at once."""
    session.api(_revoke, number, owner)
    output.say({"token": number, "revoked": True}, f"Token {number} is no longer good.", as_json=as_json)


async def _revoke(conn: "pool.Conn", number: int, owner: str | None) -> None:
    from pocketlet.platform import owners

    await owners.revoke_token(conn, await whose(conn, owner), number)


async def whose(conn: "pool.Conn", name: str | None) -> "owners.Owner":
    """The owner of that name, or the first one. Raises errors.NotFound."""
    from pocketlet.platform import owners

    return await owners.by_name(conn, name) if name else (await owners.everyone(conn))[0]
