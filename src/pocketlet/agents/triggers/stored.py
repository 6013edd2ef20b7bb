"""Triggers as rows: kept in step with the current revision's agent.toml, paused and resumed by the owner alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pocketlet import errors
from pocketlet.agents.triggers import calendar, specs
from pocketlet.db import pool, queries

Q = queries.load("triggers")


@dataclass(frozen=True, slots=True)
class Trigger:
    """A row. `paused`: why the owner paused it, or None. `cursor`: how far its source was read."""

    id: int
    agent_id: int
    name: str
    kind: str
    spec: specs.Spec
    paused: str | None
    cursor: Mapping[str, Any]


async def now(conn: pool.Conn) -> datetime:
    """The database's time: the only one that says what is due."""
    row = await (await conn.execute(Q["now"])).fetchone()
    if row is None:
        raise errors.NoPostgres("Postgres does not tell the time.")
    return row["now"]


async def follow(conn: pool.Conn, agent: int, name: str, wanted: Sequence[specs.Spec]) -> None:
    """Makes the rows of an agent what its current revision says. One that is the same keeps its place in time.

    Raises errors.BadAgent for an agent that would start itself.
    """
    if own := [spec.name for spec in wanted if spec.kind == "result" and spec.source == name]:
        raise errors.BadAgent(f"Trigger {own[0]} would start {name} with each of its own results, for ever.")
    rows = {row["name"]: row for row in await (await conn.execute(Q["of_agent"], {"agent": agent})).fetchall()}
    at = await now(conn)
    for spec in wanted:
        row = rows.pop(spec.name, None)
        if row and row["active"] and row["spec"] == pool.in_order(spec.record()):
            continue
        values: dict[str, object] = {"agent": agent, "name": spec.name, "kind": spec.kind}
        values |= {"spec": pool.jsonb(spec.record()), "address": _address(spec, name), "next_at": next_at(spec, at)}
        await conn.execute(Q["put"], values)
    for row in rows.values():
        await conn.execute(Q["rest"], {"id": row["id"]})


def _address(spec: specs.Spec, agent: str) -> str | None:
    match spec.kind:
        case "mail":
            return spec.source
        case "webhook":
            return f"{agent}/{spec.name}"
        case "result" | "chat":
            return spec.source
        case _:
            return None


def next_at(spec: specs.Spec, after: datetime) -> datetime | None:
    """When it is due, or is looked at, next; None for what comes by itself."""
    if spec.kind == "schedule":
        following = calendar.following(calendar.Schedule(spec.cron, spec.zone), after)
        return following.due if following else None
    return after if spec.kind in specs.LOOKS or spec.kind == "mailbox" else None


async def by_address(conn: pool.Conn, kind: str, address: str) -> Trigger | None:
    """The trigger of this kind that an event's address means."""
    row = await (await conn.execute(Q["by_address"], {"kind": kind, "address": address})).fetchone()
    return trigger(row) if row else None


async def by_name(conn: pool.Conn, agent: int, name: str) -> Trigger:
    """Raises errors.NotFound."""
    row = await (await conn.execute(Q["by_name"], {"agent": agent, "name": name})).fetchone()
    if row is None:
        raise errors.NotFound(f"The agent has no trigger {name!r}.", hint="`pocketlet trigger list` names them.")
    return trigger(row)


def trigger(row: Mapping[str, Any]) -> Trigger:
    """From a row with these columns."""
    fields = {name: row[name] for name in ("id", "agent_id", "name", "kind", "paused", "cursor")}
    return Trigger(**fields, spec=specs.from_record(row["spec"]))


async def listing(conn: pool.Conn, agent: int | None) -> list[dict[str, Any]]:
    """Every active trigger (of one agent), with its last and next time and what is open."""
    return list(await (await conn.execute(Q["listing"], {"agent": agent})).fetchall())


async def pause(conn: pool.Conn, found: Trigger, why: str) -> None:
    """It starts nothing until it is resumed. Events go on being recorded; a schedule's times go by."""
    await conn.execute(Q["pause"], {"id": found.id, "why": why})


async def resume(conn: pool.Conn, found: Trigger) -> None:
    """It starts runs again: first for the events that came meanwhile."""
    await conn.execute(Q["resume"], {"id": found.id, "next_at": next_at(found.spec, await now(conn))})
