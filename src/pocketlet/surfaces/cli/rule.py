"""`pocketlet rule list | remove`: what the owner allows once and for all."""

from typing import TYPE_CHECKING, Any

import click

from pocketlet.surfaces.cli import output, session

if TYPE_CHECKING:
    from pocketlet.db import pool


@click.group()
def rule() -> None:
    """Show and end standing rules: what agents may do unasked (`approve --always` makes one)."""


@rule.command(name="list")
@output.as_json
def listing(*, as_json: bool) -> None:
    """List the rules in force; one whose review date has passed allows nothing any more."""
    found = session.call(_rules)
    if as_json:
        output.document({"rules": found})
        return
    for row in found:
        until = f"to be reviewed since {row['review_on']}" if row["stale"] else f"until {row['review_on']}"
        left = f"{row['left']} of {row['per_day']} left today"
        output.line(f"{row['number']}  {row['agent']}: {row['tool']} to {row['destination']}, {left}, {until}")
    if not found:
        output.line("There are none: `pocketlet approve ID --always N` makes one.")


@rule.command()
@click.argument("number", type=int)
@output.as_json
def remove(number: int, *, as_json: bool) -> None:
    """End a rule: from now on you are asked again."""
    agent = session.call(_remove, number)
    if as_json:
        output.document({"rule": number, "agent": agent, "removed": True})
    else:
        output.line(f"Rule {number} of {agent} is ended.")


async def _rules(database: "pool.Database") -> list[dict[str, Any]]:
    from pocketlet.agents import approving

    async with database.api() as conn:
        return await approving.rules(conn)


async def _remove(database: "pool.Database", number: int) -> str:
    from pocketlet.agents import approving

    async with database.api() as conn:
        return await approving.remove_rule(conn, number)
