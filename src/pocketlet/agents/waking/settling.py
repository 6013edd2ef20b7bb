"""The end of a slot: its run is at rest, and the trigger's own checks say whether that was a success."""

from collections.abc import Mapping
from typing import Any

from pocketlet import errors
from pocketlet.agents.triggers import specs
from pocketlet.agents.waking import conditions, lists, slots
from pocketlet.db import pool
from pocketlet.platform import notices

#: What a run may say at its end that counts as success; blocked, needs_person and the like do not.
SUCCESS = ("done", "nothing_to_do")
AT_ONCE = 100
AGAIN = 60.0  # seconds until a slot whose checks could not be made is looked at again
LATE = 300.0  # seconds after which a slot that nobody has begun is a notice


async def settle(database: pool.Database) -> int:
    """Settles slots whose runs have ended, and lists whose items have; how many."""
    async with database.api() as conn:
        rows = await (await conn.execute(slots.Q["ended_runs"], {"limit": AT_ONCE})).fetchall()
    return sum([await _settled(database, row["id"]) for row in rows]) + await lists.settle(database)


async def _settled(database: pool.Database, number: int) -> bool:
    """One slot; if it can't be settled now, it holds up no other. Raises errors.NoPostgres."""
    try:
        return await _settle(database, number)
    except (errors.PocketletError, pool.DatabaseError) as error:
        said = f"its checks can't be made now: {pool.first_line(error)}"
        async with database.api() as conn:
            await conn.execute(slots.Q["unsettled"], {"slot": number, "seconds": AGAIN, "reason": said})
        return False


async def _settle(database: pool.Database, number: int) -> bool:
    async with database.api() as conn:
        row = await (await conn.execute(slots.Q["lock_claimed"], {"slot": number})).fetchone()
        if row is None:
            return False
        why = _unsuccessful(row) or await _unchecked(database, row)
        await slots.settle(conn, number, "failed" if why else "done", why)
        if row["parent"] is not None:  # the owner is told once the whole list has its end
            return True
        if why:
            said = f"Trigger {row['trigger']} did not do its work: {why}"
            await conditions.report(conn, row["trigger_id"], "failed", said, agent=row["agent_id"], run=row["run_id"])
        else:
            await conditions.resolved(conn, row["trigger_id"], f"run {row['run_id']} did it")
    return True


def _unsuccessful(row: Mapping[str, Any]) -> str:
    """Why the run itself is no success; empty if it is one."""
    if row["run_id"] is None:
        return "its run was removed"
    if row["run_state"] != "done":
        return f"run {row['run_id']} {row['run_state']}: {row['error'] or row['result'] or 'no reason is known'}"
    if row["outcome"] not in SUCCESS:
        return f"run {row['run_id']} ended as {row['outcome']}: {row['result'] or 'it did not say why'}"
    return ""


async def _unchecked(database: pool.Database, row: Mapping[str, Any]) -> str:
    """Why the trigger's checks say that it was no success; a dry run changed nothing that they could see."""
    if row["dry"]:
        return ""
    values = {"run": row["run_id"], "due": row["due_at"]}
    return await conditions.failing(database, row["agent"], specs.from_record(row["spec"]).after, values)


async def late(database: pool.Database) -> None:
    """Tells of slots that are due for long and that nobody has begun, for as long as that is so."""
    async with database.api() as conn:
        rows = await (await conn.execute(slots.Q["late"], {"seconds": LATE})).fetchall()
        for row in rows:
            why = f": {row['reason']}" if row["reason"] else ""
            said = f"What trigger {row['trigger']} had to do at {row['due_at']:%H:%M} has not begun{why}"
            problem = conditions.problem(row["trigger_id"], "late")
            await notices.report(conn, notices.Notice(problem, said, agent=row["agent_id"], count=row["count"]))
        problems = [conditions.problem(row["trigger_id"], "late") for row in rows]
        await conn.execute(slots.Q["late_no_more"], {"problems": problems})
