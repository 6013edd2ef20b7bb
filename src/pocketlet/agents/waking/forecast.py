"""What the next month will cost: what a run was seen to cost, times what the triggers will bring."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from pocketlet.agents.triggers import calendar, specs, stored
from pocketlet.db import pool, queries

Q = queries.load("forecast")
OBSERVED = 14  # days that are looked back at
AHEAD = 30  # days that are told
MOST = 50_000  # times of one schedule that are counted


async def month(conn: pool.Conn, agent: int | None) -> list[dict[str, Any]]:
    """Rows of agent, trigger (or what else cost money), slots and runs to come, USD a run, and USD in 30 days.

    How often a schedule comes is counted; of everything else, and of how many slots become runs, the last 14 days are
    taken (or as long as the trigger is there). A trigger that never ran has no figure, and says so.
    """
    values = {"agent": agent, "days": OBSERVED}
    now = await stored.now(conn)
    triggers = await (await conn.execute(Q["observed"], values)).fetchall()
    others = await (await conn.execute(Q["beside"], values)).fetchall()
    return [*(_of_trigger(row, now) for row in triggers), *(_beside(row) for row in others)]


def _of_trigger(row: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    spec = specs.from_record(row["spec"])
    coming = Decimal(_times(spec, now) if row["kind"] == "schedule" else row["slots"] / row["days"] * AHEAD)
    share = Decimal(row["runs"]) / row["slots"] if row["slots"] else Decimal(1)
    each = row["cost_usd"] / row["runs"] if row["runs"] else None
    coming = Decimal(0) if row["paused"] is not None else coming
    return {
        "agent": row["agent"],
        "what": row["trigger"],
        "slots": round(coming),
        "runs": round(coming * share),
        "usd_a_run": each,
        "usd": None if each is None and coming else coming * share * (each or 0),
    }


def _times(spec: specs.Spec, now: datetime) -> int:
    found = calendar.occurrences(calendar.Schedule(spec.cron, spec.zone), now, now + timedelta(days=AHEAD))
    return sum(1 for _ in zip(found, range(MOST), strict=False))


def _beside(row: Mapping[str, Any]) -> dict[str, Any]:
    what = {"run": "runs by hand", "manager": "learning", "trial": "replays", "chat": "talks"}.get(
        row["kind"], row["kind"]
    )
    usd = row["cost_usd"] / Decimal(row["days"]) * AHEAD
    return {"agent": row["agent"], "what": what, "slots": None, "runs": None, "usd_a_run": None, "usd": usd}
