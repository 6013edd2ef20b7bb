"""The agent's own row: its name, where it came from, and the revision that counts."""

from dataclasses import dataclass

from pocketlet import errors
from pocketlet.db import pool, queries

Q = queries.load("agent")
KEEPER = 1  # the first owner, who is there from the beginning


@dataclass(frozen=True, slots=True)
class Agent:
    """`current` is the revision that new runs are pinned to."""

    id: int
    name: str
    origin: str
    current: int


async def get(conn: pool.Conn, name: str) -> Agent:
    """Raises errors.NotFound, naming the agents there are."""
    row = await (await conn.execute(Q["get"], {"name": name})).fetchone()
    if row is None:
        known = [agent.name for agent in await everyone(conn)]
        there_are = f"There are: {', '.join(known)}." if known else "There is none yet: `pocketlet agent import DIR`."
        raise errors.NotFound(f"There is no agent {name!r}.", hint=there_are)
    return Agent(row["id"], row["name"], row["origin"], row["current"])


async def lock(conn: pool.Conn, agent_id: int) -> None:
    """Takes the agent's row for this transaction, in a statement of its own and before anything is written that refers
    to it: whoever learns something takes turns, and sees what the one before has done.
    """
    await conn.execute(Q["lock"], {"id": agent_id})


async def by_id(conn: pool.Conn, agent_id: int) -> Agent:
    """The agent of a run, say."""
    row = await (await conn.execute(Q["by_id"], {"id": agent_id})).fetchone()
    if row is None:
        raise errors.NotFound("The agent was removed.")
    return Agent(row["id"], row["name"], row["origin"], row["current"])


async def everyone(conn: pool.Conn) -> list[Agent]:
    """All agents, by name."""
    rows = await (await conn.execute(Q["list"])).fetchall()
    return [Agent(row["id"], row["name"], row["origin"], row["current"]) for row in rows]


async def begin(conn: pool.Conn, name: str, origin: str, owner: int = KEEPER) -> int:
    """A new agent's row; its id. Two that begin at once wait for each other. Raises errors.Conflict."""
    row = await (await conn.execute(Q["begin"], {"name": name, "origin": origin, "owner": owner})).fetchone()
    if row is None:
        raise errors.Conflict(
            f"There is an agent {name!r} already.",
            hint="`pocketlet agent import --replace DIR` makes the folder its next revision; "
            f"`pocketlet agent remove {name}` removes it.",
        )
    return row["id"]


async def imported(conn: pool.Conn, agent_id: int) -> None:
    """The agent is its owner's: the demo leaves it alone, even if the demo made it."""
    await conn.execute(Q["imported"], {"id": agent_id})


async def forget(conn: pool.Conn, agent_id: int) -> None:
    """Deletes the row and everything that hangs on it; its ledger rows stay, without the link."""
    await conn.execute(Q["forget"], {"id": agent_id})
