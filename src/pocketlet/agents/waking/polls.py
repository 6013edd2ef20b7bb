"""A look at a service: one request over the agent's own connection, an event an item of what came."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from pocketlet import errors
from pocketlet.agents import outward
from pocketlet.agents.triggers import sources, stored
from pocketlet.agents.waking import slots
from pocketlet.db import pool
from pocketlet.platform import audit, connections

MOST = 1000  # items of one look
LONGEST = 500  # characters of a cursor
EMPTY: Mapping[str, Any] = {}


async def look(
    database: pool.Database, home: Path, trigger: stored.Trigger, place: Mapping[str, Any]
) -> tuple[Sequence[slots.Event], Mapping[str, Any]]:
    """Every item that the service gives now, and the place for the next look.

    Raises errors.Refused, errors.Rejected, errors.BadInput, errors.EgressRefused, errors.ServiceUnreachable.
    """
    settings = trigger.spec.settings
    connection, asked = await _allowed(database, trigger, place)
    reply = await outward.Requests(database, home, trigger.agent_id, connection).send(asked, key="")
    if reply.status != 200:
        raise errors.Rejected(f"{connection.name} answers HTTP {reply.status}.")
    items = _items(reply.body, cut=reply.truncated, where=settings.get("items", ""))
    events = [_event(item, settings.get("key", "")) for item in items]
    known = [place["at"]] if "at" in place else []
    found = [value for item in items if (value := _field(item, settings.get("cursor", ""))) is not None]
    at = _greatest([*known, *found]) if "cursor" in settings else None
    return events, {**place, "read": True} | ({} if at is None else {"at": at})


async def _allowed(
    database: pool.Database, trigger: stored.Trigger, place: Mapping[str, Any]
) -> tuple[connections.Connection, Mapping[str, Any]]:
    """The connection and the request, if the owner lets this agent read that; written down as every read is."""
    name, path = _named(trigger.spec.source)
    async with database.api() as conn:
        mine = {item.name: item for item in await connections.of_agent(conn, trigger.agent_id)}
        connection = mine.get(name)
        if connection is None or connection.kind != "http":
            hint = f"`pocketlet connect grant {name} AGENT`, and `pocketlet connect list` names what there is."
            raise errors.Refused(f"The agent may not use a connection {name}, or there is none.", hint=hint)
        asked = outward.canonical({"method": "GET", "path": path, "query": _query(trigger, place)})
        allowed = connections.matching(connection, "GET", path)
        if allowed is None or allowed.effect != "read":
            hint = f"`pocketlet connect allow {name} 'GET {path}'` allows it."
            raise errors.Refused(f"{name} does not allow to read GET {path}.", hint=hint)
        if taken := connections.reserved(connection) & {pair[0] for pair in asked["query"]}:
            raise errors.Refused(f"The wire adds {', '.join(sorted(taken))} itself: leave it out of `query`.")
        subject = f"{name} ({connection.base_url}): {allowed.line}"
        details = {"trigger": trigger.name, "class": "read"}
        await audit.write(conn, audit.Entry("worker", "trigger.read", subject, trigger.agent_id, details=details))
    return connection, asked | {"connection": name, "base": connection.base_url}


def _named(source: str) -> tuple[str, str]:
    found = sources.POLL.fullmatch(source)
    if found is None:
        raise errors.BadInput(f"{source!r} names no connection and path.")
    return found[1], found[2]


def _query(trigger: stored.Trigger, place: Mapping[str, Any]) -> dict[str, object]:
    """The query with what the cursor stands for; without the parameters that need one as long as there is none."""
    given = cast("Mapping[str, object]", trigger.spec.settings.get("query", EMPTY))
    if "at" in place:
        at = str(place["at"])
        return {
            name: value.replace(sources.PLACE, at) if isinstance(value, str) else value for name, value in given.items()
        }
    return {name: value for name, value in given.items() if sources.PLACE not in str(value)}


def _items(body: bytes, *, cut: bool, where: str) -> list[object]:
    """The list at `where`. Raises errors.BadInput."""
    if cut:
        raise errors.BadInput("What came is larger than the connection takes.", hint="Ask for less with `query`.")
    try:
        found: object = json.loads(body)
    except (ValueError, RecursionError):
        raise errors.BadInput("What came is no JSON.") from None
    found = _field(found, where) if where else found
    if not isinstance(found, list):
        raise errors.BadInput(f"What came has no list {f'at {where}' if where else 'at its top: name it in `items`'}.")
    items = cast("list[object]", found)
    if len(items) > MOST:
        raise errors.BadInput(f"{len(items)} items came; {MOST} are taken at most.", hint="Ask for less with `query`.")
    return items


def _field(item: object, path: str) -> object:
    """What stands at a dotted path; None if nothing does."""
    for name in path.split(".") if path else ("",):
        item = cast("dict[str, object]", item).get(name) if isinstance(item, dict) else None
    return item


def _event(item: object, key: str) -> slots.Event:
    body = pool.canonical(item).encode()
    found = _field(item, key)
    identity = "" if found is None else f"id:{pool.canonical(found)}"
    return slots.Event(slots.key_of(identity, body), body, {"label": "outside"})


def _greatest(values: Sequence[object]) -> object:
    """The greatest of what is comparable: numbers among themselves, or texts; None of none."""
    numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    if numbers and len(numbers) == len(values):
        return max(numbers)
    texts = [str(value)[:LONGEST] for value in values if isinstance(value, str | int | float)]
    return max((text for text in texts if text.isprintable()), default=None)
