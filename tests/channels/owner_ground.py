"""An owner with channels: adds them, lets time pass, and sees what was told."""

import dataclasses
import email.policy
import re
from datetime import timedelta
from email.message import EmailMessage
from typing import TYPE_CHECKING, Any

import outside_http

from pocketlet.agents import telling
from pocketlet.db import pool
from pocketlet.platform import notices, vault
from pocketlet.platform.channels import definitions, opening

if TYPE_CHECKING:
    from mail_server import MailServer

OWNER = "owner@home.example"


def letters(server: "MailServer") -> list[EmailMessage]:
    """The mails to the owner, as they were sent; a Maildir has no order of its own."""
    found = [email.message_from_bytes(one.as_bytes(), policy=email.policy.default) for one in server.taken()]
    ours = [(re.search(r"notice-(\d+)-", one["Message-ID"]), one) for one in found]
    return [
        one for match, one in sorted(((int(match[1]), one) for match, one in ours if match), key=lambda row: row[0])
    ]


@dataclasses.dataclass
class Ground:
    """`post` is what the worker gives; `passed` turns the one clock."""

    database: pool.Database
    post: opening.Post
    clock: Any

    async def seal(self, name: str, value: str) -> None:
        """A secret in the vault."""
        async with self.database.api() as conn:
            await vault.put(conn, vault.key(self.post.home), name, value)

    async def add(self, kind: str, address: str, **more: Any) -> definitions.Definition:
        """A channel of this kind, named by it unless a name is given."""
        draft = definitions.Definition(**{"name": kind, "kind": kind, "address": address} | more)
        async with self.database.api() as conn:
            return await definitions.add(conn, draft)

    async def webhook(self, server: outside_http.Receiver, **more: Any) -> definitions.Definition:
        """The receiver as a signed channel."""
        await self.seal("HOOK_KEY", outside_http.SECRET)
        known = {"secret": "HOOK_KEY", "pinned": ("127.0.0.1",)}
        return await self.add("webhook", f"{server.url}/in?room=7&way=a%20b", **known | more)

    async def telegram(self, server: outside_http.Telegram, **more: Any) -> definitions.Definition:
        """The bot as a channel."""
        await self.seal("BOT", outside_http.TOKEN)
        known = {"base_url": server.url, "pinned": ("127.0.0.1",), "secret": "BOT"}
        return await self.add("telegram", str(outside_http.CHAT), **known | more)

    async def mail(self, **more: Any) -> definitions.Definition:
        """Mail to the owner, from an address that takes answers."""
        return await self.add("mail", OWNER, **{"sender": "desk@shop.example"} | more)

    async def report(self, problem: str = "slot:1:failed", title: str = "The backup failed.", **more: Any) -> int:
        """Something goes wrong."""
        async with self.database.api() as conn:
            return await notices.report(conn, notices.Notice(problem, title, **more))

    async def resolve(self, problem: str = "slot:1:failed") -> None:
        """It is over by itself."""
        async with self.database.api() as conn:
            await notices.resolve(conn, problem, "it worked again")

    async def tell(self) -> int:
        """One round."""
        return await telling.tell(self.database, self.post)

    async def passed(self, **time: float) -> None:
        """Time goes by, and nobody looks."""
        await self.clock.turn(timedelta(**time))

    async def rows(self, query: str, *values: Any) -> list[dict[str, Any]]:
        """Rows of the platform's own tables."""
        async with self.database.api() as conn:
            return list(await (await conn.execute(query.encode(), values)).fetchall())

    async def states(self) -> list[tuple[str, int, str]]:
        """Every delivery: subject, telling, state."""
        rows = await self.rows("SELECT subject, telling, state FROM pocketlet.delivery ORDER BY id")
        return [(row["subject"], row["telling"], row["state"]) for row in rows]

    async def notices(self) -> list[dict[str, Any]]:
        """What is open."""
        async with self.database.api() as conn:
            return await notices.standing(conn)

    async def change(self, statement: str, *values: Any) -> int:
        """Changes rows behind the code's back; how many."""
        async with self.database.api() as conn:
            return (await conn.execute(statement.encode(), values)).rowcount
