"""Mails out of a mailbox become slots: each once, however often it is found, moved or numbered anew.

The slots of a batch and the cursor are one transaction. One worker at a time watches a mailbox; it holds a lease on
the trigger's row, without which nothing is written.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from pocketlet import errors
from pocketlet.agents.triggers import loops, stored
from pocketlet.agents.waking import conditions, mails, slots
from pocketlet.db import ending, pool, queries
from pocketlet.platform import identity, messages, notices, vault
from pocketlet.platform.gateways import mailbox, naming, origin

Q = queries.load("mailboxes")
log = logging.getLogger(__name__)

AT_ONCE = 50  # mails of one transaction
LEASE = 120.0  # seconds that a watcher has until it must tell that it is still there
WAIT = 40.0  # seconds of one wait for mail, after which the lease is renewed
CLAIMS = 5.0  # seconds between two looks for mailboxes that nobody watches
MOST = 50  # mailboxes of one worker
FIRST, LONGEST = 5.0, 900.0  # seconds until a mailbox that can't be read is tried again: doubled each time
SKEW = timedelta(minutes=5)  # by which a mail server's clock may be behind ours
TOLD_AFTER = 5  # tries in a row that fail before the owner is told; a login that is refused is told at once

#: The account of a trigger, with its password. Raises errors.PocketletError.
AccountOf = Callable[[stored.Trigger], Awaitable[mailbox.Account]]


@dataclass(frozen=True, slots=True)
class Sight:
    """What is needed to judge mails. `instance`: this installation. `ask`: makes what asks DNS (naming.asking), or None
    if nobody asks who wrote them. `receiver`: the server whose word on that the owner takes (gateways.origin). `hear`:
    takes in an answer of the owner to a message of ours, in the transaction of the slots; whether it was one.
    """

    instance: str
    ask: Callable[[], naming.Ask] | None = None
    receiver: str = ""
    hear: Callable[[pool.Conn, bytes, identity.Verdict], Awaitable[bool]] | None = None


@dataclass(frozen=True, slots=True)
class _Found:
    """A mail, judged as far as that needs no transaction."""

    event: slots.Event
    marks: loops.Marks | None
    old: bool
    verdict: identity.Verdict | None = None


async def account(conn: pool.Conn, sealing_key: bytes, trigger: stored.Trigger) -> mailbox.Account:
    """The mailbox that a trigger names, with its password out of the vault.

    Raises errors.BadSetting, and what the vault raises for a secret that is not there or not granted.
    """
    spec = trigger.spec
    opened = await vault.open_for(conn, sealing_key, trigger.agent_id, spec.secrets[:1])
    pin: Any = spec.settings.get("pin", ())
    pins: list[str] = [pin] if isinstance(pin, str) else list(pin)
    return mailbox.read(spec.source, opened[spec.secrets[0]], pins)


async def drain(database: pool.Database, trigger: stored.Trigger, opened: mailbox.Account, sight: Sight) -> int:
    """Records all mails that a mailbox holds after the trigger's cursor; how many of them are due to start a run.

    The first time it only notes how far the mailbox goes: a trigger starts nothing for what lies before it.
    Raises errors.NoMailbox, errors.EgressRefused, errors.LostRun if somebody else reads it at the same time.
    """
    async with mailbox.opened(opened) as box:
        return await Reading(database, trigger, sight).read(box)


@dataclass(frozen=True, slots=True)
class Reading:
    """A mailbox on its way into slots. `worker`: who has to hold the trigger's lease; None outside of any worker."""

    database: pool.Database
    trigger: stored.Trigger
    sight: Sight
    worker: int | None = None

    async def read(self, box: mailbox.Box) -> int:
        """As `drain`, from a mailbox that is open."""
        recorded = 0
        more = True
        while more:
            place, now = await self._place()
            if not place:
                end = await box.end()
                await self._record([], place, asdict(end) | {"began": now.isoformat()})
                return 0
            began = datetime.fromisoformat(place["began"])
            batch = await box.since(mailbox.Cursor(place["uidvalidity"], place["uid"], place["known"]), AT_ONCE)
            # At once: DNS may take its time for each of them, and the lease is over some time.
            found = await asyncio.gather(*(_judged(message, began, self.sight) for message in batch.messages))
            moved = asdict(batch.cursor) | {"began": place["began"]}
            if moved != place:
                recorded += await self._record(found, place, moved)
            more = batch.more
        return recorded

    async def follow(self, opened: mailbox.Account) -> None:
        """Reads it, and again whenever mail comes. Ends with errors.NoMailbox, errors.LostRun and the like only."""
        async with mailbox.opened(opened) as box:
            while True:
                await self.read(box)
                async with self.database.api() as conn:
                    await self._reached(conn)
                await box.wait(WAIT)

    async def _reached(self, conn: pool.Conn) -> None:
        """Tells that it is still there. Raises errors.LostRun."""
        values = {"id": self.trigger.id, "worker": self.worker, "lease": LEASE}
        if await (await conn.execute(Q["renew"], values)).fetchone() is None:
            raise errors.LostRun("The mailbox is watched by another worker now.")
        await notices.resolve(conn, conditions.problem(self.trigger.id, "source"), "the mailbox can be read")

    async def _place(self) -> tuple[Mapping[str, Any], datetime]:
        """How far it was read, and the time; the lease begins anew. Raises errors.LostRun."""
        async with self.database.api() as conn:
            values = {"id": self.trigger.id, "worker": self.worker, "lease": LEASE}
            row = await (await conn.execute(Q["place"], values)).fetchone()
        if row is None:
            raise errors.LostRun("The mailbox is watched by another worker now.")
        return row["cursor"], row["now"]

    async def _record(self, found: Sequence[_Found], place: Mapping[str, Any], moved: Mapping[str, Any]) -> int:
        """The slots and the cursor, if it stands where it stood when the mails were read; how many slots are due."""
        recorded = 0
        async with self.database.api() as conn:
            await conn.execute(slots.Q["hold_agent"], {"agent": self.trigger.agent_id})
            values = {"id": self.trigger.id, "worker": self.worker}
            row = await (await conn.execute(Q["locked_place"], values)).fetchone()
            if row is None or row["cursor"] != place:
                raise errors.LostRun("The mailbox was read by another worker.")
            for one in found:
                if not one.old:
                    skip = await self._why_not(conn, one)
                    number = await mails.record(conn, self.trigger, one.event, skip)
                    recorded += number is not None and not skip
            await conn.execute(Q["move"], {"id": self.trigger.id, "cursor": pool.jsonb(dict(moved))})
        return recorded

    async def _why_not(self, conn: pool.Conn, one: _Found) -> str:
        """Why a mail starts nothing; one that can't be read is begun, and fails where it is seen."""
        if one.marks is None:
            return ""
        if await self._heard(conn, one):
            return mails.ANSWER
        sender = one.event.about["sender"]
        return await mails.why_not(conn, self.trigger, one.marks, sender, self.sight.instance)

    async def _heard(self, conn: pool.Conn, one: _Found) -> bool:
        """Whether it answers a message of ours; one that can't be taken in as such is a mail like any other."""
        if one.verdict is None or self.sight.hear is None:
            return False
        try:
            async with conn.transaction():
                return await self.sight.hear(conn, one.event.body, one.verdict)
        except errors.NoPostgres:
            raise
        except errors.PocketletError as error:
            log.warning("an answer in the mailbox of trigger %s is not taken in: %s", self.trigger.id, error)
            return False


