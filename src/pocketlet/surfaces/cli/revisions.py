"""`pocketlet revisions`, `diff`, `adopt`, `discard` and `rollback`."""

from typing import TYPE_CHECKING, Any

import click

from pocketlet import errors
from pocketlet.surfaces.cli import arguments, output, session

if TYPE_CHECKING:
    from pocketlet.agents import agent as agents
    from pocketlet.db import pool

COLUMNS = ("revision", "state", "author", "feedback", "created", "reason", "decided by", "why")
SHOWN = 100  # characters of a reason


@click.command()
@click.argument("agent")
@output.as_json
def revisions(agent: str, *, as_json: bool) -> None:
    """List an agent's revisions, newest first."""
    rows = session.call(_history, agent)
    if as_json:
        output.document({"agent": agent, "revisions": rows})
        return
    output.table(COLUMNS, [_listed(row) for row in rows])
    for row in rows:
        if row["state"] == "asked":
            _ask(agent, row["revision"], row["parent"])


def _listed(row: dict[str, Any]) -> list[object]:
    shown = [row[name] for name in COLUMNS[:4]]
    decided = [row["decided_by"], (row["because"] or "")[:SHOWN]]
    return [*shown, output.when(row["created_at"]), row["reason"][:SHOWN], *decided]


def _ask(agent: str, revision: int, parent: int | None) -> None:
    output.note(f"Revision {revision} waits for your word: `pocketlet diff {agent} {parent} {revision}` shows it, then")
    output.note(f"`pocketlet adopt {agent} {revision}` or `pocketlet discard {agent} {revision}`.")


async def _history(database: "pool.Database", name: str) -> list[dict[str, Any]]:
    from pocketlet.agents import agent as agents
    from pocketlet.agents import revisions as playbooks

    async with database.api() as conn:
        return await playbooks.history(conn, await agents.get(conn, name))


@click.command()
@click.argument("agent")
@click.argument("old", metavar="N", type=arguments.REVISION)
@click.argument("new", metavar="M", type=arguments.REVISION)
@output.as_json
def diff(agent: str, *, old: int, new: int, as_json: bool) -> None:
    """Show what changed between two revisions."""
    found = session.call(_diff, agent, old, new)
    if as_json:
        output.document({"agent": agent, "from": old, "to": new} | found)
    else:
        output.line(found["diff"] or f"Revisions {old} and {new} are the same.")


async def _diff(database: "pool.Database", name: str, old: int, new: int) -> dict[str, Any]:
    from pocketlet.agents import agent as agents
    from pocketlet.agents import revisions as playbooks

    async with database.api() as conn:
        agent = await agents.get(conn, name)
        both = [await playbooks.load(conn, agent, n) for n in (old, new)]
        decided = await _decided(conn, agent, new)
    return {"diff": playbooks.diff(both[0], both[1], (f"r{old}", f"r{new}"))} | decided


async def _decided(conn: "pool.Conn", agent: "agents.Agent", revision: int) -> dict[str, Any]:
    """What was last decided on a revision: by whom, why, and on what evidence."""
    from pocketlet.agents import revisions as playbooks

    row = next(row for row in await playbooks.history(conn, agent) if row["revision"] == revision)
    return {name: row[name] for name in ("state", "decided_by", "because", "evidence")}


@click.command()
@click.argument("agent")
@click.argument("revision", metavar="N", type=arguments.REVISION)
@output.as_json
def adopt(agent: str, *, revision: int, as_json: bool) -> None:
    """Make a drafted revision the current one.

    The trials' report is kept with the decision. Runs that have begun stay with the revision they began with.
    """
    _tell(session.call(_decide, agent, revision, "adopt"), as_json=as_json)


@click.command()
@click.argument("agent")
@click.argument("revision", metavar="N", type=arguments.REVISION)
@click.option("--because", default="", metavar="TEXT", help="Why; kept with the decision.")
@output.as_json
def discard(agent: str, *, revision: int, because: str, as_json: bool) -> None:
    """Turn a drafted revision down."""
    _tell(session.call(_decide, agent, revision, "discard", because), as_json=as_json)


async def _decide(
    database: "pool.Database", name: str, revision: int, verdict: str, because: str = ""
) -> dict[str, Any]:
    from pocketlet.agents import agent as agents
    from pocketlet.learning import adoption, tables

    if verdict == "adopt":
        await tables.adopt(database, name, revision, because)
    async with database.api() as conn:
        agent = await agents.get(conn, name)
        if verdict == "discard":
            await adoption.discard(conn, agent, revision, because)
        return await _standing(conn, name, revision, verdict)


@click.command()
@click.argument("agent")
@click.argument("revision", metavar="[N]", required=False, type=arguments.REVISION)
@output.as_json
def rollback(agent: str, *, revision: int | None, as_json: bool) -> None:
    """Go back to an earlier revision.

    Without N, to the one before the current one. Nothing is deleted: rolling forward works the same way.
    """
    _tell(session.call(_rollback, agent, revision), as_json=as_json)


async def _rollback(database: "pool.Database", name: str, wanted: int | None) -> dict[str, Any]:
    from pocketlet.agents import agent as agents
    from pocketlet.agents import revisions as playbooks
    from pocketlet.learning import adoption

    async with database.api() as conn:
        agent = await agents.get(conn, name)
        revision = wanted or await playbooks.before(conn, agent)
        await _check_was_current(conn, agent, revision)
        await adoption.roll_back(conn, agent, revision)
        return await _standing(conn, name, revision, "rollback")


async def _check_was_current(conn: "pool.Conn", agent: "agents.Agent", revision: int) -> None:
    """A draft is adopted, not rolled back to: that is where its trials are looked at."""
    from pocketlet.agents import revisions as playbooks

    states = {row["revision"]: row["state"] for row in await playbooks.history(conn, agent)}
    if states.get(revision) in playbooks.OPEN:
        raise errors.Conflict(
            f"Revision {revision} is a draft.",
            hint=f"`pocketlet adopt {agent.name} {revision}` makes it the current one.",
        )
    if states.get(revision) in ("discarded", "narrowed"):
        raise errors.Conflict(
            f"Revision {revision} was {states[revision]}.", hint=f"`pocketlet revisions {agent.name}` lists the others."
        )


async def _standing(conn: "pool.Conn", name: str, revision: int, verdict: str) -> dict[str, Any]:
    from pocketlet.agents import agent as agents

    agent = await agents.get(conn, name)
    found = {"agent": name, "revision": revision, "decision": verdict, "current": agent.current}
    return found | await _decided(conn, agent, revision)


def _tell(decided: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        output.document(decided)
        return
    name, revision, current = decided["agent"], decided["revision"], decided["current"]
    match decided["decision"]:
        case "adopt":
            output.line(f"{name}: revision {revision} is the current one. `pocketlet rollback {name}` goes back.")
        case "discard":
            output.line(f"{name}: revision {revision} is discarded; revision {current} stays the current one.")
        case _:
            output.line(f"{name}: back to revision {current}.")
