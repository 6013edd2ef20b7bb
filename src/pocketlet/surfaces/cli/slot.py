"""`pocketlet slot` and `pocketlet today`: what was due, and what came of it."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from pocketlet.surfaces.cli import arguments, output, session

if TYPE_CHECKING:
    from pocketlet.db import pool

COLUMNS = ("slot", "agent", "trigger", "due", "state", "run", "why")
ITEM_COLUMNS = ("position", "slot", "state", "run", "outcome", "summary")
NOTHING = "Nothing was due, and no agent has a trigger. Write one into agent.toml, under [triggers]."


@click.command()
@click.option("--hours", type=click.IntRange(1, 24 * 366), default=24, help="How far back (24).")
@output.as_json
def today(*, hours: int, as_json: bool) -> None:
    """Show what was due, what ran, what failed, what waits for you, and what comes next."""
    rows, notices = session.api(_today, hours)
    if as_json:
        output.document({"hours": hours, "triggers": rows, "notices": notices})
        return
    for row in rows:
        output.line(f"{row['agent']} · {row['trigger']}: {_told(row)}")
    if not rows:
        output.line(NOTHING)
    for notice in notices:
        output.line(
            f"! {notice['agent'] + ': ' if notice['agent'] else ''}{notice['title']}"
            + (f" ({notice['count']} times)" if notice["count"] > 1 else "")
        )


def _told(row: Mapping[str, Any]) -> str:
    """One trigger in a line, leaving out what there is none of."""
    names = {
        "done": "done",
        "failed": "failed",
        "under_way": "under way",
        "waits_for_you": "waiting for you",
        "not_begun": "not begun",
        "skipped": "skipped",
        "missed": "missed",
    }
    parts = [f"{row[key]} {word}" for key, word in names.items() if row[key]]
    due = f"{row['due']} due" + (f": {', '.join(parts)}" if parts else "")
    why = f" ({row['why']})" if row["why"] else ""
    coming = f", next {output.when(row['next_at'])} UTC" if row["kind"] == "schedule" and row["next_at"] else ""
    return due + why + (f", paused: {row['paused']}" if row["paused"] is not None else coming)


@click.group()
def slot() -> None:
    """Show what was due, one row each, and have one done again."""


@slot.command(name="list")
@click.argument("agent", required=False)
@click.option("--trigger", metavar="NAME", help="Of this trigger alone.")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, help="How many (20).")
@output.as_json
def listing(agent: str | None, *, trigger: str | None, limit: int, as_json: bool) -> None:
    """List slots, the newest first: due, claimed, done, failed, skipped or missed, and why."""
    found = session.api(_slots, agent, trigger, limit)
    if as_json:
        output.document({"slots": found})
        return
    cells = [
        [row["slot"], row["agent"], row["trigger"], output.when(row["due_at"]), row["state"], row["run"], row["reason"]]
        for row in found
    ]
    output.table(COLUMNS, cells)


@slot.command()
@click.argument("number", metavar="SLOT", type=arguments.NUMBER)
@output.as_json
def show(number: int, *, as_json: bool) -> None:
    """Show one slot: when it was due, what became of it and why; of a list each item, in order."""
    from pocketlet.agents.waking import lists

    found = session.api(lists.shown, number)
    if as_json:
        output.document(found)
        return
    for key, text in _facts(found).items():
        if text:
            output.line(f"{key}: {text}")
    if found["items"]:
        output.line()
        output.table(ITEM_COLUMNS, [[row[name] for name in ITEM_COLUMNS] for row in map(_item, found["items"])])


def _facts(found: Mapping[str, Any]) -> dict[str, str]:
    """What there is to say of a slot, a line each; what there is nothing of is empty."""
    of = f"item {found['position']}" + (f" of slot {found['parent']}" if found["parent"] else "")
    return {
        "slot": f"{found['slot']}" + (f" ({of})" if found["position"] else ""),
        "trigger": f"{found['agent']} · {found['trigger']} ({found['kind']})",
        "key": found["key"],
        "due": f"{output.when(found['due_at'])} UTC",
        "state": found["state"] + (f", {output.when(found['ended_at'])} UTC" if found["ended_at"] else ""),
        "why": found["reason"],
        "came": f"{found['body_bytes']} bytes" if found["body_bytes"] else "",
        "run": f"{found['run']} (`pocketlet show {found['run']}`)" if found["run"] else "",
        "does again": f"slot {found['replays']}" if found["replays"] else "",
        "items": f"{found['item_count']}" if found["item_count"] else "",
    }


def _item(row: Mapping[str, Any]) -> dict[str, Any]:
    """An item's row as it is printed: waiting for a person is a state of its own there."""
    waits = row["state"] == "claimed" and row["run_state"] == "waiting"
    return {**row, "state": "waits for you" if waits else row["state"], "summary": row["summary"] or row["reason"]}


@slot.command()
@click.argument("number", metavar="SLOT", type=arguments.NUMBER)
@output.as_json
def replay(number: int, *, as_json: bool) -> None:
    """Have the same event done once more, as a slot of its own; `pocketlet up` works on it.

    Of a list that is all of its items, of an item that item alone.
    """
    from pocketlet.agents.waking import slots

    made = session.api(slots.replay, number)
    output.say(
        {"slot": made, "replays": number},
        f"Slot {made} is due: the event of slot {number} again. `pocketlet slot list` shows it.",
        as_json=as_json,
    )


async def _today(conn: "pool.Conn", hours: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    from pocketlet.agents.waking import slots
    from pocketlet.platform import notices

    return list(await slots.today(conn, hours)), await notices.standing(conn)


async def _slots(conn: "pool.Conn", name: str | None, trigger: str | None, limit: int) -> list[dict[str, Any]]:
    from pocketlet import errors
    from pocketlet.agents import agent as agents
    from pocketlet.agents.triggers import stored
    from pocketlet.agents.waking import slots

    if trigger and not name:
        raise errors.BadInput("--trigger needs the agent's name, too.")
    agent = (await agents.get(conn, name)).id if name else None
    found = (await stored.by_name(conn, agent, trigger)).id if agent and trigger else None
    return await slots.listing(conn, agent, found, limit)
