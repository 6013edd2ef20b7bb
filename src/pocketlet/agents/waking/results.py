"""A result of one agent starts runs of others: recorded in the transaction that writes the result."""

from collections.abc import Mapping

from pocketlet.agents import agent as agents
from pocketlet.agents import runs
from pocketlet.agents.triggers import stored
from pocketlet.agents.waking import slots
from pocketlet.db import pool, queries

Q = queries.load("looking")
HOPS = 3  # agents that may start each other in a row
STOPPED = "agents started each other three times"
TOLD = ("outcome", "subject", "summary", "entity")


async def publish(conn: pool.Conn, agent: agents.Agent, run: runs.Run, result: Mapping[str, object]) -> int:
    """Records a slot for each trigger that waits for results of `agent`; how many. Of a dry run nobody hears.

    Whoever listens is told no better than own data: it is what a model wrote, however good its sources were.
    """
    if run.dry:
        return 0
    values = {"agent": agent.name, "id": agent.id}
    rows = await (await conn.execute(Q["listeners"], values)).fetchall()
    if not rows:
        return 0
    counted = await (await conn.execute(Q["hops"], {"run": run.id})).fetchone()
    hops = (counted["hops"] if counted else 0) + 1
    told = {"agent": agent.name, "run": run.id, **{name: result.get(name) for name in TOLD}}
    about: dict[str, object] = {"label": "outside" if run.label == "outside" else "own-data", "hops": hops}
    about |= {"subject": result.get("subject") or "", "from": agent.name}
    event = slots.Event(f"run:{run.id}", pool.canonical(told).encode(), about)
    wanted = [stored.trigger(row) for row in rows]
    wanted = [one for one in wanted if one.spec.settings.get("outcome", told["outcome"]) == told["outcome"]]
    recorded = [await slots.record(conn, one, event, skip=STOPPED if hops > HOPS else "") for one in wanted]
    return sum(number is not None for number in recorded)