async def _judged(message: mailbox.Message, began: datetime, sight: Sight) -> _Found:
    """What can be said of a mail without the database."""
    about: dict[str, Any] = {"uid": message.uid, "sender": "", "subject": "", "note": message.note}
    old = message.known and message.received is not None and message.received < began - SKEW
    try:
        marks = loops.marks(message.raw)
        mail = messages.parse(loops.head(message.raw))
    except errors.BadInput:
        return _Found(slots.Event(slots.key_of("", message.raw), message.raw, about), None, old)
    about |= {"sender": mail.sender.lower(), "subject": mail.subject}
    verdict = None
    if sight.ask is not None and not old and mails.may_answer(message.raw, sight.instance):
        verdict = await origin.check(message.raw, origin.Hop(trusted_receiver=sight.receiver), sight.ask())
        about |= {"origin": asdict(verdict)}
    return _Found(slots.Event(slots.key_of(mail.message_id, message.raw), message.raw, about), marks, old, verdict)


@asynccontextmanager
async def watching(database: pool.Database, worker: int, account_of: AccountOf, sight: Sight) -> AsyncGenerator[None]:
    """Mailboxes that nobody watches are watched by this worker while the block lasts, each by a task of its own."""
    tasks: dict[int, asyncio.Task[None]] = {}
    keeper = asyncio.create_task(_keep(database, worker, account_of, sight, tasks))
    try:
        yield
    finally:
        await ending.end([keeper])  # it begins no more of them
        await ending.end(tasks.values())


