"""The tick: what a schedule names between its watermark and now becomes slots, and the watermark moves with them."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pocketlet import errors
from pocketlet.agents.triggers import calendar, specs, stored
from pocketlet.agents.waking import conditions, slots
from pocketlet.db import pool

AT_ONCE = 500  # schedules in one transaction


async def tick(database: pool.Database) -> int:
    """One transaction's worth of schedules whose time has come; how many there were.

    The time is the database's: a worker's own clock decides nothing.
    """
    async with database.api() as conn:
        held = await (await conn.execute(slots.Q["hold_due_agents"], {"limit": AT_ONCE})).fetchall()
        values = {"limit": AT_ONCE, "agents": [row["id"] for row in held]}
        rows = await (await conn.execute(slots.Q["schedules_due"], values)).fetchall()
        occurrences: list[dict[str, Any]] = []
        moved: list[dict[str, Any]] = []
        for row in rows:
            try:
                occurrences += _found(row)
                moved.append({"id": row["id"], **_moved(row)})
            except errors.PocketletError as error:  # such as a zone that is no more: it holds up no other
                await conn.execute(slots.Q["put_off_schedule"], {"id": row["id"]})
                said = f"When trigger {row['name']} is due can't be told: {error}"
                await conditions.report(conn, row["id"], "schedule", said, agent=row["agent_id"])
        if rows:
            await conn.execute(slots.Q["record_many"], {"occurrences": pool.jsonb(occurrences)})
            await conn.execute(slots.Q["move_watermarks"], {"moved": pool.jsonb(moved)})
    return len(rows)


async def pause(database: pool.Database, trigger: stored.Trigger, why: str) -> None:
    """Pauses a trigger by the owner's word, once all that is due by now is recorded."""
    while await tick(database):
        pass
    async with database.api() as conn:
        await stored.pause(conn, trigger, why)


def _found(row: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The slots of one schedule since its watermark: those to start, and those passed over with the reason."""
    spec = specs.from_record(row["spec"])
    found = calendar.occurrences(calendar.Schedule(spec.cron, spec.zone), row["watermark"], row["now"])
    plan = calendar.catch_up(spec.catch_up, spec.catch_up_limit, calendar.WINDOW, found, row["now"])
    known = {"agent": row["agent_id"], "trigger": row["id"]}
    passed = [{**known, **_one(item.first), "key": _span(item)} for item in plan.skipped]
    for slot, item in zip(passed, plan.skipped, strict=True):
        slot |= {"state": "skipped", "reason": item.reason, "stands_for": item.count}
    return [*({**known, **_one(item)} for item in plan.start), *passed]


def _one(item: calendar.Occurrence) -> dict[str, Any]:
    return {"key": item.key, "due": item.due, "state": "due", "reason": "", "stands_for": 1}


def _span(item: calendar.Skipped) -> str:
    return item.first.key if item.count == 1 else f"{item.first.key}..{item.last.key}"


def _moved(row: Mapping[str, Any]) -> dict[str, Any]:
    """Where the schedule stands then. A clock that went back moves no watermark back."""
    watermark: datetime = max(row["watermark"], row["now"])
    return {"watermark": watermark, "next_at": stored.next_at(specs.from_record(row["spec"]), watermark)}
