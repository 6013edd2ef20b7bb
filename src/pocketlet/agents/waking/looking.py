"""Triggers that look: at a feed, a service, a table. What is found becomes slots, and its place moves, at once.

A look takes a lease on the trigger's row. Who has lost it, or whose trigger was changed meanwhile, writes nothing.
"""

import asyncio
import contextlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from pocketlet import errors
from pocketlet.agents.triggers import stored
from pocketlet.agents.waking import changes, conditions, feeds, polls, slots
from pocketlet.db import pool, queries
from pocketlet.platform import apps, notices

Q = queries.load("looking")
log = logging.getLogger(__name__)
SERVERS, TABLES = ("feed", "poll"), ("change",)
AT_ONCE = 20  # looks at the same time
LEASE = 300.0  # seconds; longer than any look can take
LONGEST = 21_600.0  # seconds until a source that fails is looked at again: doubled each time up to this
MOST_DUE = 100  # entries of one look that start something: a feed that is made anew is no reason for a thousand runs
TOO_MANY = f"more than {MOST_DUE} were new at once"
SHORT = 16  # characters of a key that are kept of what was there before


@dataclass(frozen=True, slots=True)
class Look:
    """A trigger that this worker looks for, with its agent's name, until `lease`."""

    trigger: stored.Trigger
    agent: str
    lease: datetime


@dataclass(frozen=True, slots=True)
class Found:
    """What a look saw. `place` is where the next one begins; `pause`: seconds until then."""

    events: Sequence[slots.Event]
    place: Mapping[str, Any]
    pause: float


async def look(database: pool.Database, home: Path, kinds: Sequence[str] = (*SERVERS, *TABLES)) -> int:
    """Looks wherever it is time to; how many places that were. A duty of the worker.

    Servers can keep a look waiting for a minute or two: TABLES has a turn of its own. Raises errors.NoPostgres.
    """
    async with database.api() as conn:
        values = {"kinds": list(kinds), "limit": AT_ONCE, "lease": LEASE}
        rows = await (await conn.execute(Q["take"], values)).fetchall()
    taken = [Look(stored.trigger(row), row["agent"], row["lease_until"]) for row in rows]
    await asyncio.gather(*(_attempt(database, home, one) for one in taken))
    return len(taken)


async def _attempt(database: pool.Database, home: Path, one: Look) -> None:
    """One look, whose failure is noted and keeps no other from going on."""
    try:
        found = await _seen(database, home, one)
        await _record(database, one, found)
    except (errors.PocketletError, pool.DatabaseError) as error:
        with contextlib.suppress(errors.PocketletError, pool.DatabaseError):
            await _put_off(database, one, error)


async def _seen(database: pool.Database, home: Path, one: Look) -> Found | None:
    """What a server has now; of a table None: its rows are taken out where they are recorded."""
    trigger = one.trigger
    if trigger.kind == "change":
        await changes.watch(database, one.agent, trigger)
        return None
    if trigger.kind == "feed":
        events, place = await feeds.look(trigger.spec, trigger.cursor)
    else:
        events, place = await polls.look(database, home, trigger, trigger.cursor)
    return _new(trigger, events, place)


def _new(trigger: stored.Trigger, events: Sequence[slots.Event], place: Mapping[str, Any]) -> Found:
    """Without what was there when the trigger began, unless it wants that, too."""
    old = trigger.cursor.get("old")
    if old is None:
        old = [] if trigger.spec.settings.get("from_start") else sorted({event.key[:SHORT] for event in events})
    before = frozenset(old)
    new = [event for event in events if event.key[:SHORT] not in before]
    return Found(new, {**place, "old": old}, trigger.spec.every)


async def _record(database: pool.Database, one: Look, found: Found | None) -> None:
    """The slots and the place, if the lease is still there."""
    trigger = one.trigger
    async with database.api() as conn:
        values = {"id": trigger.id, "lease": one.lease, "cursor": pool.jsonb(dict(trigger.cursor))}
        await conn.execute(slots.Q["hold_agent"], {"agent": trigger.agent_id})
        if await (await conn.execute(Q["hold"], values)).fetchone() is None:
            return
        found = found or await _taken_out(database, conn, one)
        due = 0
        for event in found.events:
            skip = TOO_MANY if trigger.kind in SERVERS and due >= MOST_DUE else ""
            due += await slots.record(conn, trigger, event, skip=skip) is not None
        values = {"id": trigger.id, "cursor": pool.jsonb(dict(found.place)), "pause": found.pause}
        await conn.execute(Q["seen"], values)
        await notices.resolve(conn, conditions.problem(trigger.id, "source"), "it can be read again")


async def _taken_out(database: pool.Database, conn: pool.Conn, one: Look) -> Found:
    own = apps.placeholders(database, one.agent)["own"]
    events = await changes.take_out(conn, own, one.trigger)
    more = len(events) == changes.AT_ONCE
    return Found(events, one.trigger.cursor, 0 if more else one.trigger.spec.every)


async def _put_off(database: pool.Database, one: Look, error: Exception) -> None:
    """Notes a failure: the next look comes later, and the owner is told once however many there are."""
    trigger, said = one.trigger, pool.first_line(error)
    log.warning("trigger %s of %s can't look: %s", trigger.name, one.agent, said)
    async with database.api() as conn:
        values = {"id": trigger.id, "lease": one.lease, "every": trigger.spec.every, "most": LONGEST}
        await conn.execute(slots.Q["hold_agent"], {"agent": trigger.agent_id})
        if await (await conn.execute(Q["failed"], values)).fetchone() is None:
            return
        unreachable = isinstance(error, errors.Unreachable | pool.DatabaseError)
        hint = "" if unreachable or not isinstance(error, errors.PocketletError) else error.hint
        title = f"{one.agent}: trigger {trigger.name} can't look at its source: {said}"
        hint = hint or "It is tried again by itself, ever more seldom; `pocketlet trigger list` says when."
        problem = conditions.problem(trigger.id, "source")
        await notices.report(conn, notices.Notice(problem, title, hint, trigger.agent_id))
