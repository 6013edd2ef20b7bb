"""Tells the owner: what is due becomes a row, once, and the row is `dispatching` before the first byte leaves.

A message that may have arrived is not sent again unless the receiver knows it by its key: told twice is worse than
once. The next summary says it anyway.
"""

import contextlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, cast

from pocketlet import errors
from pocketlet.agents import links, news
from pocketlet.db import pool, queries
from pocketlet.platform import installation, notices
from pocketlet.platform.channels import definitions, opening

Q = queries.load("deliveries")
CHANNELS = queries.load("channels")
MOST = 5  # messages at once; what is more is told in one
IN_A_ROUND = 20  # messages of one channel
LEASE = 300.0  # seconds: longer than any way out takes
PAUSES = (5.0, 20.0, 80.0, 320.0, 1280.0, 3600.0)  # seconds after failures in a row
TRIES = 10  # of one message
PATIENCE = 3  # failures in a row before it is a problem to be told elsewhere
UNCERTAIN = (errors.ServiceUncertain, errors.MailUncertain)
#: Messages that a link to answer with goes into; a webhook has more readers than the owner.
LINKED = ("approval", "reminder", "answer")
PERSONAL = ("mail", "telegram")


async def tell(database: pool.Database, post: opening.Post) -> int:
    """One round: plans what is due on every channel, and sends it; how many messages were taken.

    To be called every second or so, by as many workers as there are.
    """
    async with database.api() as conn:
        channels = await definitions.everything(conn)
    return sum([await _tell_on(database, channel, post) for channel in channels])


async def test(database: pool.Database, post: opening.Post, name: str) -> dict[str, Any]:
    """Sends a message to try a channel out: its row. Raises errors.NotFound, and what the channel raises."""
    async with database.api() as conn:
        channel = await definitions.get(conn, name)
        way = await opening.channel(conn, channel, post)
        row = await (await conn.execute(Q["tests"], {"channel": channel.id})).fetchone()
        at = await now(conn)
        number = (row["tests"] if row else 0) + 1
        told = ", ".join(channel.about)
        said = news.News("test", number, "test", at, "Pocketlet can reach you", f"This channel is told: {told}.")
        planned = await _plan(conn, channel.id, way, said)
    async with database.api() as conn:
        values = {"id": planned, "lease": LEASE}
        claimed = await (await conn.execute(Q["claim_one"], values)).fetchone() if planned else None
        if claimed is None:
            raise errors.Conflict("The channel is being tried at this moment.", hint="Try it again.")
        message = await _message(conn, channel, claimed, post)
    if error := await _send(database, channel, way, claimed, message):
        raise error
    return {"delivery": claimed["id"], "channel": name, "sent": True}


async def answer(conn: pool.Conn, channel: definitions.Definition, effect_class: str, said: news.News) -> int | None:
    """Queues an answer to what the owner said, to be sent by the next round; None if it was given already."""
    return await _row(conn, channel.id, effect_class, said, None)


async def recent(
    conn: pool.Conn, channel: definitions.Definition, limit: int = 10, below: int | None = None
) -> list[dict[str, Any]]:
    """The last messages of a channel, newest first: delivery, kind, state, title, said, attempts, when. `below`: only
    those before this delivery.
    """
    values = {"channel": channel.id, "limit": limit, "below": below}
    return list(await (await conn.execute(Q["recent"], values)).fetchall())


async def now(conn: pool.Conn) -> datetime:
    """The one clock, of the database."""
    row = await (await conn.execute(CHANNELS["now"])).fetchone()
    if row is None:
        raise errors.Failed("Postgres does not say what time it is.")
    return row["now"]


async def _tell_on(database: pool.Database, channel: definitions.Definition, post: opening.Post) -> int:
    async with database.api() as conn:
        held = await (await conn.execute(CHANNELS["hold"], {"id": channel.id})).fetchone()
        if held is None:
            return 0
        channel, at = definitions.read(held), held["now"]
        try:
            way = await opening.channel(conn, channel, post)
        except errors.PocketletError as error:
            await _failed(conn, channel, error)
            return 0
        await _plan_due(conn, channel, way, at)
    await _recover(database, channel, way, post)
    kinds = _allowed(channel, at)
    taken = 0
    for _ in range(IN_A_ROUND):
        async with database.api() as conn:
            row = await _claim(conn, channel, kinds)
            if row is None:
                break
            message = await _message(conn, channel, row, post)
        if await _send(database, channel, way, row, message):
            break
        taken += 1
    return taken


