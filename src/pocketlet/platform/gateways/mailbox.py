"""Incoming mail out of a folder on a mail server (IMAP): new messages after a cursor, and the wait for more.

Nothing in the folder is changed: it is opened for reading only, and no message is marked as seen.
"""

import asyncio
import email.utils
import ssl
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from urllib.parse import unquote, urlsplit

from pocketlet import clock, crashing, errors
from pocketlet.platform.gateways import addresses, endpoints, imap, wire

PORT = 993
LOOPBACK = ("127.0.0.0/8", "::1")
#: Seconds to be connected, for one address; and how many addresses are tried.
CONNECT_SECONDS = 20.0
MOST_TRIED = 4

#: A larger message is given as its headers only, and of those this much, in bytes.
MAX_BYTES = imap.KEPT
HEADER_BYTES = 262_144
#: Bytes in one batch (one message may be alone beyond it), and in one command.
BATCH_BYTES = 30_000_000
COMMAND_BYTES = 2_000_000
#: Bytes that a batch really has at most, as a server may be wrong about sizes.
MOST_BYTES = 2 * BATCH_BYTES + MAX_BYTES
#: The greatest number that a server may give (RFC 3501, 9: nz-number has 32 bits).
GREATEST = 2**32 - 1
#: UIDs that one command asks for; empty stretches are passed in longer steps, so many of them in one batch.
SPAN = 500
LONGEST_SPAN = 20_000
STEPS = 50
#: Seconds: RFC 2177 has IDLE renewed within 29 minutes, but routers forget a silent connection much earlier.
RENEWED = 540.0
POLLED = 60.0


@dataclass(frozen=True, slots=True)
class Account:
    """A folder on a mail server. `pinned`: addresses or networks of a local one, which are allowed by that."""

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    folder: str = "INBOX"
    tls: bool = True
    pinned: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The folder as a person knows it, without the password."""
        return f"{self.user}@{self.host}/{self.folder}"


@dataclass(frozen=True, slots=True)
class Cursor:
    """What was read: all up to `uid`, in the numbering `uidvalidity` (0: nothing yet).

    `known`: messages up to this UID may have been read under an older numbering.
    """

    uidvalidity: int = 0
    uid: int = 0
    known: int = 0


@dataclass(frozen=True, slots=True)
class Message:
    """A message as the server has it. `size`: bytes, as the server says; `received`: when the server got it.

    `known`: the numbering has changed, and this message may have been read before. `note`: what is missing in `raw`.
    """

    uid: int
    raw: bytes
    size: int
    received: datetime | None = None
    known: bool = False
    note: str = ""


@dataclass(frozen=True, slots=True)
class Batch:
    """Messages by their UID, and the cursor after them. `rescan`: the numbering has changed, all is read again.

    `more`: there may be more already.
    """

    cursor: Cursor
    messages: tuple[Message, ...]
    rescan: bool
    more: bool


@dataclass(frozen=True, slots=True)
class _Listed:
    uid: int
    size: int
    received: datetime | None


def read(url: str, password: str, pinned: Sequence[str] = ()) -> Account:
    """The account in `imaps://user@host[:port]/folder`; its password is kept elsewhere.

    `imap://`, without TLS, is for a server on this machine only, and a server on this machine is pinned by its name.
    Raises errors.BadSetting.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:  # its text is not passed on: it may quote a password
        raise _bad("A mailbox's address is not a URL.") from None
    host = parts.hostname or ""
    if parts.scheme not in ("imap", "imaps") or not host or not parts.username:
        raise _bad("A mailbox's address is not of the form imaps://user@host/folder.")
    if parts.password is not None or parts.query or parts.fragment or "@" in parts.path:
        raise _bad("A mailbox's address holds no password, no ? and no #.")
    local = endpoints.is_loopback(host)
    if parts.scheme == "imap" and not local:
        raise _bad("A mailbox elsewhere is only read with TLS: imaps://.")
    user, folder = unquote(parts.username), unquote(parts.path.strip("/")) or "INBOX"
    if not (user + folder + password).isprintable() or not password:
        raise _bad("A mailbox's user, folder or password is empty, or holds control characters.")
    return Account(
        host=host.lower(),
        port=port or (PORT if parts.scheme == "imaps" else 143),
        user=user,
        password=password,
        folder=folder,
        tls=parts.scheme == "imaps",
        pinned=tuple(pinned) or (LOOPBACK if local else ()),
    )


@asynccontextmanager
async def opened(
    account: Account, *, resolver: wire.Resolver = wire.look_up, tls: ssl.SSLContext | None = None
) -> AsyncGenerator["Box"]:
    """The folder, while the block lasts. `tls`: for a pinned server with a certificate of its own.

    Raises errors.EgressRefused before anything is sent, errors.NoMailbox, and its subclass errors.MailboxLogin when
    trying again is no use.
    """
    talk = await _connected(account, resolver, tls)
    try:
        box = Box(account, talk)
        await box.enter()
        yield box
    finally:
        await talk.farewell()


