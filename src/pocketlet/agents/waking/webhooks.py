"""A signed delivery becomes a slot, and its run, before whoever sent it is told that we have it.

Nothing in it is parsed here: the body is kept byte for byte, and what a run reads of it is outside text, signed or not.
A stranger learns nothing of which agents and triggers there are: whatever is not proven is answered with one word, and
about as much work is done for it.
"""

import logging
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from pocketlet import errors
from pocketlet.agents.triggers import specs, stored
from pocketlet.agents.waking import beginning, conditions, slots
from pocketlet.db import pool, queries
from pocketlet.platform import notices, signatures, vault

Q = queries.load("webhooks")
TOLERANCE = 300  # seconds that a delivery's own time may differ from the database's
NOBODY = 0  # the number of no agent
#: Header fields that are kept with the body, of each at most so many characters.
KEPT = frozenset({"content-type", "content-encoding", "content-language", "user-agent", signatures.ID})
LONGEST = 500
log = logging.getLogger(__name__)

#: Seconds until a trigger takes another event; 0: now.
Wait = Callable[[int], float]


@dataclass(frozen=True, slots=True)
class Delivery:
    """`agent` and `trigger` as the path named them; names of header fields in small letters, in the order given."""

    agent: str
    trigger: str
    headers: Sequence[tuple[str, str]]
    body: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a delivery.

    recorded: it is a slot now; again: it was one already. Else nothing was kept. malformed: its fields say no
    signature; stale: its time is too far from ours; unproven: no such trigger, or no signature of it; too-many: the
    trigger's rate is reached, and another try is welcome after `wait` seconds.
    """

    what: Literal["recorded", "again", "malformed", "stale", "unproven", "too-many"]
    said: str = ""
    slot: int | None = None
    wait: float = 0.0


async def accept(conn: pool.Conn, sealing_key: bytes, delivery: Delivery, wait: Wait) -> Answer:
    """Proves a delivery and records it, in the caller's transaction: tell the sender once that is committed.

    `wait` is asked for events that are new, once they are proven. Raises errors.NoPostgres.
    """
    try:
        signed = signatures.read(delivery.headers)
    except errors.BadInput as error:
        return Answer("malformed", str(error))
    if abs((await stored.now(conn)).timestamp() - signed.timestamp) > TOLERANCE:
        return Answer("stale", f"{signatures.TIMESTAMP} is more than {TOLERANCE} seconds from the time here.")
    trigger = await _trigger(conn, delivery)
    keys = await _keys(conn, sealing_key, trigger)
    if not signatures.verified(signed, delivery.body, keys or [secrets.token_bytes()]) or trigger is None:
        return Answer("unproven", "No trigger here has signed this.")
    answer = await _take_in(conn, trigger, event(delivery, signed.id), wait)
    if answer.what == "recorded" and len(keys) == len(trigger.spec.secrets):
        await notices.resolve(conn, conditions.problem(trigger.id, "secret"), "its secrets are there")
    return answer


def event(delivery: Delivery, identity: str) -> slots.Event:
    """The event of a delivery whose sender is proven. The same id is the same event, whatever its body says."""
    kept = [[name, value[:LONGEST]] for name, value in delivery.headers if name in KEPT]
    return slots.Event(slots.key_of(identity, b""), delivery.body, {"label": "outside", "headers": kept})


async def _take_in(conn: pool.Conn, trigger: stored.Trigger, event: slots.Event, wait: Wait) -> Answer:
    if seen := await _seen(conn, trigger, event):
        return Answer("again", slot=seen)
    if seconds := wait(trigger.id):
        return Answer("too-many", "This trigger takes no more events for now.", wait=seconds)
    await conn.execute(slots.Q["hold_agent"], {"agent": trigger.agent_id})
    await conn.execute(Q["hold_trigger"], {"trigger": trigger.id})
    number = await slots.record(conn, trigger, event)
    if number is None:  # the same delivery came on another connection meanwhile
        return Answer("again", slot=await _seen(conn, trigger, event))
    try:
        async with conn.transaction():
            await beginning.at_once(conn, number)
    except errors.PocketletError as error:
        log.warning("slot %s stays due: %s", number, error)
    return Answer("recorded", slot=number)


async def _seen(conn: pool.Conn, trigger: stored.Trigger, event: slots.Event) -> int | None:
    row = await (await conn.execute(Q["seen"], {"trigger": trigger.id, "key": event.key})).fetchone()
    return row["id"] if row else None


async def _trigger(conn: pool.Conn, delivery: Delivery) -> stored.Trigger | None:
    for name in (delivery.agent, delivery.trigger):
        if not specs.NAME.fullmatch(name):
            return None
    return await stored.by_address(conn, "webhook", f"{delivery.agent}/{delivery.trigger}")


async def _keys(conn: pool.Conn, sealing_key: bytes, trigger: stored.Trigger | None) -> list[bytes]:
    """The keys of the secrets that the trigger names, that are there, and that its agent may use.

    Two secrets are a change of key: each counts alone. That one is missing is a notice to the owner, and no answer.
    """
    keys: list[bytes] = []
    lacks: list[str] = []
    for name in trigger.spec.secrets if trigger else ("",):
        try:
            opened = await vault.open_for(conn, sealing_key, trigger.agent_id if trigger else NOBODY, [name])
            keys.append(signatures.key(opened[name]))
        except errors.PocketletError as error:
            lacks.append(f"{name}: {error} {error.hint}".strip())
    if trigger and lacks:
        said = f"Trigger {trigger.name} takes no delivery that is signed with {'; '.join(lacks)}"
        await conditions.report(conn, trigger.id, "secret", said, agent=trigger.agent_id)
    return keys
