"""`pocketlet connect renew`: the owner has looked at a connection, and it holds for another while."""

import sys
from typing import TYPE_CHECKING, Any

import click

from pocketlet import errors
from pocketlet.surfaces.cli import connect_draft, output, session

if TYPE_CHECKING:
    from pocketlet.db import pool
    from pocketlet.platform import connections


@click.command()
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@output.as_json
def renew(name: str, *, yes: bool, as_json: bool) -> None:
    """Show all of a connection and who may use it, and let it hold for 30 days more if you say yes.

    Past its review date, what changes something over it waits for your word; reads go on.
    """
    from pocketlet.platform import connection_changes

    found, agents = session.api(_look, name)
    if not as_json:
        connect_draft.tell(found)
        for agent in agents:
            output.line(f"  agent     {agent['name']}, to be reviewed on {agent['review_on']}")
    if not yes and not (sys.stdin.isatty() and click.confirm(f"Let {name} and its grants hold?", err=True)):
        hint = f"`pocketlet connect renew {name} --yes`; `connect revoke` and `connect allow --remove` narrow it."
        raise errors.Refused("Nothing was renewed.", hint=hint)
    renewed = session.api(connection_changes.renew, name)
    if as_json:
        names = [agent["name"] for agent in agents]
        output.document({"connection": name, "review_on": renewed.review_on, "agents": names})
    else:
        output.line(f"{name} and its grants hold until {renewed.review_on}.")


async def _look(conn: "pool.Conn", name: str) -> "tuple[connections.Connection, list[dict[str, Any]]]":
    from pocketlet.platform import connection_changes, connections

    found = await connections.get(conn, name)
    return found, await connection_changes.agents_of(conn, found)