class Box:
    """A folder that is open for reading. Every method raises errors.NoMailbox; then it has to be opened again."""

    def __init__(self, account: Account, talk: imap.Talk) -> None:
        self._account = account
        self._talk = talk
        self._validity = 0
        self._next = 0

    @crashing.io
    async def enter(self) -> None:
        """Logs in and opens the folder; raises errors.MailboxLogin."""
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                known = await self._talk.greeting()
                if not known:
                    await self._talk.login(self._account.user, self._account.password)
        except imap.Refusal as error:
            if error.code == "UNAVAILABLE":
                raise errors.NoMailbox(f"{self._account.name}: the server can't check the login now.") from None
            said = f" ({error.code})" if error.code else ""
            raise errors.MailboxLogin(f"{self._account.name}: user or password was not accepted{said}.") from None
        except TimeoutError:
            raise errors.NoMailbox(f"{self._account.name}: the server did not answer the login in time.") from None
        await self._examine()

    @crashing.io
    async def end(self) -> Cursor:
        """The cursor after everything that is there now."""
        await self._examine()
        return Cursor(self._validity, self._next - 1)

    @crashing.io
    async def since(self, cursor: Cursor, limit: int) -> Batch:
        """At most `limit` messages after a cursor, and at most about 30 MB of them."""
        if cursor.uid + 1 >= self._next:
            await self._examine()
        rescan = cursor.uidvalidity not in (0, self._validity)
        if rescan:
            cursor = Cursor(self._validity, 0, known=self._next - 1)
        cursor = replace(cursor, uidvalidity=self._validity)
        listed, reached = await self._listed(cursor.uid + 1, limit)
        listed, reached = _fitting(listed, reached)
        messages = [replace(message, known=message.uid <= cursor.known) for message in await self._fetched(listed)]
        return Batch(
            cursor=replace(cursor, uid=max(cursor.uid, reached)),
            messages=tuple(messages),
            rescan=rescan or cursor.uid < cursor.known,
            more=reached + 1 < self._next,
        )

    @crashing.io
    async def wait(self, seconds: float) -> bool:
        """Waits until there is something new; whether there is. Without IDLE the server is asked every minute."""
        deadline = clock.monotonic() + seconds
        while not self._talk.news and (left := deadline - clock.monotonic()) > 0:
            try:
                if b"IDLE" in self._talk.can:
                    await self._talk.idle(min(left, RENEWED))
                else:
                    await asyncio.sleep(min(left, POLLED))
                    await self._talk.command("NOOP")
            except imap.Refusal as error:
                raise self._refused(error) from None
        return self._talk.news

    async def _examine(self) -> None:
        """Opens the folder, for reading only: what it holds now."""
        name = imap.folder(self._account.folder)
        try:
            answers = await self._talk.command(f"EXAMINE {name}")
        except imap.Refusal as error:
            if not await self._command(f'LIST "" {name}'):
                raise errors.MailboxLogin(f"{self._account.name}: there is no such folder.") from None
            raise self._refused(error) from None
        self._validity, self._next = imap.coded(answers, b"UIDVALIDITY"), imap.coded(answers, b"UIDNEXT")
        self._talk.news = False
        if max(self._validity, self._next) > GREATEST:
            raise errors.NoMailbox(f"{self._account.name}: the server numbers its messages beyond what IMAP knows.")
        if not self._validity or not self._next:
            raise errors.NoMailbox(f"{self._account.name}: the server does not number its messages for good.")

    async def _listed(self, first: int, limit: int) -> tuple[list[_Listed], int]:
        """The next messages, and up to which UID there are no others."""
        span = max(SPAN, limit)
        last = first - 1
        for _ in range(STEPS):
            if last + 1 >= self._next:
                break
            start, last = last + 1, min(last + span, self._next - 1)
            found: dict[int, _Listed] = {}
            for answer in await self._command(f"UID FETCH {start}:{last} (UID RFC822.SIZE INTERNALDATE)"):
                one = _listed(imap.fetched(answer))
                if one is not None and start <= one.uid <= last:
                    found[one.uid] = one
            if found:
                listed = [found[uid] for uid in sorted(found)]
                return listed[:limit], listed[limit - 1].uid if len(listed) > limit else last
            span = min(span * 8, LONGEST_SPAN)
        return [], last

    async def _fetched(self, listed: Sequence[_Listed]) -> list[Message]:
        """The messages themselves; one that is gone by now is left out."""
        whole: dict[int, Message] = {}
        for group in _grouped(listed):
            cut = any(one.size > MAX_BYTES for one in group.values())
            whole |= await self._bodies(group, f"BODY.PEEK[HEADER]<0.{HEADER_BYTES}>" if cut else "BODY.PEEK[]")
            if sum(len(message.raw) for message in whole.values()) > MOST_BYTES:
                raise errors.NoMailbox(f"{self._account.name}: the messages are far longer than the server says.")
        return [whole[uid] for uid in sorted(whole)]

    async def _bodies(self, group: dict[int, _Listed], item: str) -> dict[int, Message]:
        found: dict[int, Message] = {}
        for answer in await self._command(f"UID FETCH {','.join(map(str, group))} (UID {item})"):
            items = imap.fetched(answer)
            one = group.get(_number(items.get(b"UID")))
            raw = items.get(b"BODY")
            if one is not None and raw is not None:
                found[one.uid] = _message(one, raw, cut=answer.cut or one.size > MAX_BYTES)
        return found

    async def _command(self, line: str) -> list[imap.Answer]:
        try:
            return await self._talk.command(line)
        except imap.Refusal as error:
            raise self._refused(error) from None

    def _refused(self, error: imap.Refusal) -> errors.NoMailbox:
        return errors.NoMailbox(f"{self._account.name}: {error}")