async def _keep(
    database: pool.Database, worker: int, account_of: AccountOf, sight: Sight, tasks: dict[int, asyncio.Task[None]]
) -> None:
    while True:
        try:
            for trigger in await claim(database, worker, MOST - len(tasks), tuple(tasks)):
                reading = Reading(database, trigger, sight, worker)
                tasks[trigger.id] = asyncio.create_task(watch(reading, account_of))
            if len(tasks) >= MOST:
                await _full(database)
        except (errors.PocketletError, pool.DatabaseError) as error:
            log.warning("mailboxes are looked for again later: %s", pool.first_line(error))
        await asyncio.sleep(CLAIMS)
        for number in [number for number, task in tasks.items() if task.done()]:
            del tasks[number]


async def _full(database: pool.Database) -> None:
    """Tells the owner of mailboxes that no worker has room for."""
    async with database.api() as conn:
        row = await (await conn.execute(Q["unwatched"])).fetchone()
        if row is None or not row["mailboxes"]:
            await notices.resolve(conn, "mailboxes:unwatched", "all are watched")
            return
        title = f"{row['mailboxes']} mailboxes are watched by nobody: a worker watches {MOST} at most."
        hint = "Start one more worker: `pocketlet up --role worker`."
        await notices.report(conn, notices.Notice("mailboxes:unwatched", title, hint, count=1))


async def claim(database: pool.Database, worker: int, most: int, watched: Sequence[int] = ()) -> list[stored.Trigger]:
    """Mailboxes that nobody watches and whose time has come: this worker's, for LEASE seconds.

    `watched`: triggers that it watches already; a server that is slow must not make it open one twice.
    """
    async with database.api() as conn:
        values = {"worker": worker, "lease": LEASE, "limit": most, "watched": list(watched)}
        return [stored.trigger(row) for row in await (await conn.execute(Q["claim"], values)).fetchall()]


async def watch(reading: Reading, account_of: AccountOf) -> None:
    """Follows a mailbox whose lease this worker has, until that is lost or the mailbox can't be read.

    Then it is let go, and claimed again when the pause is over, which grows with each failure. Never raises one of
    errors.PocketletError.
    """
    try:
        await reading.follow(await account_of(reading.trigger))
    except errors.LostRun as error:
        log.info("mailbox of trigger %s: %s", reading.trigger.id, error)
    except (errors.PocketletError, pool.DatabaseError) as error:
        await _put_off(reading, error)
    finally:
        with contextlib.suppress(errors.PocketletError, pool.DatabaseError):
            await _let_go(reading)


async def _put_off(reading: Reading, error: Exception) -> None:
    """Notes a failure, and tells the owner, once however often it happens, of one that lasts."""
    said = pool.first_line(error)
    log.warning("mailbox of trigger %s: %s", reading.trigger.id, said)
    lasting = not isinstance(error, errors.NoMailbox | errors.NoPostgres | pool.DatabaseError)
    lasting = lasting or isinstance(error, errors.MailboxLogin)
    values = {"id": reading.trigger.id, "worker": reading.worker, "first": LONGEST if lasting else FIRST}
    with contextlib.suppress(errors.PocketletError, pool.DatabaseError):
        async with reading.database.api() as conn:
            row = await (await conn.execute(Q["failed"], values | {"most": LONGEST})).fetchone()
            if row is None or not (lasting or row["failures"] >= TOLD_AFTER):
                return
            hint = error.hint if isinstance(error, errors.PocketletError) else ""
            problem = conditions.problem(reading.trigger.id, "source")
            title = f"Trigger {reading.trigger.name} can't read its mailbox: {said}"
            await notices.report(conn, notices.Notice(problem, title, hint, reading.trigger.agent_id))


async def _let_go(reading: Reading) -> None:
    async with reading.database.api() as conn:
        await conn.execute(Q["let_go"], {"id": reading.trigger.id, "worker": reading.worker})
