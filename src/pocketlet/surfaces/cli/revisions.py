"""`pocketlet revisions`, `diff`, `adopt`, `discard` and `rollback`."""

from typing import TYPE_CHECKING, Any

import click

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
    rows = session.api(_history, agent)
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


async def _history(conn: "pool.Conn", name: str) -> list[dict[str, Any]]:
    from pocketlet.agents import agent as agents
    from pocketlet.agents import revisions as playbooks

    return await playbooks.history(conn, await agents.get(conn, name))


@click.command()
@click.argument("agent")
@click.argument("old", metavar="N", type=arguments.REVISION)
@click.argument("new", metavar="M", type=arguments.REVISION)
@output.as_json
def diff(agent: str, *, old: int, new: int, as_json: bool) -> None:
    """Show what changed between two revisions."""
    found = session.api(_diff, agent, old, new)
    output.say(
        {"agent": agent, "from": old, "to": new} | found,
        found["diff"] or f"Revisions {old} and {new} are the same.",
        as_json=as_json,
    )


async def _diff(conn: "pool.Conn", name: str, old: int, new: int) -> dict[str, Any]:
    from pocketlet.agents import agent as agents
    from pocketlet.agents import revisions as playbooks

    agent = await agents.get(conn, name)
    before, after = [await playbooks.load(conn, agent, n) for n in (old, new)]
    return {"diff": playbooks.diff(before, after, (f"r{old}", f"r{new}"))} | await _decided(conn, agent, new)


async def _decided(conn: "pool.Conn", agent: "agents.Agent", revision: int) -> dict[str, Any]:
    """What was last decided on a revision: by whom, why, and on what evidence."""
    from pocketlet.agents import revisions as playbooks

    row = await playbooks.one(conn, agent, revision)
    return {name: row[name] for name in ("state", "decided_by", "because", "evidence")}


@click.command()
@click.argument("agent")
@click.argument("revision", metavar="N", type=arguments.REVISION)
@output.as_json
def adopt(agent: str, *, revision: int, as_json: bool) -> None:
    """Make a drafted revision the current one.

    The trials' report is kept with the decision. Runs that have begun stay with the revision they began with.
    """
    _tell(session.call(_adopt, agent, revision), as_json=as_json)


@click.command()
@click.argument("agent")
@click.argument("revision", metavar="N", type=arguments.REVISION)
@click.option("--because", default="", metavar="TEXT", help="Why; kept with the decision.")
@output.as_json
def discard(agent: str, *, revision: int, because: str, as_json: bool) -> None:
    """Turn a drafted revision down."""
    _tell(session.api(_discard, agent, revision, because), as_json=as_json)


async def _adopt(database: "pool.Database", name: str, revision: int) -> dict[str, Any]:
    from pocketlet.learning import tables

    await tables.adopt(database, name, revision)
    async with database.api() as conn:
        return await _standing(conn, name, revision, "adopt")


async def _discard(conn: "pool.Conn", name: str, revision: int, because: str) -> dict[str, Any]:
    from pocketlet.agents import agent as agents
    from pocketlet.learning import adoption

    await adoption.discard(conn, await agents.get(conn, name), revision, because)
    return await _standing(conn, name, revision, "discard")


@click.command()
@click.argument("agent")
@click.argument("revision", metavar="[N]", required=False, type=arguments.REVISION)
@output.as_json
def rollback(agent: str, *, revision: int | None, as_json: bool) -> None:
    """Go back to an earlier revision.

    Without N, to the one before the current one. Nothing is deleted: rolling forward works the same way.
    """
    _tell(session.api(_rollback, agent, revision), as_json=as_json)


async def _rollback(conn: "pool.Conn", name: str, wanted: int | None) -> dict[str, Any]:
    from pocketlet.agents import agent as agents
    from pocketlet.agents import revisions as playbooks
    from pocketlet.learning import adoption

    agent = await agents.get(conn, name)
    revision = wanted or await playbooks.before(conn, agent)
    await adoption.roll_back(conn, agent, revision)
    return await _standing(conn, name, revision, "rollback")


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
