"""Memory: single memories with where they come from; corrected, forgotten and brought back by their owner's word."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any

import pydantic

from pocketlet import clock, errors
from pocketlet.agents import agent as agents
from pocketlet.db import pool, queries
from pocketlet.learning import corrections
from pocketlet.surfaces.api import caller as callers
from pocketlet.surfaces.api import endpoint, tables

Q = queries.load("memory_page")
SHOWN = 50  # memories of a preview
MOST = 200  # of a comparison

Sender = Annotated[str, pydantic.Field(max_length=320)]
Words = Annotated[str, pydantic.Field(max_length=4_000)]


class Memory(endpoint.Model):
    """`origin`: outside, model, own (your data) or owner (you). `run` and `step` kept it; `ref`: of which message.

    `counts`: runs read it; else it counted until `until`.
    """

    id: int
    kind: str
    entity: str | None
    at: datetime
    subject: str
    body: str
    origin: str
    run: int | None
    step: int | None
    ref: str | None
    since: datetime
    until: datetime | None
    counts: bool


class Told(endpoint.Model):
    """The last word of yours on a memory. `act`: correct, forget, undo, or forget-source; `old` and `new`: the memory
    that it ended, and the one in its place. `undo`: it can be taken back; of forget-source by that `feedback`.
    """

    feedback: int
    act: str
    at: datetime
    old: int | None
    new: int | None
    undo: bool


class MemoryShown(endpoint.Model):
    """A memory, the runs that were shown it as far as known, and what you last said of it."""

    memory: Memory
    used_by: list[int]
    told: Told | None


class Corrected(endpoint.Model):
    """`memory`: the one that holds now (null: none), `undo`: the one to name for taking it back."""

    said: str
    feedback: int
    memory: int | None
    undo: int


class Right(endpoint.Model):
    """What is right instead; `comment` says why, if you like."""

    text: Annotated[str, pydantic.Field(min_length=1, max_length=corrections.MAX_BODY)]
    comment: Words = ""


class MemoryWhy(endpoint.Model):
    """A word on it, if you like."""

    comment: Words = ""


class SenderMemories(endpoint.Model):
    """What would be forgotten of a sender: `rows` in all, of which the newest are in `first`."""

    sender: str
    about: bool
    rows: int
    first: list[Memory]


class Forgetting(endpoint.Model):
    """Forgets memories kept from mails of `sender`, with `about` also those about them. `rows`: how many you saw."""

    sender: Sender
    about: bool = False
    rows: int


class Forgotten(endpoint.Model):
    """`feedback`: to be named for taking it back."""

    said: str
    feedback: int


class Swept(endpoint.Model):
    """A sender who was forgotten: how many memories that were, and whether they are there again."""

    feedback: int
    sender: str
    about: bool
    rows: int
    restored: bool


class Changes(endpoint.Model):
    """Memories that counted at one of two times alone: at `until` (their `counts` is true), or at `since`.

    `more`: there are more than are listed.
    """

    since: datetime
    until: datetime
    items: list[Memory]
    more: bool


async def show(caller: callers.Caller, agent: str, memory: int) -> MemoryShown:
    """Shows one memory, whether or not it still counts."""
    async with caller.database.api() as conn:
        mine = await callers.agent(conn, caller, agent)
        row = await _row(conn, mine, memory)
        used = await tables.uses(conn, mine, "memories", [row["id"]])
        told = await corrections.last_word(conn, mine, row["id"])
    return MemoryShown(memory=_memory(row), used_by=used.get(row["id"], []), told=_told(row, told))


async def correct(caller: callers.Caller, agent: str, memory: int, *, body: Right) -> Corrected:
    """Puts your words in the place of a memory; what was there is kept for trials of past runs."""
    async with caller.database.api() as conn:
        mine = await callers.agent(conn, caller, agent)
        done = await corrections.correct(conn, mine, _stored(memory), body.comment, body.text)
    return _corrected(done, "Your words stand in its place.")


async def forget(caller: callers.Caller, agent: str, memory: int, *, body: MemoryWhy) -> Corrected:
    """Ends a memory with nothing in its place: no later run reads it."""
    async with caller.database.api() as conn:
        mine = await callers.agent(conn, caller, agent)
        done = await corrections.forget(conn, mine, _stored(memory), body.comment)
    return _corrected(done, "It is forgotten.")


async def undo(caller: callers.Caller, agent: str, memory: int, *, body: MemoryWhy) -> Corrected:
    """Takes the correction that made a memory back, or that it was forgotten."""
    async with caller.database.api() as conn:
        mine = await callers.agent(conn, caller, agent)
        done = await corrections.undo(conn, mine, _stored(memory), body.comment)
    return _corrected(done, "What was there before is there again.")


async def source(caller: callers.Caller, agent: str, *, sender: Sender = "", about: bool = False) -> SenderMemories:
    """Shows what forgetting a sender would end: what was kept from their mails, and with `about` what is about them."""
    async with caller.database.api() as conn:
        mine = await callers.agent(conn, caller, agent)
        found = await corrections.swept_by(conn, mine, corrections.Sweep(sender, about))
        query = queries.named(Q["some"], schema=mine.name)
        rows = await (await conn.execute(query, {"ids": found, "limit": SHOWN})).fetchall()
    return SenderMemories(sender=sender.strip(), about=about, rows=len(found), first=[_memory(row) for row in rows])


async def forget_source(caller: callers.Caller, agent: str, *, body: Forgetting) -> Forgotten:
    """Forgets all memories of a sender at once, if they are still as many as you saw."""
    async with caller.database.api() as conn:
        mine = await callers.agent(conn, caller, agent)
        sweep = corrections.Sweep(body.sender, body.about)
        done = await corrections.forget_source(conn, mine, sweep, body.rows)
    said = f"{body.rows} {'memory is' if body.rows == 1 else 'memories are'} forgotten."
    return Forgotten(said=said, feedback=done.feedback)


async def forgotten(caller: callers.Caller, agent: str, feedback: int) -> Swept:
    """Shows what was forgotten of a sender at once."""
    async with caller.database.api() as conn:
        mine = await callers.agent(conn, caller, agent)
        found = await corrections.swept(conn, mine, _stored(feedback))
    about = found["about"]
    return Swept(
        feedback=feedback,
        sender=about["sender"],
        about=about["about"],
        rows=about["rows"],
        restored=found["taken_back"],
    )


async def restore(caller: callers.Caller, agent: str, feedback: int) -> Forgotten:
    """Takes back that a sender was forgotten: the memories are there again, as new rows."""
    async with caller.database.api() as conn:
        mine = await callers.agent(conn, caller, agent)
        done = await corrections.restore(conn, mine, _stored(feedback))
    return Forgotten(said="The memories are there again.", feedback=done.feedback)


async def changes(
    caller: callers.Caller, agent: str, *, since: endpoint.Instant | None = None, until: endpoint.Instant | None = None
) -> Changes:
    """Shows what changed in the memories between two times (RFC 3339); without them, in the last 7 days."""
    async with caller.database.api() as conn:
        mine = await callers.agent(conn, caller, agent)
        first, last = _span(since, until)
        query = queries.named(Q["changes"], schema=mine.name)
        values = {"since": first, "until": last, "limit": MOST + 1}
        rows = await (await conn.execute(query, values)).fetchall()
    return Changes(since=first, until=last, items=[_memory(row) for row in rows[:MOST]], more=len(rows) > MOST)


def _span(since: datetime | None, until: datetime | None) -> tuple[datetime, datetime]:
    """Raises errors.BadInput."""
    last = _zoned(until) if until else clock.now()
    if last.year < 1970:
        raise errors.BadInput("There was no memory before 1970.")
    first = _zoned(since) if since else last - timedelta(days=7)
    if first >= last:
        raise errors.BadInput("`since` has to be before `until`.")
    return first, last


def _zoned(time: datetime) -> datetime:
    if time.tzinfo is None:
        raise errors.BadInput("A time needs its offset.", hint="For example 2026-11-23T09:00:00Z.")
    return time


def _stored(number: int) -> int:
    """A number that no row has, for one that no column holds."""
    return number if 0 < number < 2**63 else 0


async def _row(conn: pool.Conn, agent: agents.Agent, number: int) -> Mapping[str, Any]:
    query = queries.named(Q["memory"], schema=agent.name)
    row = await (await conn.execute(query, {"id": _stored(number)})).fetchone()
    if row is None:
        raise errors.NotFound(f"{agent.name} has no memory {number}.")
    return row


def _memory(row: Mapping[str, Any]) -> Memory:
    given = {name: row[name] for name in Memory.model_fields if name != "origin"}
    if given["run"] is None:
        given["step"] = None
    return Memory(**given, origin=tables.origin(row["integrity"], row["author"]))


def _told(row: Mapping[str, Any], about: Mapping[str, Any]) -> Told | None:
    if not about:
        return None
    act, here, counts = about["act"], row["id"], row["counts"]
    made_it = act == "correct" and about.get("new") == here and counts
    ended_it = act in ("forget", corrections.SWEPT) and not counts
    old = about.get("from", about.get("row", here if act == corrections.SWEPT else None))
    return Told(
        feedback=about["feedback"], act=act, at=about["at"], old=old, new=about.get("new"), undo=made_it or ended_it
    )


def _corrected(done: corrections.Corrected, said: str) -> Corrected:
    return Corrected(said=said, feedback=done.feedback, memory=done.new, undo=done.undo)


ENDPOINTS = (
    endpoint.Endpoint("GET", "/agents/{agent}/memories/{memory}", "read", show),
    endpoint.Endpoint("POST", "/agents/{agent}/memories/{memory}/correct", "admin", correct),
    endpoint.Endpoint("POST", "/agents/{agent}/memories/{memory}/forget", "admin", forget),
    endpoint.Endpoint("POST", "/agents/{agent}/memories/{memory}/undo", "admin", undo),
    endpoint.Endpoint("GET", "/agents/{agent}/forgetting", "read", source),
    endpoint.Endpoint("POST", "/agents/{agent}/forgetting", "admin", forget_source),
    endpoint.Endpoint("GET", "/agents/{agent}/forgetting/{feedback}", "read", forgotten),
    endpoint.Endpoint("POST", "/agents/{agent}/forgetting/{feedback}/undo", "admin", restore),
    endpoint.Endpoint("GET", "/agents/{agent}/memory/changes", "read", changes),
)