def _allowed(channel: definitions.Definition, at: datetime) -> list[str]:
    """The kinds of messages that may leave now."""
    quiet = channel.quiet is not None and channel.quiet.holds(at)
    told = channel.urgent if quiet else definitions.ABOUT
    return ["digest", *news.AT_ONCE, *(kind for kind, about in news.ABOUT.items() if about in told)]


async def _plan_due(conn: pool.Conn, channel: definitions.Definition, way: definitions.Channel, at: datetime) -> None:
    """Rows for what is due and may be told now; what quiet hours have held back, or is a lot, is one message."""
    await conn.execute(Q["drop"], {"channel": channel.id})
    await conn.execute(Q["drop_digests"], {"channel": channel.id})
    kinds = _allowed(channel, at)
    due = [one for one in await news.due(conn, channel, at) if one.kind in kinds]
    held = sum(channel.quiet is not None and channel.quiet.holds(one.due) for one in due)
    quiet = channel.quiet is not None and channel.quiet.holds(at)
    if len(due) > MOST or (held > 1 and not quiet):
        await _plan_together(conn, channel, way, due)
        return
    for one in due:
        await _plan(conn, channel.id, way, one)


async def _plan(conn: pool.Conn, channel: int, way: definitions.Channel, one: news.News) -> int | None:
    return await _row(conn, channel, way.effect_class, one, None)


async def _plan_together(
    conn: pool.Conn, channel: definitions.Definition, way: definitions.Channel, due: Sequence[news.News]
) -> None:
    first = due[0]
    text = "\n".join(f"- {one.title}" for one in due)
    ways = "`pocketlet inbox` shows what is open, `pocketlet approvals` what waits for you, word for word."
    title = f"{len(due)} things to know, since {news.when(min(one.due for one in due))}"
    facts = {"items": [{"kind": one.kind, "title": one.title, **one.facts} for one in due]}
    together = news.News(
        f"digest:{first.subject}", first.number, "digest", first.due, title, f"{text}\n\n{ways}", facts
    )
    number = await _plan(conn, channel.id, way, together)
    for one in due if number else ():
        await _row(conn, channel.id, way.effect_class, one, number)


async def _row(conn: pool.Conn, channel: int, effect_class: str, one: news.News, digest: int | None) -> int | None:
    """The number of the new row; None if it was there already."""
    values: dict[str, Any] = {"channel": channel, "class": effect_class, "digest": digest, "telling": one.number}
    names = ("subject", "kind", "title", "run", "notice", "approval", "answers")
    values |= {name: getattr(one, name) for name in names}
    values |= {"body": one.text, "facts": pool.jsonb(_plain(one.facts))}
    made = await (await conn.execute(Q["plan"], values)).fetchone()
    return made["id"] if made else None


def _plain(value: Any) -> Any:
    """Facts as JSON has them: times in RFC 3339."""
    match value:
        case datetime():
            return value.isoformat()
        case Mapping():
            return {key: _plain(one) for key, one in cast("Mapping[str, Any]", value).items()}
        case list():
            return [_plain(one) for one in cast("list[Any]", value)]
        case _:
            return value


async def _claim(conn: pool.Conn, channel: definitions.Definition, kinds: Sequence[str]) -> dict[str, Any] | None:
    values = {"channel": channel.id, "kinds": list(kinds), "lease": LEASE}
    return await (await conn.execute(Q["claim"], values)).fetchone()


async def _message(
    conn: pool.Conn, channel: definitions.Definition, row: Mapping[str, Any], post: opening.Post
) -> definitions.Message:
    instance = await installation.identity(conn)
    link = ""
    if post.url and row["kind"] in LINKED and channel.kind in PERSONAL and row["approval_id"]:
        with contextlib.suppress(errors.Conflict):  # answered at this very moment
            key = links.key(post.home)
            link = links.url(post.url, await links.make(conn, key, row["approval_id"], delivery=row["id"]))
    return definitions.Message(
        id=f"msg_{instance}_{row['id']}",
        kind=row["kind"],
        title=row["title"],
        text=row["body"],
        at=row["created_at"],
        facts=row["facts"],
        link=link,
        answers=row["answers"],
    )


