"""Two agents that write to each other stop, whatever a server on the way takes out of their mails."""

import dataclasses
import re
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import workshop as workshops
from mail_server import MailServer
from scripted_model import ScriptedModel, finishes
from scripted_model import mails as writes

from pocketlet.agents.triggers import loops
from pocketlet.agents.waking import mails
from pocketlet.db import pool
from pocketlet.platform import installation
from pocketlet.platform.gateways import reception

MORE = """approvals = {{send_mail = "allow", recipients = ["{other}@talk.example"]}}

[triggers]
mail = "{name}@talk.example"
"""
Transit = Callable[[bytes], bytes]


def as_it_is(raw: bytes) -> bytes:
    """A server that changes nothing."""
    return raw


def without_its_mark(raw: bytes) -> bytes:
    """A server that takes Auto-Submitted out."""
    return re.sub(rb"(?m)^Auto-Submitted:.*\r\n", b"", raw)


def with_another_id(raw: bytes) -> bytes:
    """A server that gives every mail a Message-ID of its own."""
    return re.sub(rb"(?m)^Message-ID: <(.*)@.*>", rb"Message-ID: <\1@relay.example>", raw)


def with_neither(raw: bytes) -> bytes:
    """One that does both: only the count of mails is left."""
    return with_another_id(without_its_mark(raw))


@dataclasses.dataclass
class Talk:
    """Two desks, each of which answers whatever comes. `said`: their mails, as they were sent."""

    desks: tuple[workshops.Workshop, workshops.Workshop]
    said: list[bytes]

    async def until_it_ends(self) -> None:
        """Takes every run of both as far as it goes, until there is none left to take."""
        while queued := await self._queued():
            for desk, run in queued:
                await desk.advance(run)

    async def _queued(self) -> list[tuple[workshops.Workshop, int]]:
        query = "SELECT id FROM pocketlet.run WHERE agent_id = %s AND state = 'queued' ORDER BY id"
        return [(desk, row["id"]) for desk in self.desks for row in await desk.rows(query, desk.agent.id)]


@pytest.fixture
async def open_talk(
    db: pool.Database, model: ScriptedModel, mail_server: MailServer, tmp_path: Path
) -> AsyncGenerator[Callable[[Transit], Awaitable[Talk]]]:
    """`await open_talk(transit)`: their mail server hands every mail to the other's listener, by way of `transit`."""
    async with _Opener(db, model, mail_server, tmp_path).opening() as opener:
        yield opener.open


@dataclasses.dataclass
class _Opener:
    database: pool.Database
    model: ScriptedModel
    mail_server: MailServer
    folder: Path
    desks: list[workshops.Workshop] = dataclasses.field(default_factory=list[workshops.Workshop])
    transit: Transit = as_it_is
    said: list[bytes] = dataclasses.field(default_factory=list[bytes])
    port: int = 0

    @asynccontextmanager
    async def opening(self) -> AsyncGenerator["_Opener"]:
        async with reception.listening(0, self._knows, self._accept) as self.port:
            yield self
        for desk in self.desks:
            await workshops.close_workshop(desk)

    async def open(self, transit: Transit) -> Talk:
        self.transit = transit
        names = workshops.fresh_name(), workshops.fresh_name()
        for name, other in (names, names[::-1]):
            await self._open_desk(name, other)
        return Talk((self.desks[0], self.desks[1]), self.said)

    async def _open_desk(self, name: str, other: str) -> None:
        folder = workshops.write_folder(self.folder / name, name, MORE.format(name=name, other=other))
        manifest = folder / "agent.toml"
        manifest.write_text(manifest.read_text().replace("shop@shop.example", f"{name}@talk.example"))
        desk = await workshops.open_workshop(self.database, folder, self.model, self.mail_server)
        async with self.database.api() as conn:
            instance = await installation.identity(conn)
        desk.engine = dataclasses.replace(desk.engine, instance=instance)
        desk.reach(f"smtp://127.0.0.1:{self.port}")
        desk.says(writes(f"{other}@talk.example", "Thank you! What else can I do for you?"), finishes())
        self.desks.append(desk)

    async def _knows(self, address: str) -> bool:
        async with self.database.api() as conn:
            return await mails.trigger_of(conn, address) is not None

    async def _accept(self, address: str, raw: bytes) -> None:
        self.said.append(raw)
        async with self.database.api() as conn:
            await mails.accept(conn, address, self.transit(raw))


OpenTalk = Callable[[Transit], Awaitable[Talk]]


@pytest.mark.parametrize("transit", [as_it_is, without_its_mark, with_another_id])
async def test_two_agents_that_write_to_each_other_stop(open_talk: OpenTalk, transit: Transit) -> None:
    talk = await open_talk(transit)
    one, other = talk.desks
    opening = workshops.mail("Tell each other how it goes.", sender=f"{other.name}@talk.example")
    async with one.database.api() as conn:
        assert await mails.accept(conn, f"{one.name}@talk.example", opening)
    await talk.until_it_ends()
    assert len(talk.said) == 1  # two messages with the one that a person wrote
    assert b"Auto-Submitted: auto-replied" in talk.said[0]
    [slot] = await other.rows("SELECT state, reason, run_id FROM pocketlet.slot WHERE agent_id = %s", other.agent.id)
    assert (slot["state"], slot["run_id"], bool(slot["reason"])) == ("skipped", None, True)


async def test_an_agent_that_begins_the_talk_itself_gets_no_answer(open_talk: OpenTalk) -> None:
    talk = await open_talk(as_it_is)
    one, other = talk.desks
    await one.advance(await one.create(b"Ask the other desk how it goes."))
    await talk.until_it_ends()
    assert len(talk.said) == 1
    assert b"Auto-Submitted: auto-generated" in talk.said[0]
    assert await other.rows("SELECT FROM pocketlet.run WHERE agent_id = %s", other.agent.id) == []


async def test_without_any_mark_left_the_number_of_mails_in_an_hour_ends_it(open_talk: OpenTalk) -> None:
    talk = await open_talk(with_neither)
    one, other = talk.desks
    opening = workshops.mail("Go on.", sender=f"{other.name}@talk.example")
    async with one.database.api() as conn:
        await mails.accept(conn, f"{one.name}@talk.example", opening)
    await talk.until_it_ends()
    assert len(talk.said) <= 2 * loops.MOST
    slot = await one.row("SELECT reason FROM pocketlet.slot WHERE agent_id = %s ORDER BY id DESC", one.agent.id)
    assert "in an hour" in slot["reason"]
