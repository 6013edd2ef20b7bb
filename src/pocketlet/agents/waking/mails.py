"""A mail that was handed to us becomes a slot, and its run, before whoever brought it is told that we have it."""

from pocketlet import errors
from pocketlet.agents.triggers import loops, stored
from pocketlet.agents.waking import beginning, slots
from pocketlet.db import pool
from pocketlet.platform import installation, messages


async def trigger_of(conn: pool.Conn, address: str) -> stored.Trigger | None:
    """The trigger that a mail to this address means, if there is one."""
    return await stored.by_address(conn, "mail", address.strip("<>").lower())


async def accept(conn: pool.Conn, address: str, raw: bytes) -> int | None:
    """Records a mail that arrived; the run that it starts at once, or None (seen before, automatic, or begun later).

    Raises errors.NotFound if no agent has the address, errors.BadInput if the message can't be read.
    """
    trigger = await trigger_of(conn, address)
    if trigger is None:
        raise errors.NotFound(f"No agent has the address {address}.")
    mail = messages.parse(raw)
    sender = mail.sender.lower()
    skip = await why_not(conn, trigger, loops.marks(raw), sender, await installation.identity(conn))
    event = slots.Event(slots.key_of(mail.message_id, raw), raw, {"sender": sender, "subject": mail.subject})
    number = await slots.record(conn, trigger, event, skip=skip)
    return None if number is None or skip else await beginning.at_once(conn, number)


def may_answer(raw: bytes, instance: str) -> bool:
    """Whether a mail names a message of this installation, as an answer does: only then it is asked who wrote it."""
    return f"@{instance}.pocketlet".lower().encode() in loops.head(raw).lower()


async def why_not(conn: pool.Conn, trigger: stored.Trigger, marks: loops.Marks, sender: str, instance: str) -> str:
    """Why a mail starts no run: a machine sent it, or its sender sent so many; empty if it may start one."""
    values = {"agent": trigger.agent_id, "trigger": trigger.id, "sender": sender}
    row = await (await conn.execute(slots.Q["recent"], values)).fetchone()
    return loops.why_not(marks, instance, row["mails"] if row else 0)
