"""`pocketlet token create | list | revoke`."""

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

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
    number, secret = session.call(_create, name, frozenset(scopes), days, owner)
    if as_json:
        output.document({"token": number, "name": name, "secret": secret, "scopes": sorted(set(scopes))})
        return
    output.line(secret)
    output.note("It is shown this once. A program sends it as `Authorization: Bearer TOKEN`.")


async def _create(
    database: "pool.Database", name: str, scopes: frozenset[str], days: int, owner: str | None
) -> tuple[int, str]:
    from pocketlet import clock
    from pocketlet.platform import owners

    async with database.api() as conn:
        whose = await _whose(conn, owner)
        return await owners.new_token(conn, whose, name, scopes, clock.now() + timedelta(days=days))


@token.command(name="list")
@click.option("--owner", help="Whose (the first owner's, if not said).")
@output.as_json
def listing(*, owner: str | None, as_json: bool) -> None:
    """List the tokens, with scopes, end and last use; the tokens themselves are not kept."""
    rows = session.call(_listing, owner)
    if as_json:
        output.document({"tokens": rows})
        return
    shown = [
        (row["id"], row["name"], ", ".join(row["scopes"]), *(output.when(row[time])[:16] for time in TIMES))
        for row in rows
    ]
    output.table(("token", "name", "scopes", "ends", "last used"), shown)


async def _listing(database: "pool.Database", owner: str | None) -> list[dict[str, Any]]:
    from pocketlet.platform import owners

    async with database.api() as conn:
        return await owners.tokens(conn, await _whose(conn, owner))


@token.command()
@click.argument("number", metavar="TOKEN", type=click.IntRange(1, 2**63 - 1))
@click.option("--owner", help="Whose (the first owner's, if not said).")
@output.as_json
def revoke(number: int, *, owner: str | None, as_json: bool) -> None:
    """End a token, at once."""
    session.call(_revoke, number, owner)
    if as_json:
        output.document({"token": number, "revoked": True})
    else:
        output.line(f"Token {number} is no longer good.")


async def _revoke(database: "pool.Database", number: int, owner: str | None) -> None:
    from pocketlet.platform import owners

    async with database.api() as conn:
        await owners.revoke_token(conn, await _whose(conn, owner), number)


async def _whose(conn: "pool.Conn", name: str | None) -> "owners.Owner":
    from pocketlet.platform import owners

    return await owners.by_name(conn, name) if name else (await owners.everyone(conn))[0]
