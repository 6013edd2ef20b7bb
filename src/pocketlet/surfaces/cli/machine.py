"""`pocketlet status` and `down`: what runs on this machine."""

import asyncio
import os
import signal
from typing import TYPE_CHECKING, Any

import click

from pocketlet import clock, errors, settings
from pocketlet.surfaces.cli import output, session

if TYPE_CHECKING:
    from pocketlet.agents import agent as agents
    from pocketlet.db import pool

STOP_SECONDS = 60.0
POLL = 0.1  # seconds
NOTHING: dict[str, Any] = {"workers": [], "agents": []}
UNKNOWN = ("runs", "approvals", "asked", "spend_today_usd")  # what only Postgres knows


@click.command()
@output.as_json
def status(*, as_json: bool) -> None:
    """Show what runs, what waits and what today has cost."""
    config = settings.read()
    postgres = _postgres(config)
    found: dict[str, Any] = {"home": str(config.home), "postgres": postgres} | NOTHING | dict.fromkeys(UNKNOWN)
    if postgres["running"] or postgres["data"]:  # what waits is worth starting it for a moment
        found |= session.api(_status)
    if as_json:
        output.document(found)
    else:
        _tell(found)


def _postgres(config: settings.Settings) -> dict[str, Any]:
    """What is known without starting it; a Postgres by URL counts as running, and connecting tells."""
    if config.database_url:
        return {"embedded": False, "running": True, "version": None, "pid": None, "data": None}
    from pocketlet.platform import server

    found = server.status(config.home)
    data = str(found.data) if found.data else None
    return {
        "embedded": True,
        "running": found.running,
        "version": found.version or found.binaries,
        "pid": found.pid,
        "data": data,
    }


async def _status(conn: "pool.Conn") -> dict[str, Any]:
    from pocketlet.agents import agent as agents
    from pocketlet.agents import approving, report
    from pocketlet.platform import queue

    overview = await report.overview(conn)
    spend = overview.pop("spend_today_usd")
    everyone = await agents.everyone(conn)
    return {
        "workers": await queue.workers(conn),
        "agents": [{"agent": one.name, "revision": one.current} for one in everyone],
        "runs": overview,
        "approvals": len(await approving.questions(conn)),
        "asked": [row for one in everyone for row in await _asked(conn, one)],
        "spend_today_usd": spend,
    }


async def _asked(conn: "pool.Conn", agent: "agents.Agent") -> list[dict[str, Any]]:
    """The agent's drafts that wait for the owner's word."""
    from pocketlet.agents import revisions

    waiting = [row for row in await revisions.history(conn, agent) if row["state"] == "asked"]
    return [{"agent": agent.name} | {name: row[name] for name in ("revision", "because")} for row in waiting]


def _tell(found: dict[str, Any]) -> None:
    postgres = found["postgres"]
    kind = "embedded" if postgres["embedded"] else "by URL"
    state = "running" if postgres["running"] else "not running"
    output.line(f"home      {found['home']}")
    output.line(f"postgres  {kind} {postgres['version'] or ''}".rstrip() + f", {state}")
    if found["runs"] is None:
        output.note("Next: `pocketlet up` starts it; so does any command that needs it.")
        return
    workers = [f"{one['role']} (pid {one['pid']} on {one['host']})" for one in found["workers"]]
    output.line(f"workers   {', '.join(workers) or 'none'}")
    output.line(f"agents    {', '.join(one['agent'] for one in found['agents']) or 'none'}")
    output.line(f"runs      {output.pairs(found['runs'])}")
    output.line(f"approvals {found['approvals']} waiting")
    output.line(f"changes   {len(found['asked'])} waiting")
    output.line(f"today     {output.money(found['spend_today_usd'])}")
    if found["approvals"]:
        output.note("Next: `pocketlet approvals` shows what waits for you.")
    for name in sorted({one["agent"] for one in found["asked"]}):
        output.note(f"Next: `pocketlet revisions {name}` shows the changes that wait for your word.")


@click.command()
@output.as_json
def down(*, as_json: bool) -> None:
    """Stop the workers of this machine, and Postgres."""
    from pocketlet.platform import server

    config = settings.read()
    running = bool(_postgres(config)["running"])
    stopped = session.call(_stop_workers) if running else []
    if not config.database_url:
        server.stop(config.home)
    postgres = running and not config.database_url
    if as_json:
        output.document({"stopped": {"workers": stopped, "postgres": postgres}})
        return
    for pid in stopped:
        output.line(f"Stopped the worker with process id {pid}.")
    if postgres:
        output.line("Stopped Postgres.")
    if not (stopped or postgres):
        output.line("Nothing was running.")


async def _stop_workers(database: "pool.Database") -> list[int]:
    """Asks the workers of this machine to end, and waits until they have; their process ids."""
    from pocketlet.platform import queue

    asked = await _here(database)
    for pid in asked:
        _ask_to_end(pid)
    deadline = clock.monotonic() + STOP_SECONDS
    while left := [pid for pid in asked if queue.is_alive(pid)]:
        if clock.monotonic() > deadline:
            raise errors.Failed(
                f"The worker with process id {left[0]} does not stop.",
                hint=f"`kill -9 {left[0]}` is safe; nothing is lost.",
            )
        await asyncio.sleep(POLL)
    return asked


def _ask_to_end(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGTERM)
    except ProcessLookupError:
        output.note(f"The process {pid} is gone already.")
    except PermissionError as error:
        raise errors.Refused(
            f"The worker with process id {pid} belongs to another user.", hint="Run `pocketlet down` as that user."
        ) from error


async def _here(database: "pool.Database") -> list[int]:
    from pocketlet.platform import queue

    await queue.rescue(database)
    async with database.api() as conn:
        workers = await queue.workers(conn)
    host = os.uname().nodename
    return [int(str(one["pid"])) for one in workers if one["host"] == host and one["role"] in ("up", "worker")]
