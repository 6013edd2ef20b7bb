"""Whose words a query gave, told from the tables that it read: which rows they were, none can say."""

from collections.abc import Set

from pocketlet.agents import agent as agents
from pocketlet.db import pool, queries

Q = queries.load("provenance")
CORE = frozenset({"memories", "results"})
RUNS = "run"  # the platform's table under the view `runs`


async def of_tables(conn: pool.Conn, agent: agents.Agent, read: Set[str], version: int) -> str:
    """outside if one of the core tables that was read held any text from outside at that version, else own-data.

    A memory may have been superseded since, even while a run was reading it.
    """
    before = {"memories_before"} if "memories" in read else set[str]()
    for name in sorted(read & CORE | before):
        query = queries.named(Q["holds_outside"], schema=agent.name, table=name)
        if await (await conn.execute(query, {"version": version})).fetchone():
            return "outside"
    if RUNS in read and await (await conn.execute(Q["ran_outside"], {"agent": agent.id})).fetchone():
        return "outside"
    return "own-data"
