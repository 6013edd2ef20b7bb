"""Channels: how you are told of problems, questions and results, and what became of each message. For the keeper."""

from datetime import datetime
from typing import Annotated, Any, Literal

import pydantic

from pocketlet import errors
from pocketlet.agents import duties, telling
from pocketlet.db import pool
from pocketlet.platform import vault
from pocketlet.platform.channels import definitions, opening
from pocketlet.surfaces.api import caller as callers
from pocketlet.surfaces.api import endpoint, paging

Kind = Literal["mail", "webhook", "telegram"]
About = Literal["problems", "approvals", "results"]
Name = Annotated[str, pydantic.Field(max_length=200)]
Long = Annotated[str, pydantic.Field(max_length=2_000)]
#: What the other side, or the way there, can have against a message.
REFUSALS = (errors.Rejected, errors.Unreachable, errors.GateRefusal, errors.BadSetting, errors.NotFound)


class ChannelMessage(endpoint.Model):
    """A message on a channel. `state`: planned, dispatching, succeeded, failed or unknown (it may have arrived);
    `said`: what the other side answered, or what was wrong.
    """

    delivery: int
    kind: str
    state: str
    title: str
    said: str
    attempts: int
    created_at: datetime
    changed_at: datetime


class Channel(endpoint.Model):
    """A way to you. `address`: a mail address, a URL or the id of a private chat. `secret`: the name of a sealed value.
    `about`: what is told on it; `urgent`: what quiet hours (`quiet`, on the clocks of `zone`) do not hold back.
    `failures`: tries in a row; `not_before`: until when it pauses for that. `last`: its last message.
    """

    name: str
    kind: Kind
    address: str
    base_url: str
    pinned: list[str]
    secret: str | None
    sender: str
    about: list[About]
    urgent: list[About]
    quiet: str | None
    zone: str | None
    failures: int
    not_before: datetime | None
    created_at: datetime
    last: ChannelMessage | None


class Channels(endpoint.Model):
    """All of them, by name."""

    items: list[Channel]


class ChannelWanted(endpoint.Model):
    """A channel as you want it. `name`: empty: its kind. `sender`: of mail, whom it comes from and where answers go.
    `secret`: the name of a webhook's signing key or of a bot's token; `value`: the same, sealed under that name (or one
    of its own) and never answered. `base_url`: of a server that speaks Telegram's API. `quiet`: such as 22:00-07:00.
    """

    kind: Kind
    address: Long
    name: Name = ""
    sender: Long = ""
    secret: Name = ""
    value: Annotated[pydantic.SecretStr, pydantic.Field(max_length=vault.LONGEST)] | None = None
    base_url: Long = ""
    pinned: list[Name] = pydantic.Field([], max_length=20)
    about: list[About] = pydantic.Field(list(definitions.TOLD), max_length=20)
    urgent: list[About] = pydantic.Field([], max_length=20)
    quiet: Name = ""
    zone: Name = ""


class ChannelTested(endpoint.Model):
    """Whether the message was taken; if not, why, and what to do next."""

    ok: bool
    said: str
    hint: str


async def listing(caller: callers.Caller) -> Channels:
    """Lists the channels on which you are told of what happens. For the keeper."""
    caller.must_keep()
    async with caller.database.api() as conn:
        return Channels(items=[await _shown(conn, one) for one in await definitions.everything(conn)])


async def show(caller: callers.Caller, channel: str) -> Channel:
    """Shows a channel, with its last message. For the keeper."""
    caller.must_keep()
    async with caller.database.api() as conn:
        return await _shown(conn, await definitions.get(conn, channel))


