"""The work that comes in while processes die: mails, deliveries and schedules, the owner's word, and corrections."""

import asyncio
import contextlib
import itertools
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Any

import aiosmtplib
from bench.chaos import ground as grounds
from bench.effects import postbox

from pocketlet import errors
from pocketlet.agents import approving, revisions
from pocketlet.agents.waking import slots
from pocketlet.db import pool
from pocketlet.learning import feedback, kinds
from pocketlet.platform import messages, signatures

MAILS = 50_000_000  # the numbers of mails that answer begin here
OPEN = "SELECT count(*)::int AS n FROM pocketlet.run WHERE agent_id = %s AND state IN ('queued', 'running', 'waiting')"
DONE = """
SELECT r.id FROM pocketlet.run r JOIN pocketlet.slot s ON s.run_id = r.id
 WHERE s.key = %s AND s.agent_id = %s AND r.state IN ('done', 'stopped')
"""
RESET = "UPDATE pocketlet.cases SET state = 'candidate', passes = 0, model = NULL, accepted = false WHERE run_id = %s"
#: What the owner is told to try again: most of these were set apart, as workers died with them at one step.
AGAIN = "SELECT id FROM pocketlet.run WHERE state = 'failed' AND kind IN ('run', 'manager')"
COMMENT = "Never promise a delivery date; offer 10 % if it is more than 7 days late."


@dataclass
class Load:
    """`mails` and `deliveries` are those that were taken, by the key of their slot. `most`: runs open at once."""

    ground: grounds.Ground
    most: int = 14
    mails: set[str] = field(default_factory=set[str])
    deliveries: set[str] = field(default_factory=set[str])
    answered: int = 0
    doubts: int = 0
    retried: list[str] = field(default_factory=list[str])
    corrected: int = 0
    open: bool = True
    _numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    def __post_init__(self) -> None:
        self._turns = itertools.cycle((self.mail, self.deliver))

    async def feed(self) -> None:
        """Mails and deliveries in turn, as many as keep the workers busy, until the doors are closed."""
        while self.open:
            (row,) = await self.ground.rows(OPEN, self.ground.agent.id)
            for _ in range(max(0, self.most - int(str(row["n"])))):
                await next(self._turns)()
            await asyncio.sleep(0.2)

    async def mail(self) -> None:
        """Hands one mail over, as often as it takes until the listener says that it has it."""
        message = EmailMessage()
        number = next(self._numbers)
        message["From"], message["To"] = f"Ann Lee <{postbox.recipient(MAILS + number, 0)}>", "desk@chaos.example"
        message["Subject"], message["Message-ID"] = "Work", f"<work-{number}@customer.example>"
        message.set_content(f"Please do it. effects={self.ground.effects}")
        raw = message.as_bytes()
        if await self._handed_over(raw, "desk@chaos.example"):
            self.mails.add(_key(messages.parse(raw).message_id))

    async def _handed_over(self, raw: bytes, to: str) -> bool:
        while self.open:
            with contextlib.suppress(aiosmtplib.SMTPException, OSError):
                sender = "someone@customer.example"
                host, port = "127.0.0.1", self.ground.ports[0]
                await aiosmtplib.send(raw, sender=sender, recipients=[to], hostname=host, port=port, timeout=8)
                return True
            await asyncio.sleep(0.3)
        return False

    async def deliver(self) -> None:
        """One signed delivery, likewise."""
        identity = f"delivery-{next(self._numbers)}"
        body = json.dumps({"do": f"effects={self.ground.effects}"}).encode()
        while self.open:
            fields = signatures.sign([grounds.SECRET.encode()], identity, int(time.time()), body)
            with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError, ValueError, IndexError):
                async with asyncio.timeout(8):
                    if await post(self.ground.ports[1], "/hooks/chaos/hook", fields, body) in (200, 202):
                        self.deliveries.add(_key(identity))
                        return
            await asyncio.sleep(0.3)

    async def own(self) -> None:
        """The owner: answers what is asked, and lets what failed go on. Never ends."""
        while True:
            asked = await self.ground.again(approving.questions)
            for question in asked:
                await self._answer(question)
            for row in await self.ground.rows(AGAIN):
                await self._retry(int(str(row["id"])))
            await asyncio.sleep(0.3)

    async def _answer(self, question: Mapping[str, Any]) -> None:
        yes = question["question"] == "send"
        if not yes:
            self.doubts += 1
            about = number(question)
            await self.ground.truth.settled(about)
            yes = not self.ground.truth.done[about]
        approval = int(str(question["approval"]))
        with contextlib.suppress(errors.Conflict, errors.NotFound):
            await self.ground.again(lambda conn: approving.decide(conn, approval, yes=yes, because="it arrived"))
            self.answered += 1

    async def _retry(self, run: int) -> None:
        (row,) = await self.ground.rows("SELECT kind, error FROM pocketlet.run WHERE id = %s", run)
        self.retried.append(f"{row['kind']}: {row['error']}")
        with contextlib.suppress(errors.Conflict, errors.NotFound):
            await self.ground.again(lambda conn: kinds.retry(conn, run))

    async def correct(self) -> None:
        """The story's agent works, is corrected, learns and proves it, again and again until the doors are closed."""
        for number in itertools.count(1):
            if not self.open:
                return
            raw = self.ground.known.replace(b"Message-ID: <story-", f"Message-ID: <again-{number}-".encode())
            if not await self._handed_over(raw, "shop@crm.example"):
                return
            run = await self._done(messages.parse(raw).message_id)
            await self.ground.rows(RESET, run)
            given = await self.ground.again(lambda conn, run=run: _teach(conn, run))
            await self._until("SELECT id FROM pocketlet.feedback WHERE id = %s AND outcome IS NOT NULL", given)
            self.corrected += 1
            await self.ground.again(self._back)

    async def _done(self, identity: str) -> int:
        key, crm = _key(identity), self.ground.crm.id
        (row,) = await self._until(DONE, key, crm)
        return int(str(row["id"]))

    async def _until(self, statement: str, *values: object) -> list[dict[str, object]]:
        while True:
            if found := await self.ground.rows(statement, *values):
                return found
            await asyncio.sleep(0.3)

    async def _back(self, conn: pool.Conn) -> None:
        if (await conn.execute(b"SELECT FROM pocketlet.agent WHERE name = 'crm' AND current > 1")).rowcount:
            await revisions.decide(conn, self.ground.crm, 1, "rollback")


