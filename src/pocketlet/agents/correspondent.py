"""For whom a run works: what the platform lets it read, and whom it may write about, follow from that."""

from pocketlet.agents import agent as agents
from pocketlet.agents import playbook as playbooks
from pocketlet.agents import revisions
from pocketlet.agents import task as tasks
from pocketlet.db import bounds, pool, queries
from pocketlet.platform import apps

Q = queries.load("correspondent")


def of(task: tasks.Task) -> str | None:
    """The address of whoever wrote the task, as the mail says; empty if it names none; None if the owner gave it."""
    return task.sender if task.label == "outside" else None


def tables(playbook: playbooks.Playbook, task: tasks.Task) -> str:
    """The table map as the run is told it."""
    if of(task) is None:
        return playbook.tables
    return "\n".join(text for text in (playbook.tables, bounds.told(playbook.manifest.reads)) if text)


async def ready(database: pool.Database, agent_id: int) -> None:
    """Sees to it that what a bound login sees follows the revision that counts now, whichever the run is pinned to.

    It is the owner's word of today, like the budget. Raises errors.BadAgent if `[reads]` does not fit the tables.
    """
    async with database.api() as conn:
        if await _is_ready(conn, agent_id):
            return
    async with database.api() as conn:
        await agents.lock(conn, agent_id)
        if not await _is_ready(conn, agent_id):
            agent = await agents.by_id(conn, agent_id)
            await bind(database, conn, agent, await revisions.load(conn, agent, agent.current))


async def _is_ready(conn: pool.Conn, agent_id: int) -> bool:
    row = await (await conn.execute(Q["ready"], {"agent": agent_id})).fetchone()
    return bool(row and row["ready"])


async def bind(database: pool.Database, conn: pool.Conn, agent: agents.Agent, playbook: playbooks.Playbook) -> None:
    """Makes the views for `agent.current`, which is `playbook`. The agent's row is this transaction's.

    Raises errors.BadAgent.
    """
    row = await (await conn.execute(Q["made"], {"agent": agent.id})).fetchone()
    digest = await apps.bind(database, agent.name, playbook.manifest.reads, row["digest"] if row else "")
    await conn.execute(Q["bound"], {"agent": agent.id, "revision": agent.current, "digest": digest})
