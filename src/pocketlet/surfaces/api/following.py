"""How a run stands, and following it: what is told is a committed row, each step once and in order."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from pocketlet import clock, errors
from pocketlet.agents import agent as agents
from pocketlet.agents import revisions
from pocketlet.db import pool, queries
from pocketlet.platform import connections, ledger
from pocketlet.surfaces.api import caller as callers
from pocketlet.surfaces.api import endpoint, story

Q = queries.load("run_page")
LIVE, WAITING, BROKEN = 0.1, 1.0, 1.0  # seconds between two looks: while it works, while it waits, without Postgres
QUIET = 15.0  # seconds after which how it stands is said again, so that a connection that is gone is noticed
LONGEST = 600.0  # seconds of one stream: whoever follows on asks again, and is known or not
MOST = 200  # steps of one event
ENDED = ("done", "failed", "stopped")
#: What an outcome means, for people.
OUTCOMES = {
    "done": "Done",
    "blocked": "Ended: it could not go on",
    "nothing_to_do": "Done: there was nothing to do",
    "needs_person": "Done: it needs a person",
    "drafted": "Done: a change is drafted",
    "no_change": "Done: nothing to change",
    "quarantined": "Set apart for you to look at",
    "failed": "Failed",
    "stopped": "Stopped",
}

#: The same of a run that ended because its last act was not let out.
HELD = {
    "blocked": "Ended: policy refused",
    "refused": "Ended: you said no",
    "expired": "Ended: nobody answered in time",
}


class Totals(endpoint.Model):
    """How a run stands. `standing`: the same for people. `put_off`: why it is laid aside. `stops`: it was asked to, and
    does before its next act. `seconds`: of its steps; waiting for you is no work. `cap_usd`: what it may cost;
    `held`: of an outcome of "blocked", what became of its last act: blocked, refused or expired. `uncertain_usd`: what
    may still be billed. `waits`: the approvals that it waits for.
    """

    state: str
    outcome: str
    standing: str
    held: str
    put_off: str
    stops: bool
    ended: bool
    steps: int
    seconds: float
    cost: Decimal
    uncertain_usd: Decimal
    cap_usd: Decimal
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    waits: list[int]


@dataclass(slots=True)
class Counted:
    """Sums up to a step, to which each later one is added: a long run is not summed up again."""

    steps: int
    seconds: float
    tokens: dict[str, int]

    def add(self, pieces: Sequence[story.Piece]) -> None:
        """Those that are not counted yet."""
        for one in pieces:
            if one.seq > self.steps:
                self.steps = one.seq
                self.seconds += one.seconds
                for name, more in zip(("input", "output", "cached"), _tokens(one), strict=True):
                    self.tokens[name] += more


def _tokens(one: story.Piece) -> tuple[int, int, int]:
    return one.input_tokens, one.output_tokens, one.cached_tokens


async def counted(conn: pool.Conn, number: int) -> Counted:
    """Of all steps until now."""
    worked = await (await conn.execute(Q["worked"], {"run": number})).fetchone() or {}
    money = await ledger.of_run(conn, number)
    tokens = {name: int(money[f"{name}_tokens"]) for name in ("input", "output", "cached")}
    return Counted(worked["steps"], worked["seconds"], tokens)


async def standing(conn: pool.Conn, caller: callers.Caller, number: int) -> dict[str, Any]:
    """The row. Raises errors.NotFound."""
    values = {"run": number, "owner": caller.owner.id}
    row = await (await conn.execute(Q["standing"], values)).fetchone()
    if row is None:
        raise errors.NotFound(f"There is no run {number}.")
    return row


async def cap(conn: pool.Conn, agent: agents.Agent) -> Decimal:
    """What a run may cost that was not asked yet, as the revision in force says."""
    return (await revisions.load(conn, agent, agent.current)).manifest.budget["run"]


def totals(row: Mapping[str, Any], sums: Counted, most: Decimal) -> Totals:
    """How it stands. `most`: its budget in USD, if no call was made yet."""
    state = row["state"]
    put_off = (row["error"] or "") if state == "queued" else ""
    return Totals(
        state=state,
        outcome=row["outcome"] or "",
        standing=_standing(row, put_off),
        held=row["held"] or "" if state == "done" else "",
        put_off=put_off,
        stops=row["stop_requested"] and state not in ENDED,
        ended=state in ENDED,
        steps=row["steps"],
        seconds=round(sums.seconds, 3),
        cost=row["spent"] or Decimal(0),
        uncertain_usd=row["reserved"] or Decimal(0),
        cap_usd=most if row["cap"] is None else row["cap"],
        input_tokens=sums.tokens["input"],
        output_tokens=sums.tokens["output"],
        cached_tokens=sums.tokens["cached"],
        waits=list(row["waits"]) if state == "waiting" else [],
    )


def _standing(row: Mapping[str, Any], put_off: str) -> str:
    match row["state"]:
        case "queued":
            return f"Laid aside: {put_off}" if put_off else "Waiting for a worker"
        case "running":
            return "Stops before its next act" if row["stop_requested"] else "At work"
        case "waiting":
            return "Waiting for you" if row["waits"] else "Goes on in a moment"
        case state:
            return HELD.get(row["held"]) or OUTCOMES.get(row["outcome"] or state) or str(row["outcome"])


async def pieces(conn: pool.Conn, agent: agents.Agent, number: int, first: int, last: int) -> list[story.Piece]:
    """The steps from `first` to `last`."""
    values = {"run": number, "first": first, "last": last}
    rows = await (await conn.execute(Q["steps"], values)).fetchall()
    known: dict[str, connections.Connection] = {}
    if any(row["tool"] == "http" for row in rows):
        known = {one.name: one for one in await connections.of_agent(conn, agent.id)}
    return [story.piece(row, known) for row in rows]


async def events(caller: callers.Caller, number: int, after: int) -> AsyncIterator[endpoint.Event]:
    """`steps` after that number (the event's id is that of its last), `head` whenever how it stands has changed, and
    `end` once nothing more comes. A restart of Postgres is waited for. Raises errors.NotFound, errors.NoPostgres.
    """
    async with caller.database.api() as conn:
        agent = await callers.run(conn, caller, number)
        sums, most = await counted(conn, number), await cap(conn, agent)
    said: Totals | None = None
    began = spoke = clock.monotonic()
    while (now := clock.monotonic()) < began + LONGEST:
        try:
            async with caller.database.api() as conn:
                row = await standing(conn, caller, number)
                found = await pieces(conn, agent, number, after + 1, min(row["steps"], after + MOST))
        except errors.NotFound:
            return
        except (errors.NoPostgres, pool.DatabaseError):
            await asyncio.sleep(BROKEN)
            continue
        sums.add(found)
        stands = totals(row, sums, most)
        if found:
            after = found[-1].seq
            items = [one.model_dump(mode="json") for one in found]
            yield endpoint.Event("steps", {"items": items}, str(after))
        if stands != said or now > spoke + QUIET:
            said, spoke = stands, now
            yield endpoint.Event("head", stands.model_dump(mode="json"))
        if stands.ended and after >= stands.steps:
            yield endpoint.Event("end", {"state": stands.state})
            return
        if len(found) < MOST:
            await asyncio.sleep(WAITING if stands.state == "waiting" or stands.put_off else LIVE)
