"""Replies on channels that may be anybody's: the owner says whether each is hers."""

from datetime import datetime

from pocketlet.db import queries
from pocketlet.learning import replies
from pocketlet.surfaces.api import caller as callers
from pocketlet.surfaces.api import endpoint, paging

Q = queries.load("owned")


class Reply(endpoint.Model):
    """An answer to one of our messages that nothing proves to be yours. `run`: the one that it is about; `agent`: its,
    empty if it was removed. `words`: what was written, by whoever wrote it.
    """

    reply: int
    channel: str
    agent: str
    run: int | None
    words: str
    created_at: datetime


class Confirmed(endpoint.Model):
    """A reply that was yours. `feedback`: what it is now."""

    said: str
    feedback: int


async def listing(
    caller: callers.Caller, *, limit: paging.Limit = 50, cursor: paging.Cursor = ""
) -> endpoint.Page[Reply]:
    """Lists the replies that may be anybody's and wait for your word, the oldest first."""
    values = {"owner": caller.owner.id, "keeper": caller.owner.keeper, "above": paging.after(cursor)}
    async with caller.database.api() as conn:
        rows = await (await conn.execute(Q["replies"], values | {"limit": limit + 1})).fetchall()
    kept, following = paging.cut(rows, limit, "reply")
    return endpoint.Page[Reply](items=[Reply(**row) for row in kept], next=following)


async def confirm(caller: callers.Caller, reply: int) -> Confirmed:
    """Confirms a reply as yours: it becomes feedback on the run that it is about."""
    async with caller.database.api() as conn:
        await callers.reply(conn, caller, reply)
        number = await replies.confirm(conn, reply)
    return Confirmed(said=f"It is feedback {number} now, and the manager looks at it.", feedback=number)


async def ignore(caller: callers.Caller, reply: int) -> endpoint.Done:
    """Ignores a reply that is not yours: nothing comes of it."""
    async with caller.database.api() as conn:
        await callers.reply(conn, caller, reply)
        await replies.ignore(conn, reply)
    return endpoint.Done(said="It is not yours: nothing comes of it.")


ENDPOINTS = (
    endpoint.Endpoint("GET", "/replies", "read", listing),
    endpoint.Endpoint("POST", "/replies/{reply}/confirm", "run", confirm, keyed=True),
    endpoint.Endpoint("POST", "/replies/{reply}/ignore", "run", ignore),
)