async def _send(
    database: pool.Database,
    channel: definitions.Definition,
    way: definitions.Channel,
    row: Mapping[str, Any],
    message: definitions.Message,
) -> errors.PocketletError | None:
    """Hands a message over that is `dispatching` by a committed row; what went wrong, if something did."""
    try:
        receipt = await way.send(message)
    except errors.PocketletError as error:
        async with database.api() as conn:
            await _not_taken(conn, channel, row, error)
        return error
    async with database.api() as conn:
        await _taken(conn, channel, row, receipt)
    return None


async def _taken(
    conn: pool.Conn, channel: definitions.Definition, row: Mapping[str, Any], receipt: definitions.Receipt
) -> None:
    await conn.execute(Q["taken"], {"id": row["id"], "reference": receipt.reference, "said": receipt.said[:200]})
    await conn.execute(Q["items"], {"id": row["id"]})
    before = await (await conn.execute(CHANNELS["worked"], {"id": channel.id})).fetchone()
    if before and before["failures"]:
        await notices.resolve(conn, _problem(channel), "a message was taken")


async def _not_taken(
    conn: pool.Conn, channel: definitions.Definition, row: Mapping[str, Any], error: errors.PocketletError
) -> None:
    uncertain = isinstance(error, UNCERTAIN)
    said = news.line(str(error))
    if uncertain and row["class"] == "checkable":
        state = "dispatching"  # whoever finds it after its lease looks whether it left
    elif uncertain and row["class"] == "unsafe":
        state = "unknown"
    else:
        state = "planned" if row["attempt"] < TRIES and row["kind"] != "test" else "failed"
    if state != "dispatching":
        await _settle(conn, row, state, said)
    await _failed(conn, channel, error, at_once=state in ("unknown", "failed") and row["kind"] != "test")


async def _settle(conn: pool.Conn, row: Mapping[str, Any], state: str, said: str) -> None:
    values = {"id": row["id"], "attempt": row["attempt"], "state": state, "said": said}
    if await (await conn.execute(Q["settle"], values)).fetchone() and state in ("failed", "unknown"):
        await conn.execute(Q["items"], {"id": row["id"]})


async def _failed(
    conn: pool.Conn, channel: definitions.Definition, error: errors.PocketletError, *, at_once: bool = False
) -> None:
    """The channel pauses; a channel that goes on failing is a problem, which the other channels tell."""
    pause = PAUSES[min(channel.failures, len(PAUSES) - 1)]
    if isinstance(error, errors.ServiceBusy):
        pause = min(max(pause, error.retry_after), PAUSES[-1])
    row = await (await conn.execute(CHANNELS["failed"], {"id": channel.id, "seconds": pause})).fetchone()
    lasting = isinstance(error, (errors.Rejected, errors.BadSetting, errors.NotFound, errors.GateRefusal))
    if row is None or not (at_once or lasting or row["failures"] >= PATIENCE):
        return
    title = f"The channel {channel.name} does not work: {news.line(str(error))}"
    hint = f"{error.hint} `pocketlet channel test {channel.name}` tries it.".strip()
    await notices.report(conn, notices.Notice(_problem(channel), title, hint))


def _problem(channel: definitions.Definition) -> str:
    return definitions.problem(channel.id, "failing")


async def _recover(
    database: pool.Database, channel: definitions.Definition, way: definitions.Channel, post: opening.Post
) -> None:
    """Messages whose worker was lost after they may have left: by their class."""
    while True:
        async with database.api() as conn:
            values = {"channel": channel.id, "lease": LEASE}
            row = await (await conn.execute(Q["lost"], values)).fetchone()
            if row is None:
                return
            message = await _message(conn, channel, row, post)
        there = await way.look(message) if row["class"] == "checkable" else None
        async with database.api() as conn:
            if there:
                await _taken(conn, channel, row, definitions.Receipt("", "found where sent mail is kept"))
            elif row["class"] == "keyed" or there is False:
                await _settle(conn, row, "planned", "sent again: the worker was lost")
            else:
                await _settle(conn, row, "unknown", "the worker was lost while it was sent")
                lost = errors.ServiceUncertain(f"Nobody knows whether message {row['id']} arrived.")
                await _failed(conn, channel, lost, at_once=True)
