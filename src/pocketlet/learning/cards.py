"""Change cards: what a talk proposes, as its owner sees it: the diff, what the gate found, and what can be done."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pocketlet import errors
from pocketlet.agents import agent as agents
from pocketlet.agents import revisions, runs
from pocketlet.db import pool, queries
from pocketlet.learning import adoption, feedback, tables, trials

Q = queries.load("chat")


@dataclass(frozen=True, slots=True)
class Card:
    """A draft with its standing.

    `state`: draft (its replays are under way), asked (it waits for the owner), discarded, narrowed, adopted, current.
    `why` it is so, `counts` of its replays by verdict, `pending` replays' runs, `diff` against `parent`.
    """

    agent: str
    run: int
    revision: int
    parent: int
    state: str
    why: str
    diff: str
    findings: tuple[str, ...]
    counts: Mapping[str, int]
    pending: Sequence[int]

    @property
    def commands(self) -> dict[str, str]:
        """What the owner can do with it now, as commands: accept and discard, or undo."""
        if self.state in revisions.OPEN:
            verbs = {"accept": "adopt", "discard": "discard"}
            return {word: f"pocketlet {verb} {self.agent} {self.revision}" for word, verb in verbs.items()}
        return {"undo": f"pocketlet rollback {self.agent} {self.parent}"} if self.state == "current" else {}

    def record(self) -> dict[str, Any]:
        """As JSON."""
        names = ("agent", "run", "revision", "parent", "state", "why", "diff")
        found = {name: getattr(self, name) for name in names}
        return found | {
            "findings": list(self.findings),
            "replays": dict(self.counts),
            "pending": len(self.pending),
            "commands": self.commands,
        }


async def of_run(conn: pool.Conn, run: int) -> Card | None:
    """The card that a talk's run ended in; None if it proposed nothing."""
    n = await feedback.draft_of(conn, run)
    if n is None:
        return None
    agent = await agents.by_id(conn, (await runs.load(conn, run)).agent_id)
    row = await revisions.one(conn, agent, n)
    parent = row["parent"]
    old, new = await revisions.load(conn, agent, parent), await revisions.load(conn, agent, n)
    told = await trials.report(conn, agent, n)
    return Card(
        agent=agent.name,
        run=run,
        revision=n,
        parent=parent,
        state=row["state"],
        why=row["because"] or "",
        diff=revisions.diff(old, new, (f"r{parent}", f"r{n}")),
        findings=tuple(finding["why"] for finding in told["findings"]),
        counts=told["counts"],
        pending=await trials.pending(conn, agent, n),
    )


async def last(conn: pool.Conn, name: str) -> Card | None:
    """The card of the last turn with this agent that had one. Raises errors.NotFound."""
    agent = await agents.get(conn, name)
    row = await (await conn.execute(Q["last"], {"agent": agent.id})).fetchone()
    return await of_run(conn, row["id"]) if row else None


async def accept(database: pool.Database, card: Card) -> None:
    """The draft counts, with its tables, whatever its replays say. Raises errors.Conflict, errors.BadInput."""
    await tables.adopt(database, card.agent, card.revision)


async def discard(database: pool.Database, card: Card) -> None:
    """The draft is turned down. Raises errors.Conflict."""
    async with database.api() as conn:
        await adoption.discard(conn, await agents.get(conn, card.agent), card.revision)


async def undo(database: pool.Database, card: Card) -> None:
    """Back to the revision that the draft was made from; tables that it brought are hidden and keep their rows.

    Raises errors.Conflict unless the card's revision is the current one.
    """
    async with database.api() as conn:
        agent = await agents.get(conn, card.agent)
        if agent.current != card.revision:
            hint = f"`pocketlet revisions {agent.name}` lists them; `pocketlet rollback {agent.name} N` goes to any."
            raise errors.Conflict(f"Revision {card.revision} is not the current one, but {agent.current}.", hint=hint)
        await adoption.roll_back(conn, agent, card.parent)
