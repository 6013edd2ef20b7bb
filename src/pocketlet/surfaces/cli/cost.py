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
@click.option("--forecast", is_flag=True, help="Show what 30 days will cost if it goes on like the last 14.")
@output.as_json
def cost(agent: str | None, *, forecast: bool, as_json: bool) -> None:
    """Show where the money went.

    By day, agent, kind of run and model, in USD. `uncertain` is the worst case of calls whose answer was lost.
    """
    if forecast:
        _forecast(agent, as_json=as_json)
        return
    rows = session.api(_costs, agent)
    total = sum((row["cost_usd"] for row in rows), Decimal(0))
    uncertain = sum((row["uncertain_usd"] for row in rows), Decimal(0))
    if as_json:
        output.document({"agent": agent, "rows": rows, "total_usd": total, "uncertain_usd": uncertain})
        return
    output.table(COLUMNS, [[row[name] for name in COLUMNS] for row in rows])
    output.line(f"total {output.money(total)}, uncertain {output.money(uncertain)}")


def _forecast(agent: str | None, *, as_json: bool) -> None:
    rows = session.api(_month, agent)
    total = sum((row["usd"] or Decimal(0) for row in rows), Decimal(0))
    if as_json:
        output.document({"agent": agent, "days": 30, "rows": rows, "total_usd": total})
        return
    cells = [
        [row["agent"], row["what"], row["slots"], row["runs"], _amount(row["usd_a_run"]), _amount(row["usd"])]
        for row in rows
    ]
    output.table(("agent", "what", "slots", "runs", "usd a run", "usd in 30 days"), cells)
    output.line(f"total {output.money(total)} in 30 days, if it goes on like the last 14")
    if any(row["usd"] is None for row in rows):
        output.line("Without a figure: what has not run yet. `pocketlet trigger simulate` runs it once.")


def _amount(value: Decimal | None) -> str:
    return "" if value is None else f"{value:.4f}"


async def _month(conn: "pool.Conn", name: str | None) -> list[dict[str, Any]]:
    from pocketlet.agents import agent as agents
    from pocketlet.agents.waking import forecast

    return await forecast.month(conn, (await agents.get(conn, name)).id if name else None)


async def _costs(conn: "pool.Conn", name: str | None) -> list[dict[str, Any]]:
    from pocketlet.agents import agent as agents
    from pocketlet.platform import ledger

    return await ledger.costs(conn, (await agents.get(conn, name)).id if name else None)
