"""A mail that was handed to us becomes a slot, and its run, before whoever brought it is told that we have it."""

import hashlib
from dataclasses import replace

from pocketlet import errors
from pocketlet.agents.triggers import loops, stored
from pocketlet.agents.waking import beginning, conditions, slots
from pocketlet.db import pool
from pocketlet.platform import installation, messages, notices

ANSWER = "it answers a message of ours"


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
    number = await record(conn, trigger, event, skip)
    return None if number is None or skip else await beginning.at_once(conn, number)


async def record(conn: pool.Conn, trigger: stored.Trigger, event: slots.Event, skip: str) -> int | None:
    """A mail's slot, as slots.record makes it. `skip`: why it starts nothing, as `why_not` says it, or ANSWER.

    Of what we wrote, and of an answer to it, the text is not kept: it may hold a link that answers a question. Of mails
    that are skipped because so many came the owner is told: anybody can write so many in somebody's name.
    """
    kept = replace(event, body=b"") if skip in (loops.OURS, ANSWER) else event
    number = await slots.record(conn, trigger, kept, skip=skip)
    if number is not None and skip.endswith(loops.TOO_MANY):
        await _told(conn, trigger, str(event.about["sender"]))
    return number


async def _told(conn: pool.Conn, trigger: stored.Trigger, sender: str) -> None:
    whose = hashlib.sha256(sender.encode("utf-8", "surrogateescape")).hexdigest()[:16]
    title = f"Trigger {trigger.name} skips mails: more than {loops.MOST} came within an hour in the name of {sender}"
    hint = "If real ones are among them: `pocketlet slot list` shows them, `pocketlet slot replay SLOT` starts one."
    problem = conditions.problem(trigger.id, f"many:{whose}")
    await notices.report(conn, notices.Notice(problem, title, hint, trigger.agent_id))


def may_answer(raw: bytes, instance: str) -> bool:
    """Whether a mail names a message of this installation, as an answer does: only then it is asked who wrote it."""
    return f"@{instance}.pocketlet".lower().encode() in loops.head(raw).lower()


async def why_not(conn: pool.Conn, trigger: stored.Trigger, marks: loops.Marks, sender: str, instance: str) -> str:
    """Why a mail starts no run: a machine sent it, or its sender sent so many; empty if it may start one."""
    values = {"agent": trigger.agent_id, "trigger": trigger.id, "sender": sender}
    row = await (await conn.execute(slots.Q["recent"], values)).fetchone()
    return loops.why_not(marks, instance, row["mails"] if row else 0)
