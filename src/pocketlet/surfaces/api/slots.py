"""Slots: what was due or came, one row each, what became of it, and having it done once more."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

import pydantic

from pocketlet.agents import task as tasks
from pocketlet.agents.triggers import stored
from pocketlet.agents.waking import lists
from pocketlet.agents.waking import slots as slot_rows
from pocketlet.db import pool, queries
from pocketlet.surfaces.api import caller as callers
from pocketlet.surfaces.api import endpoint, paging, runs

Q = queries.load("triggers_page")
SHOWN = 20_000  # bytes of what came


class Slot(endpoint.Model):
    """`state`: due, claimed (it has a run), done, failed, skipped or missed, and the `reason`. `outcome` is that of the
    run; `held`: who kept its last act from leaving, if that is why it is no success. `replays`: the slot that it does
    again. `items`: of a list, how many. `stands_for`: times that this row stands for. `bytes`: of what came.
    """

    slot: int
    trigger: str
    kind: str
    key: str
    state: str
    reason: str
    outcome: str
    held: runs.Held
    stands_for: int
    due_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    run: int | None
    replays: int | None
    items: int | None
    bytes: int
    sender: str


class Item(endpoint.Model):
    """One item of a list, and what became of it."""

    position: int
    slot: int
    state: str
    run: int | None
    outcome: str | None
    summary: str | None
    reason: str


class SlotShown(Slot):
    """A slot with what came, somebody else's text: `body` as far as it is shown, `headers` as (name, value)."""

    agent: str
    body: str
    headers: list[tuple[str, str]]
    results: list[Item]


class SlotReplayed(endpoint.Model):
    """The slot that does it again."""

    said: str
    slot: int


Name = Annotated[str, pydantic.Field(max_length=41, description="Of this trigger alone.")]


async def listing(
    caller: callers.Caller, agent: str, *, trigger: Name = "", limit: paging.Limit = 50, cursor: paging.Cursor = ""
) -> endpoint.Page[Slot]:
    """Lists the slots of an agent, the newest first: mails, deliveries, times; and what became of each."""
    async with caller.database.api() as conn:
        found = await callers.agent(conn, caller, agent)
        only = (await stored.by_name(conn, found.id, trigger)).id if trigger else None
        values = {"agent": found.id, "trigger": only, "after": paging.after(cursor), "limit": limit + 1}
        rows = await (await conn.execute(Q["slots"], values)).fetchall()
    cut, following = paging.cut(rows, limit, "slot")
    return endpoint.Page(items=[Slot(**_told(row)) for row in cut], next=following)


def _told(row: Mapping[str, Any]) -> dict[str, Any]:
    known = dict(row) | {"state": row["run_state"]}
    held = {"held": runs.held(known), "reason": runs.kept_back(known) or row["reason"]}
    return {name: row[name] for name in Slot.model_fields if name not in held} | held


async def held_back(conn: pool.Conn, caller: callers.Caller, hours: int) -> dict[tuple[str, str], int]:
    """By agent and trigger: of what was due in the last hours, how many ended as something was not let out."""
    rows = await (await conn.execute(Q["held_back"], {"owner": caller.owner.id, "hours": hours})).fetchall()
    return {(row["agent"], row["trigger"]): row["runs"] for row in rows}


async def show(caller: callers.Caller, slot: int) -> SlotShown:
    """Shows one slot, with what came and, of a list, each item."""
    async with caller.database.api() as conn:
        agent = await callers.slot(conn, caller, slot)
        [row] = await (await conn.execute(Q["slot"], {"slot": slot, "most": SHOWN})).fetchall()
        results = await lists.results(conn, slot)
    body = bytes(row["body"] or b"").decode("utf-8", "replace").replace("\x00", "").replace("\r\n", "\n")
    headers = [(str(name), str(value)) for name, value in row["about"].get("headers", [])]
    items = [Item(**{name: one[name] for name in Item.model_fields}) for one in results]
    return SlotShown(**_told(row), agent=agent.name, body=tasks.without_links(body), headers=headers, results=items)


async def replay(caller: callers.Caller, slot: int) -> SlotReplayed:
    """Replays a slot: its event is done once more, as a slot of its own; of a list all of its items."""
    async with caller.database.api() as conn:
        await callers.slot(conn, caller, slot)
        number = await slot_rows.replay(conn, slot)
    return SlotReplayed(said=f"Slot {number} does slot {slot} once more, as soon as a worker takes it up.", slot=number)


ENDPOINTS = (
    endpoint.Endpoint("GET", "/agents/{agent}/slots", "read", listing),
    endpoint.Endpoint("GET", "/slots/{slot}", "read", show),
    endpoint.Endpoint("POST", "/slots/{slot}/replay", "run", replay, keyed=True),
)
