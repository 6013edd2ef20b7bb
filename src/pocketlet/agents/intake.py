"""Events on their way to a run: slot, run and job are one transaction, so no accepted event is lost."""

import hashlib

from pocketlet import errors
from pocketlet.agents import agent as agents
from pocketlet.agents import manifest as manifests
from pocketlet.agents import revisions, runs
from pocketlet.agents import task as tasks
from pocketlet.db import pool, queries
from pocketlet.platform import messages

Q = queries.load("intake")


async def address_of(conn: pool.Conn, address: str) -> tuple[agents.Agent, manifests.Manifest] | None:
    """The agent whose `[triggers] mail` this address is, if there is one."""
    for agent in await agents.everyone(conn):
        manifest = (await revisions.load(conn, agent, agent.current)).manifest
        if manifest.mail_trigger and manifest.mail_trigger == address.strip("<>").lower():
            return agent, manifest
    return None


async def accept_mail(conn: pool.Conn, address: str, raw: bytes) -> int | None:
    """Starts a run for a mail that arrived; its number, or None if this mail starts none (seen before, or automatic).

    Raises errors.NotFound if no agent has the address, errors.BadInput if the message can't be read.
    """
    found = await address_of(conn, address)
    if found is None:
        raise errors.NotFound(f"No agent has the address {address}.")
    agent, manifest = found
    mail = messages.parse(raw)
    key = hashlib.sha256(mail.message_id.encode() or raw).hexdigest()
    reason = "sent automatically: answering could start a loop" if mail.auto_submitted else ""
    values = {"agent": agent.id, "trigger": "mail", "key": key, "reason": reason}
    slot = await (await conn.execute(Q["slot"], values)).fetchone()
    if slot is None or reason:
        return None
    number = await runs.create(conn, agent, tasks.from_mail(raw), raw, manifest)
    await conn.execute(Q["started"], {"slot": slot["id"], "run": number})
    return number
