"""Channels as rows of the owner, and the one interface behind which mail, webhooks and chats are the same."""

import re
import zoneinfo
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, time
from typing import Any, Protocol, runtime_checkable
from urllib.parse import urlsplit

from pocketlet import errors
from pocketlet.db import pool, queries
from pocketlet.platform import audit, compose, notices, vault
from pocketlet.platform.gateways import addresses

Q = queries.load("channels")
NAME = re.compile(r"[a-z][a-z0-9_-]{0,30}")
CHAT = re.compile(r"[1-9]\d{0,17}")
QUIET = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)-([01]?\d|2[0-3]):([0-5]\d)")
KINDS = ("mail", "webhook", "telegram")
#: What can be told on a channel.
ABOUT = ("problems", "approvals", "results")
TOLD = ("problems", "approvals")
#: What can be wrong with a channel: it takes no messages, or what is written on it is not heard.
PROBLEMS = ("failing", "deaf")
TELEGRAM = "https://api.telegram.org"


@dataclass(frozen=True, slots=True)
class Quiet:
    """Hours of the day, on the clocks of `zone`, in which nothing is told; they may go over midnight."""

    start: time
    end: time
    zone: str

    def holds(self, instant: datetime) -> bool:
        """Whether it is quiet then."""
        local = instant.astimezone(zoneinfo.ZoneInfo(self.zone)).time()
        if self.start < self.end:
            return self.start <= local < self.end
        return local >= self.start or local < self.end

    def __str__(self) -> str:
        return f"{self.start:%H:%M}-{self.end:%H:%M}"


@dataclass(frozen=True, slots=True)
class Definition:
    """A channel that is to be made, or a row. `address`: a mail address, a URL, or the id of a private chat.

    `secret`: the name of a value in the vault (a webhook's signing key, a bot's token). `sender`: of mail, whom it
    comes from and where answers go. `about` and `urgent` are of ABOUT.
    """

    name: str
    kind: str
    address: str
    base_url: str = ""
    pinned: tuple[str, ...] = ()
    secret: str | None = None
    sender: str = ""
    about: tuple[str, ...] = TOLD
    urgent: tuple[str, ...] = ()
    quiet: Quiet | None = None
    id: int = 0
    cursor: int = 0
    failures: int = 0
    not_before: datetime | None = None
    created_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """What is told. `id` is the same at each try; `kind` is that of its row; `at` is when it was first to be told.

    `title` is one line and `text` may be many; both hold no character that shows as nothing. `facts` are for machines.
    `link` answers an approval: it is a secret, and never kept. `answers`: the other side's name of what it answers.
    """

    id: str
    kind: str
    title: str
    text: str
    at: datetime
    facts: Mapping[str, Any] = field(default_factory=dict[str, Any])
    link: str = field(default="", repr=False)
    answers: str = ""

    @property
    def body(self) -> str:
        """The text with its link, as a person reads it."""
        return "\n\n".join(part for part in (self.text, self.link) if part)


@dataclass(frozen=True, slots=True)
class Receipt:
    """It was taken: `reference` is what the other side calls it, `said` what it answered."""

    reference: str
    said: str


@dataclass(frozen=True, slots=True)
class Incoming:
    """Something that was said on a channel. `key` grows; `ours`: it is from the owner's own chat.

    `own`: the words are the sender's, and not forwarded or made by another bot. `replies_to`: a Receipt's reference.
    """

    key: int
    ours: bool
    own: bool
    text: str
    reference: str
    replies_to: str


@runtime_checkable
class Channel(Protocol):
    """A way to the owner, with its secret. `effect_class`: what a break past the send means, as of a delivery."""

    @property
    def effect_class(self) -> str: ...

    async def send(self, message: Message) -> Receipt:
        """Raises errors.Rejected (it never takes this), errors.ServiceUncertain and errors.MailUncertain (it may have
        taken it), errors.Unreachable and errors.GateRefusal (it surely has not).
        """
        ...

    async def look(self, message: Message) -> bool | None:
        """Whether it was taken; None if nobody can know."""
        ...


