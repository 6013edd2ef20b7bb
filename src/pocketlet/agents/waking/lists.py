"""A slot that is a list: each of its items becomes a slot of its own, a few at a time, and the results stay in order.

The items are written in one transaction with the word that the slot is a list, so a crash leaves either all or none.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from pocketlet import errors
from pocketlet.agents import agent as agents
from pocketlet.agents import provenance
from pocketlet.agents.waking import conditions, slots
from pocketlet.db import pool, queries, reader
from pocketlet.platform import apps, notices

Q = queries.load("lists")
MOST = 1_000  # items of one list
LIMITS = reader.Limits(seconds=5.0, rows=MOST, bytes=8_000_000)
AT_ONCE = 100  # lists that are settled in one round
NAMED = 20  # positions that are named of items that failed
LABELLED = {
    *provenance.CORE,
    "memories_before",
    provenance.RUNS,
    "agent",
}  # what memories, results and runs are made of


@dataclass(frozen=True, slots=True)
class Items:
    """`bodies`: one JSON document each. `label`: whose words they are. `wrong`: why it is no list that can be begun."""

    bodies: Sequence[bytes] = ()
    label: str = "outside"
    wrong: str = ""


async def items(database: pool.Database, agent: agents.Agent, slot: slots.Slot) -> Items:
    """What the slot's list holds; the items that it had before, if it is done again.

    Raises errors.GateRefusal, errors.NoPostgres where the trigger's query can't be asked now.
    """
    if slot.replays is not None:
        async with database.api() as conn:
            rows = await (await conn.execute(Q["copied"], {"slot": slot.replays})).fetchall()
        if rows:
            return Items([bytes(row["body"]) for row in rows], str(rows[0]["about"].get("label", "outside")))
    each = slot.trigger.spec.each
    return of_body(slot.body, each) if each.partition(".")[0] == "body" else await _of_query(database, agent, each)


def of_body(body: bytes, each: str) -> Items:
    """The items of what came, which is JSON; `each`: body, or a dotted path such as body.data.orders."""
    try:
        found: Any = json.loads(body)
    except (ValueError, RecursionError):
        return Items(wrong="its list can't be read: what came is not JSON")
    for name in each.split(".")[1:]:
        found = cast("dict[str, Any]", found).get(name) if isinstance(found, dict) else None
    if not isinstance(found, list):
        return Items(wrong=f"its list can't be read: what came has no list at {each}")
    many = cast("list[object]", found)
    if len(many) > MOST:
        return Items(wrong=f"its list has {len(many):,} items, and at most {MOST:,} are done: nothing was begun")
    return Items([_spelled(item) for item in many])


async def _of_query(database: pool.Database, agent: agents.Agent, statement: str) -> Items:
    """A row is an item: an object of its columns."""
    rows = await reader.query(database, apps.reader(agent.name), statement, limits=LIMITS)
    if len(rows.rows) >= MOST and rows.capped:
        return Items(wrong=f"its list has more than {MOST:,} items, which is the most: nothing was begun")
    if rows.capped:
        return Items(wrong=f"its list is longer than {LIMITS.bytes // 1_000_000} MB: nothing was begun")
    spelled = [_spelled(dict(zip(rows.columns, row, strict=True))) for row in rows.rows]
    return Items(spelled, await _label(database, agent, rows))


def _spelled(item: object) -> bytes:
    return json.dumps(item, ensure_ascii=False).encode("utf-8", "replace")


async def _label(database: pool.Database, agent: agents.Agent, rows: reader.Rows) -> str:
    """Outside if a table that was read holds any text from outside, or may: rows of the agent's own have no labels."""
    if rows.tables - LABELLED:
        return "outside"
    async with database.api() as conn:
        if await (await conn.execute(Q["own_tables"], {"agent": agent.name, "names": list(rows.tables)})).fetchone():
            return "outside"
        return await provenance.of_tables(conn, agent, rows.tables, rows.version)


async def spread(conn: pool.Conn, slot: slots.Slot, found: Items) -> None:
    """The items of a slot that is locked become slots, in the caller's transaction; without any, the slot has its end.

    What can't be done is told to the owner.
    """
    if found.wrong:
        await slots.settle(conn, slot.id, "failed", found.wrong)
        agent = await agents.by_id(conn, slot.trigger.agent_id)
        await _tell(conn, slot.id, {"agent": agent.name, "agent_id": agent.id, **_names(slot)}, found.wrong)
    elif not found.bodies:
        await slots.settle(conn, slot.id, "skipped", "there was nothing to do: its list was empty")
    else:
        await conn.execute(Q["become"], {"slot": slot.id, "items": len(found.bodies)})
        values: dict[str, object] = {"slot": slot.id, "bodies": list(found.bodies)}
        values |= {"at_once": slot.trigger.spec.at_once, "about": pool.jsonb({"label": found.label})}
        await conn.execute(Q["spread"], values)


def _names(slot: slots.Slot) -> dict[str, Any]:
    return {"trigger": slot.trigger.name, "trigger_id": slot.trigger.id}


async def release(database: pool.Database) -> int:
    """Lets the next items of each list go, as far as its `at_once` has room; how many."""
    async with database.api() as conn:
        return (await conn.execute(Q["release"])).rowcount


async def settle(database: pool.Database) -> int:
    """Ends the lists of which every item has its end; how many."""
    async with database.api() as conn:
        rows = await (await conn.execute(Q["ended"], {"limit": AT_ONCE})).fetchall()
        return sum([await _settle(conn, row["id"]) for row in rows])


async def _settle(conn: pool.Conn, number: int) -> bool:
    row = await (await conn.execute(Q["lock"], {"slot": number})).fetchone()
    if row is None:
        return False
    found = await (await conn.execute(Q["outcome"], {"slot": number})).fetchone()
    if found is None or found["open"]:
        return False
    why = _why(found["failed"], row["items"])
    await slots.settle(conn, number, "failed" if why else "done", why)
    if why:
        await _tell(conn, number, row, why)
    else:
        await conditions.resolved(conn, row["trigger_id"], f"all {row['items']} items of slot {number} were done")
    return True


def _why(failed: Sequence[int], count: int) -> str:
    """Which items failed; empty if none did."""
    if not failed:
        return ""
    named = ", ".join(str(position) for position in failed[:NAMED])
    more = f" and {len(failed) - NAMED} more" if len(failed) > NAMED else ""
    return f"{len(failed)} of {count} items failed: position{'s' * (len(failed) > 1)} {named}{more}"


async def _tell(conn: pool.Conn, number: int, row: Mapping[str, Any], why: str) -> None:
    said = f"Trigger {row['trigger']} did not do all of its work: {why}"
    problem = conditions.problem(row["trigger_id"], "failed")
    hint = f"`pocketlet slot show {number}` tells of each item."
    await notices.report(conn, notices.Notice(problem, said, hint, row["agent_id"]))


async def results(conn: pool.Conn, slot: int) -> list[dict[str, Any]]:
    """What became of each item, in the order of the list; empty for a slot that is no list.

    Keys: position, slot, state, run, run_state, outcome, summary, reason.
    """
    return list(await (await conn.execute(Q["results"], {"slot": slot})).fetchall())


async def shown(conn: pool.Conn, slot: int) -> dict[str, Any]:
    """A slot for a person, with `items`: its results if it is a list. Raises errors.NotFound."""
    row = await (await conn.execute(Q["shown"], {"slot": slot})).fetchone()
    if row is None:
        raise errors.NotFound(f"There is no slot {slot}.", hint="`pocketlet slot list` names them.")
    return dict(row) | {"items": await results(conn, slot)}
