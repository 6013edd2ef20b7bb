"""`pocketlet trigger`: what starts runs by itself, when next, and what it would do."""

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from pocketlet.surfaces.cli import outcome, output, run, session

if TYPE_CHECKING:
    from pocketlet.agents import agent as agents
    from pocketlet.agents.triggers import stored
    from pocketlet.db import pool


@click.group()
def trigger() -> None:
    """Show, pause and try what starts runs by itself. It is written in agent.toml, under [triggers]."""


@trigger.command(name="list")
@click.argument("agent", required=False)
@output.as_json
def listing(agent: str | None, *, as_json: bool) -> None:
    """List triggers: what each waits for, when it was due last and is due next."""
    found = session.api(_triggers, agent)
    if as_json:
        output.document({"triggers": found})
        return
    columns = ("agent", "trigger", "starts runs", "last due", "next", "open")
    output.table(columns, [_shown(row) for row in found])
    if not found:
        output.line("There are none. Write one into agent.toml, under [triggers], and import it with --replace.")


def _shown(row: Mapping[str, Any]) -> Sequence[object]:
    next_at = f"paused: {row['paused']}" if row["paused"] is not None else output.when(row["next_at"])
    return row["agent"], row["trigger"], row["words"], output.when(row["last_due_at"]), next_at, row["open"]


@trigger.command()
@click.argument("schedule")
@click.option("--zone", default="UTC", metavar="ZONE", help="The time zone, such as Europe/Berlin (UTC).")
@click.option("-n", "count", type=click.IntRange(1, 100), default=5, help="How many times (5).")
@output.as_json
def when(schedule: str, *, zone: str, count: int, as_json: bool) -> None:
    """Show when a schedule is due next: plain words or cron."""
    from pocketlet import clock
    from pocketlet.agents.triggers import calendar, words

    made = calendar.schedule(schedule, zone)
    times = [item.due for item in calendar.upcoming(made, clock.now(), count)]
    if as_json:
        output.document({"cron": made.cron, "words": words.describe(made.cron), "zone": zone, "due": times})
        return
    output.line(f"{words.describe(made.cron)} ({made.cron}, {zone})")
    for due in times:
        output.line(f"  {_local(due, zone)}")


def _local(due: datetime, zone: str) -> str:
    import zoneinfo

    return due.astimezone(zoneinfo.ZoneInfo(zone)).strftime("%a %Y-%m-%d %H:%M %Z")


@trigger.command()
@click.argument("agent")
@click.argument("name", metavar="TRIGGER")
@click.option("--because", default="paused by the owner", metavar="TEXT", help="Why, for whoever wonders.")
@output.as_json
def pause(agent: str, name: str, *, because: str, as_json: bool) -> None:
    """Start nothing by this trigger until it is resumed. What comes meanwhile is recorded; times go by."""
    session.call(_pause, agent, name, because)
    output.say(
        {"agent": agent, "trigger": name, "paused": because},
        f"Paused. `pocketlet trigger resume {agent} {name}` lets it go on.",
        as_json=as_json,
    )


@trigger.command()
@click.argument("agent")
@click.argument("name", metavar="TRIGGER")
@output.as_json
def resume(agent: str, name: str, *, as_json: bool) -> None:
    """Let a paused trigger start runs again, first for what came meanwhile."""
    session.api(_resume, agent, name)
    output.say(
        {"agent": agent, "trigger": name, "paused": None}, f"{name} of {agent} starts runs again.", as_json=as_json
    )


@trigger.command()
@click.argument("agent")
@click.argument("name", metavar="TRIGGER")
@click.option("--input", "source", metavar="FILE|-", help="What comes: a mail, a webhook's body; - reads stdin.")
@output.as_json
def fire(agent: str, name: str, *, source: str | None, as_json: bool) -> None:
    """Start it now, by hand, as if it were due; `pocketlet up` works on it."""
    number = session.api(_fire, agent, name, _body(source))
    output.say(
        {"agent": agent, "trigger": name, "slot": number},
        f"Slot {number} is due. `pocketlet slot list {agent}` shows what becomes of it.",
        as_json=as_json,
    )


@trigger.command()
@click.argument("agent")
@click.argument("name", metavar="TRIGGER")
@click.option("--input", "source", metavar="FILE|-", help="What comes: a mail, a webhook's body; - reads stdin.")
@output.as_json
def simulate(agent: str, name: str, *, source: str | None, as_json: bool) -> None:
    """Do what it would do now, with everything outside captured: nothing is sent, nothing is recorded as due."""
    outcome.tell(session.call(_simulate, agent, name, _body(source)), as_json=as_json)


def _body(source: str | None) -> bytes:
    return run.content(source) if source else b""


async def _find(conn: "pool.Conn", agent: str, name: str) -> "tuple[agents.Agent, stored.Trigger]":
    from pocketlet.agents import agent as agents
    from pocketlet.agents.triggers import stored

    found = await agents.get(conn, agent)
    return found, await stored.by_name(conn, found.id, name)


async def _triggers(conn: "pool.Conn", name: str | None) -> list[dict[str, Any]]:
    from pocketlet.agents import agent as agents
    from pocketlet.agents.triggers import specs, stored

    rows = await stored.listing(conn, (await agents.get(conn, name)).id if name else None)
    return [row | {"words": specs.words(specs.from_record(row["spec"]))} for row in rows]


async def _pause(database: "pool.Database", agent: str, name: str, because: str) -> None:
    from pocketlet.agents.waking import ticking

    async with database.api() as conn:
        _, found = await _find(conn, agent, name)
    await ticking.pause(database, found, because)


async def _resume(conn: "pool.Conn", agent: str, name: str) -> None:
    from pocketlet.agents.triggers import stored

    await stored.resume(conn, (await _find(conn, agent, name))[1])


async def _fire(conn: "pool.Conn", agent: str, name: str, body: bytes) -> int | None:
    from pocketlet.agents.waking import slots

    _, found = await _find(conn, agent, name)
    return await slots.record(conn, found, slots.Event(f"hand:{uuid.uuid4()}", body))


async def _simulate(database: "pool.Database", agent: str, name: str, body: bytes) -> dict[str, Any]:
    from pocketlet.agents.waking import beginning, slots

    async with database.api() as conn:
        owner, found = await _find(conn, agent, name)
        number = await beginning.simulate(conn, owner, found, slots.Event("simulated", body))
    output.note(f"Run {number} of {agent}, with nothing sent")
    return await outcome.attended(database, number)