@runtime_checkable
class Listener(Protocol):
    """A channel on which the owner can say something, too."""

    async def receive(self, after: int, seconds: int) -> list[Incoming]:
        """What was said after the update `after`, waiting up to so many seconds for it; oldest first."""
        ...


def quiet(hours: str, zone: str) -> Quiet:
    """`22:00-07:00` and `Europe/Berlin`. Raises errors.BadInput."""
    match = QUIET.fullmatch(hours.strip())
    if match is None:
        raise errors.BadInput(f"{hours!r} are no hours.", hint="Write them as 22:00-07:00.")
    start, end = time(int(match[1]), int(match[2])), time(int(match[3]), int(match[4]))
    if start == end:
        raise errors.BadInput("Quiet hours that last all day tell nothing.", hint="Remove the channel instead.")
    try:
        zoneinfo.ZoneInfo(zone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise errors.BadInput(f"There is no time zone {zone!r}.", hint="Give one such as Europe/Berlin.") from None
    return Quiet(start, end, zone)


def hours(given: str, zone: str) -> Quiet | None:
    """Quiet hours if there are any. Raises errors.BadInput."""
    if bool(given) is not bool(zone):
        raise errors.BadInput("Quiet hours need both: hours such as 22:00-07:00, and a zone such as Europe/Berlin.")
    return quiet(given, zone) if given else None


def kinds(names: Sequence[str]) -> tuple[str, ...]:
    """Some of ABOUT, each once, in its order. Raises errors.BadInput."""
    if unknown := [name for name in names if name not in ABOUT]:
        raise errors.BadInput(f"{unknown[0]!r} is nothing that is told.", hint=f"There are: {', '.join(ABOUT)}.")
    return tuple(name for name in ABOUT if name in names)


def check(draft: Definition) -> None:
    """Raises errors.BadInput unless such a channel can be made."""
    if not NAME.fullmatch(draft.name):
        raise errors.BadInput(f"{draft.name!r} is not a name.", hint="Use small letters, digits, - and _.")
    if not draft.about:
        raise errors.BadInput("A channel tells something.", hint=f"--about {','.join(ABOUT)}")
    if draft.secret is not None and not vault.NAME.fullmatch(draft.secret):
        raise errors.BadInput("A secret is given by its name in the vault.", hint="`pocketlet secret list` names them.")
    match draft.kind:
        case "mail":
            compose.address(draft.address)
            compose.address(draft.sender or draft.address)
        case "webhook":
            check_url(draft.address, draft.pinned)
        case "telegram":
            _check_bot(draft)
        case _:
            raise errors.BadInput(f"There is no channel of the kind {draft.kind!r}.", hint=f"There are: {KINDS}.")


def _check_bot(draft: Definition) -> None:
    check_url(draft.base_url, draft.pinned)
    if not CHAT.fullmatch(draft.address):
        hint = "Groups have many members, and only you may speak to your agents: use a private chat."
        raise errors.BadInput(f"{draft.address!r} is not the id of a private chat.", hint=hint)
    if not draft.secret:
        raise errors.BadInput("A bot has a token.", hint="Seal it, and give its name: --token-secret NAME.")


def check_url(url: str, pinned: Sequence[str]) -> None:
    """Raises errors.BadInput unless the wire may go there."""
    parts = urlsplit(url)
    if parts.fragment or parts.username or parts.password:
        raise errors.BadInput("The URL of a channel holds no user, password or fragment.")
    checked = addresses.host_of(url, inner=bool(pinned))
    addresses.check_pins(pinned)
    if not pinned and (checked.scheme != "https" or checked.port not in (443, 80)):
        hint = "A server of your own is pinned to its address: --pin 192.168.1.20"
        raise errors.BadInput(f"{checked.host} is only called by https on port 443 or 80.", hint=hint)


async def add(conn: pool.Conn, draft: Definition) -> Definition:
    """The row; what has no name gets a free one.

    Raises errors.BadInput, errors.Conflict, and errors.NotFound if there is no such secret.
    """
    draft = replace(draft, name=draft.name or await free_name(conn, draft.kind))
    check(draft)
    if draft.secret and await (await conn.execute(Q["secret"], {"name": draft.secret})).fetchone() is None:
        hint = f"`pocketlet secret set {draft.secret}` seals it."
        raise errors.NotFound(f"There is no secret {draft.secret!r} yet.", hint=hint)
    values: dict[str, Any] = {name: getattr(draft, name) for name in ("name", "kind", "address", "base_url", "secret")}
    values |= {"sender": draft.sender, "pinned": list(draft.pinned), "about": list(draft.about)}
    hours = draft.quiet
    values |= {"urgent": list(draft.urgent), "zone": hours.zone if hours else None}
    values |= {"quiet_from": hours.start if hours else None, "quiet_until": hours.end if hours else None}
    row = await (await conn.execute(Q["add"], values)).fetchone()
    if row is None:
        raise errors.Conflict(f"There is a channel {draft.name!r} already.", hint="Choose another one with --name.")
    details = {"kind": draft.kind, "about": list(draft.about), "to": draft.address}
    await audit.write(conn, audit.Entry("owner", "channel.add", draft.name, details=details))
    return read(row)


async def free_name(conn: pool.Conn, kind: str) -> str:
    """A name for a channel of this kind that no other has: `mail`, `mail-2` …"""
    taken = {one.name for one in await everything(conn)}
    return next(name for name in (kind, *(f"{kind}-{n}" for n in range(2, 1000))) if name not in taken)


async def everything(conn: pool.Conn) -> list[Definition]:
    """All channels, by name."""
    return [read(row) for row in await (await conn.execute(Q["list"])).fetchall()]


async def get(conn: pool.Conn, name: str) -> Definition:
    """Raises errors.NotFound."""
    row = await (await conn.execute(Q["get"], {"name": name})).fetchone()
    if row is None:
        raise errors.NotFound(f"There is no channel {name!r}.", hint="`pocketlet channel list` names them.")
    return read(row)


async def remove(conn: pool.Conn, name: str) -> None:
    """The channel and the record of what was told on it are gone, and its problems over. Raises errors.NotFound."""
    row = await (await conn.execute(Q["remove"], {"name": name})).fetchone()
    if row is None:
        raise errors.NotFound(f"There is no channel {name!r}.", hint="`pocketlet channel list` names them.")
    for what in PROBLEMS:
        await notices.resolve(conn, problem(row["id"], what), "the channel was removed")
    await audit.write(conn, audit.Entry("owner", "channel.remove", name))


def problem(channel: int, what: str) -> str:
    """The key of a notice about a channel; `what` is of PROBLEMS."""
    return f"channel:{channel}:{what}"


def read(row: Mapping[str, Any]) -> Definition:
    """A channel from its row."""
    values: dict[str, Any] = {name: row[name] for name in Definition.__dataclass_fields__ if name != "quiet"}
    for name in ("pinned", "about", "urgent"):
        values[name] = tuple(row[name])
    hours = Quiet(row["quiet_from"], row["quiet_until"], row["zone"]) if row["zone"] else None
    return Definition(**values, quiet=hours)


def document(channel: Definition) -> dict[str, Any]:
    """What there is to know of a channel, for JSON; its secret by name."""
    names = ("name", "kind", "address", "base_url", "secret", "sender", "failures", "not_before", "created_at")
    found = {name: getattr(channel, name) for name in names}
    found |= {name: list(getattr(channel, name)) for name in ("pinned", "about", "urgent")}
    hours = channel.quiet
    found |= {"quiet": str(hours) if hours else None, "zone": hours.zone if hours else None}
    return {"channel": found.pop("name"), **found}
