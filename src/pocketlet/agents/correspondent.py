"""For whom a run works: what the platform lets it read, and whom it may write about, follow from that."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, cast

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

    A table that came since is shared only by a word of the owner's on another `[reads]` or schema/ than before: a
    draft that the gate adopts alone opens none, and going back opens what was open then. Raises errors.BadAgent.
    """
    reads = playbook.manifest.reads
    said = {"reads": asdict(reads), "schema": dict(playbook.schema_files)}
    words = hashlib.sha256(pool.canonical(said).encode()).hexdigest()
    made = await (await conn.execute(Q["made"], {"agent": agent.id})).fetchone() or {}
    found = await (await conn.execute(Q["word"], {"agent": agent.id, "revision": agent.current})).fetchone() or {}
    known, word = cast("list[dict[str, Any]]", made.get("known", [])), int(found.get("word", 0))
    is_new = words != made.get("words") and all(word > entry["word"] for entry in known)
    counts = bounds.Counts(reads, None if is_new else _covered(known, word, words))
    plan = await apps.bind(database, agent.name, counts, made.get("digest", ""))
    if is_new:
        known = [*known, {"word": word, "words": words, "tables": dict(plan.covered)}]
    values = {"agent": agent.id, "revision": agent.current, "digest": plan.digest}
    await conn.execute(Q["bound"], values | {"known": pool.jsonb(known), "words": words})


def _covered(known: Sequence[Mapping[str, Any]], word: int, words: str) -> Mapping[str, int]:
    """The tables that were there when the owner said these words; if that was not noted, those there before."""
    same = [entry for entry in known if entry["words"] == words]
    found = same or [entry for entry in known if entry["word"] <= word]
    return found[-1]["tables"] if found else {}
