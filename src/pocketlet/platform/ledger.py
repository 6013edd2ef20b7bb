"""Money: every model call is reserved at its worst case before it is made, and settled at its cost after it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

from pocketlet import clock
from pocketlet.db import pool, queries
from pocketlet.platform import prices
from pocketlet.platform.gateways import models

Q = queries.load("ledger")


#: What learning from one feedback may cost, of what the agent's runs cost in 30 days.
LEARNING_SHARE = Decimal("0.15")
MONTH = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Entry:
    """One model call: whose, for which step, and the most it can cost in USD.

    `learning` names the budget that it is learnt on, besides the run's and the agent's: a manager's run, or a day.
    """

    agent_id: int
    agent: str
    run_id: int
    step_seq: int
    kind: str
    model: str
    reserved: Decimal
    price: prices.Price
    learning: str = ""


async def reserve(conn: pool.Conn, entry: Entry, budget: Mapping[str, Decimal]) -> int:
    """Takes the worst case from the run's and the agent's daily budget, or from neither.

    `budget` holds the caps `run` and `day` in USD. Raises errors.OverBudget.
    """
    day = clock.now().date().isoformat()
    caps = {f"run:{entry.run_id}": str(budget["run"]), f"agent:{entry.agent_id}:{day}": str(budget["day"])}
    if entry.learning:
        caps[f"learning:{entry.learning}"] = str(await learning_allowance(conn, entry.agent_id, budget))
    price = entry.price
    row = {
        "agent_id": entry.agent_id,
        "agent": entry.agent,
        "run_id": entry.run_id,
        "step_seq": entry.step_seq,
        "kind": entry.kind,
        "model": entry.model,
        "reserved": str(entry.reserved),
        "price": {"input": str(price.input), "output": str(price.output), "cached": str(price.cached)},
        "price_version": price.version,
    }
    found = await (await conn.execute(Q["reserve"], {"entry": pool.jsonb(row), "caps": pool.jsonb(caps)})).fetchone()
    return found["id"] if found else 0


async def learning_allowance(conn: pool.Conn, agent_id: int, budget: Mapping[str, Decimal]) -> Decimal:
    """USD that learning from one feedback may cost: 15 % of what the agent's runs cost in the last 30 days, and, for an
    agent that is new, what a single run may cost.
    """
    row = await (await conn.execute(Q["spent"], {"agent": agent_id, "since": clock.now() - MONTH})).fetchone()
    return max(LEARNING_SHARE * row["cost_usd"] if row else Decimal(0), budget["run"])


async def settle(conn: pool.Conn, entry_id: int, entry: Entry, usage: models.Usage) -> None:
    """Books what the call cost. A provider that reports no usage is booked at the worst case, never at nothing."""
    silent = usage.input == 0 and usage.output == 0
    cost = entry.reserved if silent else prices.cost(entry.price, usage)
    used = {"cost": str(cost), "input": usage.input, "output": usage.output, "cached": usage.cached}
    if silent:
        used["error"] = "the provider reported no usage"
    await conn.execute(Q["settle"], {"id": entry_id, "state": "settled", "used": pool.jsonb(used)})


async def note_failure(conn: pool.Conn, entry_id: int, error: str, *, billed: bool) -> None:
    """A call without an answer: released if it can't have been billed, else it stays reserved with the reason."""
    if billed:
        await conn.execute(Q["note"], {"id": entry_id, "error": error})
    else:
        used = pool.jsonb({"error": error})
        await conn.execute(Q["settle"], {"id": entry_id, "state": "released", "used": used})


async def costs(conn: pool.Conn, agent_id: int | None) -> list[dict[str, Any]]:
    """Cost by agent, kind of run, model and day; `uncertain` is what stays reserved."""
    return list(await (await conn.execute(Q["costs"], {"agent": agent_id})).fetchall())


async def of_run(conn: pool.Conn, run_id: int) -> dict[str, Any]:
    """Calls, tokens, cost and what stays reserved, of one run."""
    return dict(await (await conn.execute(Q["of_run"], {"run": run_id})).fetchone() or {})
