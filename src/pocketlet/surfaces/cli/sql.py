"""`pocketlet sql`."""

import sys
from typing import TYPE_CHECKING

import click

from pocketlet import errors
from pocketlet.surfaces.cli import output, session

if TYPE_CHECKING:
    from pocketlet.db import pool, reader

SECONDS = 5.0
ROWS = 10_000
BYTES = 16 * 2**20
ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


@click.command()
@click.argument("agent")
@click.argument("query")
@output.as_json
def sql(agent: str, query: str, *, as_json: bool) -> None:
    """Read an agent's data with one SELECT.

    It runs on the agent's own reader, which can change nothing. QUERY - reads the query from stdin. Where stdout is
    not a terminal, rows are printed as tab-separated values, in the escapes of COPY.
    """
    statement = sys.stdin.read() if query == "-" else query
    if not statement.strip():
        raise errors.BadInput("The query is empty.", hint="For example: pocketlet sql AGENT 'TABLE memories'.")
    found = session.call(_read, agent, statement)
    if as_json:
        output.document({"columns": found.columns, "rows": found.rows, "capped": found.capped or None})
        return
    if output.is_terminal():
        output.table(found.columns, found.rows)
    else:
        for row in (found.columns, *found.rows):
            click.echo("\t".join("\\N" if cell is None else cell.translate(ESCAPES) for cell in row))
    if found.capped:
        output.note(f"Note: {found.capped}.")


async def _read(database: "pool.Database", name: str, statement: str) -> "reader.Rows":
    from pocketlet.agents import agent as agents
    from pocketlet.db import reader
    from pocketlet.platform import apps

    async with database.api() as conn:
        agent = await agents.get(conn, name)
    limits = reader.Limits(seconds=SECONDS, rows=ROWS, bytes=BYTES)
    return await reader.query(database, apps.reader(agent.name), statement, limits=limits)
