"""`pocketlet run`, `stop` and `retry`."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pocketlet import errors
from pocketlet.surfaces.cli import arguments, outcome, output, session

if TYPE_CHECKING:
    from pocketlet.db import pool


@click.command()
@click.argument("agent")
@click.option("--input", "source", required=True, metavar="FILE|-", help="A mail, JSON or text; - reads it from stdin.")
@click.option("--no-wait", is_flag=True, help="Queue the run and return at once.")
@click.option("--dry-run", "dry", is_flag=True, help="Only show what it would do outside: nothing is sent.")
@output.as_json
def run(agent: str, *, source: str, no_wait: bool, dry: bool, as_json: bool) -> None:
    """Give an agent a task and wait for what comes of it."""
    document = session.call(_run, agent, content(source), wait=not no_wait, dry=dry)
    if no_wait and not as_json:
        number = document["run"]
        output.line(
            f"Run {number} of {agent} is queued. `pocketlet show {number}` shows it; `pocketlet up` works on it."
        )
        return
    outcome.tell(document, as_json=as_json)


async def _run(database: "pool.Database", name: str, raw: bytes, *, wait: bool, dry: bool) -> dict[str, Any]:
    from pocketlet.agents import agent as agents
    from pocketlet.agents import report, revisions, runs
    from pocketlet.agents import task as tasks

    task = tasks.read(raw)
    async with database.api() as conn:
        agent = await agents.get(conn, name)
        playbook = await revisions.load(conn, agent, agent.current)
        number = await runs.create(conn, agent, task, raw, playbook.manifest, dry=dry)
    if wait:
        output.note(f"Run {number} of {name} (revision {agent.current})")
        return await outcome.attended(database, number)
    async with database.api() as conn:
        return await report.run(conn, number)


@click.command()
@arguments.run
@output.as_json
def retry(run: int, *, as_json: bool) -> None:
    """Let a failed or stopped run go on from its last step.

    One whose worker was killed goes on by itself; this waits for it.
    """
    outcome.tell(session.call(_retry, run), as_json=as_json)


async def _retry(database: "pool.Database", number: int) -> dict[str, Any]:
    from pocketlet.agents import runs
    from pocketlet.learning import kinds
    from pocketlet.platform import queue

    await queue.rescue(database)  # one whose worker is gone is queued again by that
    async with database.api() as conn:
        if await runs.state(conn, number) == "queued":
            output.note(f"Run {number} is in the queue already, and goes on from its last step.")
        else:
            await kinds.retry(conn, number)
    found = await outcome.attended(database, number)
    if found["kind"] in ("manager", "trial"):
        await _follow(database, number)
    return found


async def _follow(database: "pool.Database", number: int) -> None:
    """What was learned from it is decided, and said."""
    from pocketlet.learning import feedback
    from pocketlet.surfaces.cli import attending

    async with database.api() as conn:
        given = await feedback.behind(conn, number)
    async with attending.Attendant(database) as attendant:
        await attendant.settled(*given)
    async with database.api() as conn:
        for item in given:
            output.note(f"Feedback {item}: {(await feedback.outcome(conn, item))['outcome']}")


@click.command()
@arguments.run
@output.as_json
def stop(run: int, *, as_json: bool) -> None:
    """Stop a run before its next act."""
    from pocketlet.learning import kinds

    state = session.api(kinds.stop, run)
    if as_json:
        output.document({"run": run, "state": state, "stop_requested": True})
    elif state == "stopped":
        output.line(f"Run {run} is stopped. `pocketlet retry {run}` lets it go on.")
    else:
        output.line(f"Run {run} will stop before its next act.")


def content(source: str) -> bytes:
    """The bytes of a file, or of stdin for `-`. Raises errors.BadInput."""
    if source == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(source).read_bytes()
    except OSError as error:
        raise errors.BadInput(
            f"{source} can't be read: {error.strerror}.", hint="Give a file that you may read, or - for stdin."
        ) from error
