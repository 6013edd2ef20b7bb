"""Changes in the agent's own tables: what its writes leave in its outbox becomes slots.

A trigger of Postgres on the table puts a row into the outbox in the transaction that wrote it. It is made, as [reads]'
views are, on a connection logged in as the agent, and runs as whoever writes; the platform only reads the outbox.
"""

import hashlib
from collections.abc import Mapping, Sequence

from pocketlet import errors
from pocketlet.agents.triggers import predicates, specs, stored
from pocketlet.agents.waking import slots
from pocketlet.db import bulk, pool, queries
from pocketlet.platform import apps

Q = queries.load("looking")
AT_ONCE = 500  # rows of one look
FORM = 1  # of the triggers that are made: a higher number makes them anew


async def watch(database: pool.Database, agent: str, trigger: stored.Trigger) -> None:
    """Sees to it that the agent's writes fill its outbox as the trigger's entry says.

    Raises errors.BadAgent if there is no such table, or Postgres does not take `where`.
    """
    spec, digest = trigger.spec, _digest(trigger.spec)
    wanted = {f"{_prefix(trigger.id)}{op}": digest for op in _ops(spec)}
    place = {"schema": agent, "table": spec.source, "prefix": _prefix(trigger.id)}
    async with database.api() as conn:
        rows = await (await conn.execute(Q["watched"], place)).fetchall()
    if {row["name"]: _arguments(row["args"])[-1] for row in rows} == wanted:
        return
    async with database.login(agent) as app, app.transaction():
        await app.execute(Q["be_brief"])
        row = await (await app.execute(Q["own_table"], place)).fetchone()
        if not row or not row["there"]:
            tables = ", ".join(await bulk.own_tables(app, agent)) or "no table"
            raise errors.BadAgent(f"{agent} has no table {spec.source} of its own.", hint=f"schema/ makes {tables}.")
        await _unwatch(app, trigger.id)
        for op in _ops(spec):
            await _make(app, apps.placeholders(database, agent), trigger, op)


async def tidy(database: pool.Database) -> int:
    """Takes away what stands on tables for triggers that count no more; how many triggers there were. A duty."""
    async with database.api() as conn:
        rows = await (await conn.execute(Q["left_over"])).fetchall()
    for row in rows:
        async with database.login(row["agent"]) as app, app.transaction():
            await app.execute(Q["be_brief"])
            await _unwatch(app, int(row["trigger"]))
        async with database.api() as conn:
            own = apps.placeholders(database, row["agent"])["own"]
            await conn.execute(queries.named(Q["forget"], own=own), {"trigger": int(row["trigger"])})
    return len(rows)


async def take_out(conn: pool.Conn, own: str, trigger: stored.Trigger) -> Sequence[slots.Event]:
    """The oldest AT_ONCE rows of the outbox, gone from there if the caller's transaction commits.

    They are outside text: who filled a column, and out of which mail, nobody can tell of a row.
    """
    values = {"trigger": trigger.id, "limit": AT_ONCE}
    rows = await (await conn.execute(queries.named(Q["outbox"], own=own), values)).fetchall()
    if rows:
        await conn.execute(queries.named(Q["taken_out"], own=own), {"ids": [row["id"] for row in rows]})
    return [_event(row) for row in rows]


def _event(row: Mapping[str, object]) -> slots.Event:
    told = {"table": row["of_table"], "op": row["op"], "row": row["new_row"]}
    told |= {"before": row["old_row"]} if row["old_row"] else {}
    return slots.Event(str(row["id"]), pool.canonical(told).encode(), {"label": "outside"})


async def _make(app: pool.Conn, names: Mapping[str, str], trigger: stored.Trigger, op: str) -> None:
    where = str(trigger.spec.settings.get("where", ""))
    predicates.check(where or "new")
    held = predicates.before(where) if op == "update" and not predicates.speaks_of_old(where) else ""
    values: dict[str, object] = {"name": f"{_prefix(trigger.id)}{op}", "op": op}
    values |= {
        "schema": names["schema"],
        "own": names["own"],
        "table": trigger.spec.source,
        "trigger": str(trigger.id),
        "digest": _digest(trigger.spec),
    }
    row = await (await app.execute(Q["watch_script"], values | {"holds": where, "held": held})).fetchone()
    try:
        await bulk.run_script(app, row["script"] if row else "", where=f"trigger {trigger.name}: `where` {where}")
    except errors.BadInput as error:
        hint = "It is one condition on the row: new.stock < 5. A query inside is not possible."
        raise errors.BadAgent(str(error), hint=hint) from error


async def _unwatch(app: pool.Conn, trigger: int) -> None:
    row = await (await app.execute(Q["unwatch_script"], {"prefix": _prefix(trigger)})).fetchone()
    if row and row["script"]:
        await bulk.run_script(app, row["script"], where=f"trigger {trigger}")


def _ops(spec: specs.Spec) -> Sequence[str]:
    return ("update",) if predicates.speaks_of_old(str(spec.settings.get("where", ""))) else ("insert", "update")


def _digest(spec: specs.Spec) -> str:
    made_of = [FORM, spec.source, spec.settings.get("where", "")]
    return hashlib.sha256(pool.canonical(made_of).encode()).hexdigest()[:32]


def _prefix(trigger: int) -> str:
    return f"pocketlet_change_{trigger}_"


def _arguments(stored_as: bytes) -> Sequence[str]:
    """The arguments that a trigger of Postgres gives to its function: each ends with a NUL."""
    return bytes(stored_as).decode().split("\0")[:-1] or [""]