async def _connected(account: Account, resolver: wire.Resolver, tls: ssl.SSLContext | None) -> imap.Talk:
    """A connection to an address that was checked; raises errors.EgressRefused, errors.NoMailbox."""
    context = (tls or ssl.create_default_context()) if account.tls else None
    reason = "there is no connection"
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            found = await _checked_addresses(account, resolver)
    except (OSError, TimeoutError):
        raise errors.NoMailbox(f"{account.name}: the host's name is not known.") from None
    for address in found:
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                return await imap.connected(address, account.port, account.host, context)
        except ssl.SSLCertVerificationError as error:
            reason = f"its certificate is not trusted ({error.verify_message})"
        except (OSError, TimeoutError):
            continue
    raise errors.NoMailbox(f"{account.name}: {reason}.")


async def _checked_addresses(account: Account, resolver: wire.Resolver) -> Sequence[str]:
    """Where the server is, looked up once, and every address checked; raises errors.EgressRefused, OSError."""
    host = f"[{account.host}]" if ":" in account.host else account.host
    try:
        addresses.host_of(f"https://{host}:{account.port}/", inner=bool(account.pinned))
        addresses.networks(account.pinned)
    except errors.BadInput as error:
        raise errors.EgressRefused(f"{account.name}: the host can't be used: {error}") from None
    if not account.tls and not endpoints.is_loopback(account.host):
        raise errors.EgressRefused(f"{account.name}: a mailbox elsewhere is only read with TLS.")
    if not account.pinned and account.port != PORT:
        raise errors.EgressRefused(f"{account.name}: mailboxes are read on port {PORT}.")
    literal = addresses.is_address(account.host)
    found = [account.host] if literal else await resolver(account.host, account.port)
    for address in found:
        why = addresses.unpinned(address, account.pinned) if account.pinned else addresses.forbidden(address)
        if why is not None:
            raise errors.EgressRefused(f"{account.name}: {account.host} is at {address}, {why}.")
    return found[:MOST_TRIED]


def _fitting(listed: list[_Listed], reached: int) -> tuple[list[_Listed], int]:
    """Those of the first messages that fit into one batch together, and up to which UID that is."""
    room = BATCH_BYTES
    for count, one in enumerate(listed):
        room -= min(one.size, MAX_BYTES)
        if room < 0 and count:
            return listed[:count], listed[count - 1].uid
    return listed, reached


def _grouped(listed: Sequence[_Listed]) -> list[dict[int, _Listed]]:
    """What one command asks for together; a message of which only the headers are read is alone."""
    groups: list[dict[int, _Listed]] = []
    room = 0
    for one in listed:
        room -= one.size
        if not groups or room < 0 or one.size > MAX_BYTES:
            groups.append({})
            room = COMMAND_BYTES - one.size
        groups[-1][one.uid] = one
    return groups


def _listed(items: imap.Items) -> _Listed | None:
    uid = _number(items.get(b"UID"))
    if not uid:
        return None
    return _Listed(uid, _number(items.get(b"RFC822.SIZE")), _instant(items.get(b"INTERNALDATE")))


def _message(one: _Listed, raw: bytes, *, cut: bool) -> Message:
    if not cut:
        return Message(one.uid, raw, one.size, one.received)
    head = raw[:HEADER_BYTES].partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
    note = f"The message has {max(one.size, len(raw)):,} bytes, more than {MAX_BYTES:,}: only its headers were read."
    return Message(one.uid, head, one.size, one.received, note=note)


def _number(text: bytes | None) -> int:
    return int(text) if text and text.isdigit() and len(text) < 20 else 0


def _instant(text: bytes | None) -> datetime | None:
    try:
        return email.utils.parsedate_to_datetime((text or b"").decode("ascii")).astimezone(UTC)
    except ValueError:
        return None


def _bad(message: str) -> errors.BadSetting:
    return errors.BadSetting(
        message, hint="It looks like imaps://me%40example.com@imap.example.com/INBOX; the password is asked for apart."
    )
