"""`pocketlet approvals`, `approve` and `refuse`."""

from typing import TYPE_CHECKING, Any

import click

from pocketlet.surfaces.cli import arguments, outcome, output, session

if TYPE_CHECKING:
    from pocketlet.db import pool


@click.command()
@output.as_json
def approvals(*, as_json: bool) -> None:
    """Show what waits for your answer, word for word."""
    waiting = session.call(_questions)
    if as_json:
        output.document({"approvals": waiting})
        return
    for question in waiting:
        outcome.ask(question)
        output.line()
    if not waiting:
        output.line("Nothing waits for you.")


async def _questions(database: "pool.Database") -> list[dict[str, Any]]:
    from pocketlet.agents import report

    async with database.api() as conn:
        return await report.questions(conn)


@click.command()
@arguments.approval
@output.as_json
def approve(approval: int, *, as_json: bool) -> None:
    """Allow what an approval asks for, and wait for what comes of it."""
    outcome.tell(session.call(_decide, approval, yes=True, because=""), as_json=as_json)


@click.command()
@arguments.approval
@click.option("--because", default="", metavar="TEXT", help="Why; the agent reads it.")
@output.as_json
def refuse(approval: int, *, because: str, as_json: bool) -> None:
    """Refuse what an approval asks for, and wait for what comes of it."""
    outcome.tell(session.call(_decide, approval, yes=False, because=because), as_json=as_json)


async def _decide(database: "pool.Database", number: int, *, yes: bool, because: str) -> dict[str, Any]:
    from pocketlet.agents import effects

    async with database.api() as conn:
        decided = await effects.decide(conn, number, yes=yes, because=because)
    return await outcome.attended(database, decided["run"])
