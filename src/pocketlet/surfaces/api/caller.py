"""Who asks, and what belongs to them. Whatever an endpoint touches is looked for here first, by its owner."""

from dataclasses import dataclass

from pocketlet import errors, settings
from pocketlet.agents import agent as agents
from pocketlet.db import pool, queries
from pocketlet.platform import owners

Q = queries.load("owned")


@dataclass(frozen=True, slots=True)
class Caller:
    """An owner, or a program of hers with the scopes of its token, and what the answer is made with."""

    database: pool.Database
    config: settings.Settings
    owner: owners.Owner
    scopes: frozenset[str] = frozenset(owners.SCOPES)

    def must(self, scope: str) -> None:
        """For what needs more than its endpoint. Raises errors.Refused."""
        if scope not in self.scopes:
            raise errors.Refused(f"This needs the scope {scope}, which the token does not have.")

    def must_keep(self) -> None:
        """What belongs to no agent is the keeper's. Raises errors.Refused."""
        if not self.owner.keeper:
            raise errors.Refused(f"{self.owner.name} does not keep this installation.", hint="Ask whoever set it up.")


async def everyone(conn: pool.Conn, caller: Caller) -> list[agents.Agent]:
    """The caller's agents, by name."""
    rows = await (await conn.execute(Q["agents"], {"owner": caller.owner.id})).fetchall()
    return [agents.Agent(row["id"], row["name"], row["origin"], row["current"]) for row in rows]


async def agent(conn: pool.Conn, caller: Caller, name: str) -> agents.Agent:
    """One of the caller's agents. Raises errors.NotFound, in the same words whether it is another's or nobody's."""
    for one in await everyone(conn, caller):
        if one.name == name:
            return one
    raise errors.NotFound(f"There is no agent {name!r}.", hint="Look at the list of your agents.")


async def run(conn: pool.Conn, caller: Caller, number: int) -> agents.Agent:
    """The agent of a run of the caller's. Raises errors.NotFound."""
    return await _of(conn, caller, "run", number)


async def approval(conn: pool.Conn, caller: Caller, number: int) -> agents.Agent:
    """The agent of a question that waits for the caller, or did. Raises errors.NotFound."""
    return await _of(conn, caller, "approval", number)


async def feedback(conn: pool.Conn, caller: Caller, number: int) -> agents.Agent:
    """The agent of the run that feedback is on. Raises errors.NotFound."""
    return await _of(conn, caller, "feedback", number)


async def slot(conn: pool.Conn, caller: Caller, number: int) -> agents.Agent:
    """The agent of a slot. Raises errors.NotFound."""
    return await _of(conn, caller, "slot", number)


async def rule(conn: pool.Conn, caller: Caller, number: int) -> agents.Agent:
    """The agent of a standing rule. Raises errors.NotFound."""
    return await _of(conn, caller, "rule", number)


async def notice(conn: pool.Conn, caller: Caller, number: int) -> None:
    """A notice of an agent of the caller's; those of no agent are the keeper's. Raises errors.NotFound."""
    row = await (await conn.execute(Q["notice"], {"number": _stored(number), "owner": caller.owner.id})).fetchone()
    if row is None or (row["agent_id"] is None and not caller.owner.keeper):
        raise errors.NotFound(f"There is no notice {number}.")


async def reply(conn: pool.Conn, caller: Caller, number: int) -> None:
    """An answer to a message about a run of the caller's; those about none are the keeper's. Raises errors.NotFound."""
    row = await (await conn.execute(Q["reply"], {"number": _stored(number), "owner": caller.owner.id})).fetchone()
    if row is None or (row["agent_id"] is None and not caller.owner.keeper):
        raise errors.NotFound(f"There is no reply {number}.")


async def _of(conn: pool.Conn, caller: Caller, kind: str, number: int) -> agents.Agent:
    row = await (await conn.execute(Q[kind], {"number": _stored(number), "owner": caller.owner.id})).fetchone()
    if row is None:
        raise errors.NotFound(f"There is no {kind} {number}.")
    return agents.Agent(row["id"], row["name"], row["origin"], row["current"])


def _stored(number: int) -> int:
    """A number that no row has, for one that no column holds."""
    return number if 0 < number < 2**63 else 0
