"""`pocketlet cost`."""

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import click

from pocketlet.surfaces.cli import output, session

if TYPE_CHECKING:
    from pocketlet.db import pool

COLUMNS = (
    "day",
    "agent",
    "kind",
    "model",
    "runs",
    "calls",
    "input_tokens",
    "output_tokens",
    "cost_usd",
    "uncertain_usd",
)


@click.command()
@click.argument("agent", required=False)
@output.as_json
def cost(agent: str | None, *, as_json: bool) -> None:
    """Show where the money went.

    By day, agent, kind of run and model, in USD. `uncertain` is the worst case of calls whose answer was lost.
    """
    rows = session.call(_costs, agent)
    total = sum((row["cost_usd"] for row in rows), Decimal(0))
    uncertain = sum((row["uncertain_usd"] for row in rows), Decimal(0))
    if as_json:
        output.document({"agent": agent, "rows": rows, "total_usd": total, "uncertain_usd": uncertain})
        return
    output.table(COLUMNS, [[row[name] for name in COLUMNS] for row in rows])
    output.line(f"total {output.money(total)}, uncertain {output.money(uncertain)}")


async def _costs(database: "pool.Database", name: str | None) -> list[dict[str, Any]]:
    from pocketlet.agents import agent as agents
    from pocketlet.platform import ledger

    async with database.api() as conn:
        agent_id = (await agents.get(conn, name)).id if name else None
        return await ledger.costs(conn, agent_id)
