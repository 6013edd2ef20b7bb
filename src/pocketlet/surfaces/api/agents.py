"""Agents: which there are, and how each stands."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from pocketlet.agents import manifest
from pocketlet.db import pool, queries
from pocketlet.surfaces.api import caller as callers
from pocketlet.surfaces.api import endpoint

Q = queries.load("overview")


class Agent(endpoint.Model):
    """`current`: the revision that new runs are pinned to. `waits`: what goes on once you have answered: questions,
    drafts, and answers that may be yours. `spent_today`: USD."""

    name: str
    job: str
    current: int
    runs: int
    last_run_at: datetime | None
    under_way: int
    waits: int
    failed_today: int
    spent_today: Decimal


class Agents(endpoint.Model):
    """All of the caller's."""

    items: list[Agent]


async def listing(caller: callers.Caller) -> Agents:
    """Lists all your agents, with what is under way and what waits."""
    async with caller.database.api() as conn:
        rows = await (await conn.execute(Q["agents"], {"owner": caller.owner.id})).fetchall()
        asks = await waits(conn, caller)
    jobs = [manifest.parse(row.pop("manifest")).job for row in rows]
    return Agents(
        items=[Agent(**row, job=job, waits=asks.get(row["name"], 0)) for row, job in zip(rows, jobs, strict=True)]
    )


@dataclass(frozen=True, slots=True)
class Beside:
    """An agent as it stands beside every page."""

    name: str
    under_way: int
    waits: int


async def rail(caller: callers.Caller) -> list[Beside]:
    """The same agents, with no more of them than every page shows: their playbooks stay unread."""
    async with caller.database.api() as conn:
        rows = await (await conn.execute(Q["rail"], {"owner": caller.owner.id})).fetchall()
        asks = await waits(conn, caller)
    return [Beside(row["name"], row["under_way"], asks.get(row["name"], 0)) for row in rows]


async def waits(conn: pool.Conn, caller: callers.Caller) -> dict[str, int]:
    """How much waits for the caller, by agent. There is no other count of it."""
    rows = await (await conn.execute(Q["waits"], {"owner": caller.owner.id})).fetchall()
    return {row["name"]: row["waits"] for row in rows}


ENDPOINTS = (endpoint.Endpoint("GET", "/agents", "read", listing),)