async def messages(
    caller: callers.Caller, channel: str, *, limit: paging.Limit = 50, cursor: paging.Cursor = ""
) -> endpoint.Page[ChannelMessage]:
    """Lists what was told on a channel, the newest first. For the keeper."""
    caller.must_keep()
    below = paging.after(cursor)
    async with caller.database.api() as conn:
        rows = await telling.recent(conn, await definitions.get(conn, channel), limit + 1, below)
    kept, following = paging.cut(rows, limit, "delivery")
    return endpoint.Page[ChannelMessage](items=[ChannelMessage(**row) for row in kept], next=following)


async def add(caller: callers.Caller, body: ChannelWanted) -> Channel:
    """Makes a channel, and seals its secret if it comes along. Nothing is sent. For the keeper."""
    caller.must_keep()
    async with caller.database.api() as conn:
        name = body.name.strip() or await definitions.free_name(conn, body.kind)
        own = f"CHANNEL_{name}".upper().replace("-", "_") if body.value else None
        draft = definitions.Definition(
            name=name,
            kind=body.kind,
            address=body.address.strip(),
            base_url=body.base_url.strip() or (definitions.TELEGRAM if body.kind == "telegram" else ""),
            pinned=tuple(pin.strip() for pin in body.pinned if pin.strip()),
            secret=body.secret.strip() or own,
            sender=body.sender.strip(),
            about=definitions.kinds(body.about),
            urgent=definitions.kinds(body.urgent),
            quiet=definitions.hours(body.quiet.strip(), body.zone.strip()),
        )
        if body.value is not None:
            definitions.check(draft)
            await _seal(conn, caller, draft, body.value.get_secret_value())
        return await _shown(conn, await definitions.add(conn, draft))


async def try_out(caller: callers.Caller, channel: str) -> ChannelTested:
    """Sends a message on a channel now, quiet hours or not, and says whether it was taken. For the keeper."""
    caller.must_keep()
    post = await duties.post(caller.database, caller.config)
    async with caller.database.api() as conn:
        await definitions.get(conn, channel)
    try:
        await telling.test(caller.database, post, channel)
    except REFUSALS as error:
        return ChannelTested(ok=False, said=str(error), hint=error.hint)
    return ChannelTested(ok=True, said=f"The message was taken on {channel}.", hint="")


async def remove(caller: callers.Caller, channel: str) -> endpoint.Done:
    """Removes a channel, and the record of what was told on it; its secret stays. For the keeper."""
    caller.must_keep()
    async with caller.database.api() as conn:
        secret = (await definitions.get(conn, channel)).secret
        await definitions.remove(conn, channel)
    stays = f" Its secret {secret} stays sealed." if secret else ""
    return endpoint.Done(said=f"{channel} is removed, with the record of what was told on it.{stays}")


async def _seal(conn: pool.Conn, caller: callers.Caller, draft: definitions.Definition, value: str) -> None:
    """Raises errors.BadInput, errors.BadSetting, errors.Conflict: what is sealed is not replaced in passing."""
    vault.check(value)
    opening.check_secret(draft.kind, value)
    name = draft.secret or ""
    if name in await vault.names(conn):
        hint = "Give its name alone, or another name for this value."
        raise errors.Conflict(f"There is a secret {name} already.", hint=hint)
    await vault.put(conn, vault.key(caller.config.home), name, value)


async def _shown(conn: pool.Conn, one: definitions.Definition) -> Channel:
    values: dict[str, Any] = definitions.document(one)
    last = [ChannelMessage(**row) for row in await telling.recent(conn, one, 1)]
    return Channel(name=values.pop("channel"), **values, last=last[0] if last else None)


ENDPOINTS = (
    endpoint.Endpoint("GET", "/channels", "read", listing),
    endpoint.Endpoint("GET", "/channels/{channel}", "read", show),
    endpoint.Endpoint("GET", "/channels/{channel}/messages", "read", messages),
    endpoint.Endpoint("POST", "/channels", "admin", add, status=201),
    endpoint.Endpoint("POST", "/channels/{channel}/test", "admin", try_out, keyed=True),
    endpoint.Endpoint("DELETE", "/channels/{channel}", "admin", remove),
)
