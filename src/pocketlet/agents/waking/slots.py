"""Slots as rows: one for each occurrence of a trigger, recorded before anything is done about it."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pocketlet import errors
from pocketlet.agents.triggers import stored
from pocketlet.db import pool, queries

Q = queries.load("slots")
LEASE = 60.0  # seconds that a worker has to begin what it took
EACH = 10  # slots of one trigger that are taken at a time


@dataclass(frozen=True, slots=True)
class Event:
    """What came. `key`: the event's own id, the same however often it comes. `about`: what is known besides `body`."""

    key: str
    body: bytes = b""
    about: Mapping[str, Any] = field(default_factory=dict[str, Any])
    due: datetime | None = None


@dataclass(frozen=True, slots=True)
class Slot:
    """A row with its trigger. `attempts` is this worker's claim on it; `replays` the slot that it does again.

    `position`: from 1, where it is an item of a list.
    """

    id: int
    trigger: stored.Trigger
    key: str
    state: str
    body: bytes
    about: Mapping[str, Any]
    due_at: datetime
    attempts: int
    run_id: int | None
    replays: int | None = None
    position: int | None = None


def key_of(identity: str, body: bytes) -> str:
    """The key of a mail: its Message-ID, or its bytes if it has none, as a hash of one length."""
    return hashlib.sha256(identity.encode("utf-8", "surrogateescape") or body).hexdigest()


async def record(conn: pool.Conn, trigger: stored.Trigger, event: Event, *, skip: str = "") -> int | None:
    """The event's slot, in the caller's transaction; None if it has one already. `skip`: why nothing is started."""
    values: dict[str, object] = {"agent": trigger.agent_id, "trigger": trigger.id, "key": event.key, "due": event.due}
    values |= {"body": event.body, "about": pool.jsonb(dict(event.about)), "reason": skip}
    values |= {"state": "skipped" if skip else "due"}
    row = await (await conn.execute(Q["record"], values)).fetchone()
    return row["id"] if row else None


async def load(conn: pool.Conn, number: int) -> Slot:
    """Raises errors.NotFound."""
    row = await (await conn.execute(Q["load"], {"slot": number})).fetchone()
    if row is None:
        raise errors.NotFound(f"There is no slot {number}.", hint="`pocketlet slot list` names them.")
    return Slot(
        id=row["slot"],
        trigger=stored.trigger(row),
        key=row["key"],
        state=row["slot_state"],
        body=bytes(row["body"] or b""),
        about=row["about"],
        due_at=row["due_at"],
        attempts=row["attempts"],
        run_id=row["run_id"],
        replays=row["replays"],
        position=row["position"],
    )


async def take(conn: pool.Conn, limit: int) -> list[list[int]]:
    """Due slots for this worker alone for LEASE seconds: those of one trigger together, in their order."""
    values = {"limit": limit, "lease": LEASE, "each": EACH}
    rows = await (await conn.execute(Q["take"], values)).fetchall()
    found: dict[int, list[int]] = {}
    for row in sorted(rows, key=lambda row: (row["due_at"], row["id"])):
        found.setdefault(row["trigger_id"], []).append(row["id"])
    return list(found.values())


async def hold(conn: pool.Conn, slot: Slot) -> bool:
    """Locks the slot and its trigger for this transaction; whether the slot is still this worker's to begin."""
    await conn.execute(Q["hold_agent"], {"agent": slot.trigger.agent_id})
    values = {"slot": slot.id, "attempts": slot.attempts}
    return await (await conn.execute(Q["hold"], values)).fetchone() is not None


async def settle(conn: pool.Conn, slot: int, state: str, reason: str = "") -> bool:
    """Its end (done, failed, skipped, missed); False if it had one already."""
    values = {"slot": slot, "state": state, "reason": reason}
    return await (await conn.execute(Q["settle"], values)).fetchone() is not None


async def wait(conn: pool.Conn, slot: int, seconds: float, reason: str) -> None:
    """It stays due, and is looked at again after so many seconds."""
    await conn.execute(Q["wait"], {"slot": slot, "seconds": seconds, "reason": reason})


async def replay(conn: pool.Conn, number: int) -> int:
    """The same event once more, as a slot of its own; its number. Raises errors.NotFound, errors.Conflict."""
    slot = await load(conn, number)
    if slot.trigger.kind in ("mail", "mailbox") and not slot.body:
        said = f"The mail of slot {number} was not kept: it is one of ours, or answers one."
        raise errors.Conflict(said, hint="It may hold a link that answers a question. Send its text as a new mail.")
    row = await (await conn.execute(Q["replay"], {"slot": number})).fetchone()
    if row is None:
        raise errors.NotFound(f"There is no slot {number}.", hint="`pocketlet slot list` names them.")
    return row["id"]


async def listing(conn: pool.Conn, agent: int | None, trigger: int | None, limit: int) -> list[dict[str, Any]]:
    """The newest slots."""
    values = {"agent": agent, "trigger": trigger, "limit": limit}
    return list(await (await conn.execute(Q["listing"], values)).fetchall())


async def today(conn: pool.Conn, hours: int = 24) -> Sequence[dict[str, Any]]:
    """For each trigger what was due in the last hours, what ran, failed, was skipped, and what waits."""
    return list(await (await conn.execute(Q["today"], {"hours": hours})).fetchall())
