"""`pocketlet revisions`, `diff`, `adopt`, `discard` and `rollback`."""

from typing import TYPE_CHECKING, Any

import click

from pocketlet import errors
from pocketlet.surfaces.cli import arguments, output, session

if TYPE_CHECKING:
    from pocketlet.agents import agent as agents
    from pocketlet.db import pool


@click.command()
@click.argument("agent")
@output.as_json
def revisions(agent: str, *, as_json: bool) -> None:
    """List an agent's revisions, newest first."""
    rows = session.call(_history, agent)
    if as_json:
        output.document({"agent": agent, "revisions": rows})
        return
    columns = ("revision", "state", "author", "feedback", "created", "reason")
    listed = [
        [*(row[name] for name in columns[:4]), output.when(row["created_at"]), str(row["reason"])[:100]] for row in rows
    ]
    output.table(columns, listed)


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
    text = session.call(_diff, agent, old, new)
    if as_json:
        output.document({"agent": agent, "from": old, "to": new, "diff": text})
    else:
        output.line(text or f"Revisions {old} and {new} are the same.")


async def _diff(database: "pool.Database", name: str, old: int, new: int) -> str:
    from pocketlet.agents import agent as agents
    from pocketlet.agents import revisions as playbooks

    async with database.api() as conn:
        agent = await agents.get(conn, name)
        both = [await playbooks.load(conn, agent, n) for n in (old, new)]
    return playbooks.diff(both[0], both[1], (f"r{old}", f"r{new}"))


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
    from pocketlet.agents import feedback as feedbacks
    from pocketlet.agents import revisions as playbooks
    from pocketlet.agents import trials

    async with database.api() as conn:
        agent = await agents.get(conn, name)
        evidence = await trials.report(conn, agent, revision)
        await playbooks.decide(conn, agent, revision, verdict, because=because, evidence=evidence)
        done = {"adopt": "adopted as", "discard": "discarded with"}[verdict]
        reason = f": {because}" if because else ""
        await feedbacks.settle_revision(conn, agent, revision, f"{done} revision {revision}{reason}")
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

    async with database.api() as conn:
        agent = await agents.get(conn, name)
        revision = wanted or await playbooks.before(conn, agent)
        await _check_was_current(conn, agent, revision)
        await playbooks.decide(conn, agent, revision, "rollback")
        return await _standing(conn, name, revision, "rollback")


async def _check_was_current(conn: "pool.Conn", agent: "agents.Agent", revision: int) -> None:
    """A draft is adopted, not rolled back to: that is where its trials are looked at."""
    from pocketlet.agents import revisions as playbooks

    states = {row["revision"]: row["state"] for row in await playbooks.history(conn, agent)}
    if states.get(revision) == "draft":
        raise errors.Conflict(
            f"Revision {revision} is a draft.",
            hint=f"`pocketlet adopt {agent.name} {revision}` makes it the current one.",
        )
    if states.get(revision) == "discarded":
        raise errors.Conflict(
            f"Revision {revision} was discarded.", hint=f"`pocketlet revisions {agent.name}` lists the others."
        )


async def _standing(conn: "pool.Conn", name: str, revision: int, verdict: str) -> dict[str, Any]:
    from pocketlet.agents import agent as agents

    current = (await agents.get(conn, name)).current
    return {"agent": name, "revision": revision, "decision": verdict, "current": current}


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