async def _teach(conn: pool.Conn, run: int) -> int:
    number, _ = await feedback.give(conn, run, feedback.Said("change", COMMENT))
    return number


def _key(identity: str) -> str:
    return slots.key_of(identity, b"")


def number(question: Mapping[str, Any]) -> int:
    """Which effect a question is about: its number is in the path, or in the address."""
    request = question["request"]
    if "path" in request:
        return int(request["path"].rpartition("/")[2])
    return int(request["to"].partition("@")[0].lstrip("<c"))


async def post(port: int, path: str, fields: Mapping[str, str], body: bytes) -> int:
    """The status that the receiver answers."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        lines = [
            f"POST {path} HTTP/1.1",
            f"Host: 127.0.0.1:{port}",
            f"Content-Length: {len(body)}",
            "Connection: close",
        ]
        lines += [f"{name}: {value}" for name, value in fields.items()]
        writer.write("\r\n".join((*lines, "", "")).encode() + body)
        await writer.drain()
        return int((await reader.readline()).split()[1])
    finally:
        writer.close()


def turned_back(minutes: int) -> Callable[[pool.Conn], Awaitable[object]]:
    """As if the schedules had been left alone for so many minutes: all that they name since then is due at once."""
    statement = (
        "UPDATE pocketlet.trigger SET watermark = watermark - make_interval(mins => %s), next_at = pocketlet.now()"
        " WHERE kind = 'schedule'"
    )
    return lambda conn: conn.execute(statement.encode(), (minutes,))
