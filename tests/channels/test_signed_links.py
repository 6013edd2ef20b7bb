"""A signed link answers one question once: not after its time, not for other bytes, not made by anybody else."""

import asyncio
import dataclasses
import hashlib

import outside_http
import owner_ground
import pytest
from mail_server import MailServer
from scripted_model import finishes, mails
from test_ways_out import found_in_rows
from workshop import CUSTOMER, Workshop, mail

from pocketlet import errors
from pocketlet.agents import approving, links
from pocketlet.db import pool
from pocketlet.platform.gateways import submission

BASE = "https://pocketlet.example"


@dataclasses.dataclass
class Asked:
    """A run that waits for a word on a mail, and the key of links."""

    shop: Workshop
    run: int
    approval: int
    key: bytes

    async def make(self) -> str:
        async with self.shop.database.api() as conn:
            return await links.make(conn, self.key, self.approval)

    async def use(self, token: str, *, yes: bool = True, because: str = "") -> approving.Decided:
        async with self.shop.database.api() as conn:
            return await links.use(conn, self.key, token, yes=yes, because=because)

    async def refused(self, token: str, kind: type[errors.PocketletError], match: str) -> None:
        """Neither looking nor answering works."""
        async with self.shop.database.api() as conn:
            with pytest.raises(kind, match=match) as raised:
                await links.view(conn, self.key, token)
        assert raised.value.hint
        with pytest.raises(kind, match=match):
            await self.use(token)


async def ask(ground: owner_ground.Ground, shop: Workshop, number: int = 1) -> Asked:
    shop.says(mails(CUSTOMER, "Dear Ann."), finishes())
    run = await shop.run(mail(number=number))
    return Asked(shop, run, (await shop.question(run))["approval"], links.key(ground.post.home))


async def test_looking_decides_nothing_and_a_yes_sends_what_was_shown(
    ground: owner_ground.Ground, shop: Workshop
) -> None:
    asked = await ask(ground, shop)
    token = await asked.make()
    for _ in range(3):
        async with shop.database.api() as conn:
            shown = await links.view(conn, asked.key, token)
    assert (shown["approval"], shown["body"].strip(), shown["to"]) == (asked.approval, "Dear Ann.", CUSTOMER)
    assert (await asked.use(token)).run == asked.run
    assert await shop.advance(asked.run) == "done"
    assert [sent.get_payload(decode=True) for sent in shop.mail.taken()] == [b"Dear Ann.\n"]
    await asked.refused(token, errors.Conflict, "used already")


async def test_a_no_goes_with_its_reason_and_all_other_links_end(ground: owner_ground.Ground, shop: Workshop) -> None:
    asked = await ask(ground, shop)
    one, two = await asked.make(), await asked.make()
    await asked.use(one, yes=False, because="Too short.")
    assert await shop.advance(asked.run) == "done"
    assert shop.mail.taken() == []
    await asked.refused(two, errors.Conflict, "refused already")


async def test_of_two_that_use_a_link_at_once_one_counts(ground: owner_ground.Ground, shop: Workshop) -> None:
    asked = await ask(ground, shop)
    token = await asked.make()
    found = await asyncio.gather(*(asked.use(token, yes=yes) for yes in (True, False, True)), return_exceptions=True)
    assert sum(isinstance(one, approving.Decided) for one in found) == 1
    assert sum(isinstance(one, errors.Conflict) for one in found) == 2


async def test_forged_links_are_none(ground: owner_ground.Ground, shop: Workshop) -> None:
    asked, other = await ask(ground, shop), await ask(ground, shop, 2)
    token, strange = await asked.make(), await other.make()
    number, _, code = token.partition(".")
    flipped = code[:-2] + ("A" if code[-2] != "A" else "B") + code[-1]
    stranger = hashlib.sha256(b"another key").digest()
    async with shop.database.api() as conn:
        elsewhere = await links.make(conn, stranger, asked.approval)
    forged = [f"{number}.{flipped}", f"{number}.{strange.partition('.')[2]}", elsewhere, f"{number}.", "", "x" * 500]
    forged += [f"999999.{code}", f"{number}.{code}x", f" {token}", f"{int(number):020}.{code}", f"{number}.{'A' * 43}"]
    for one in forged:
        await asked.refused(one, errors.Refused, "not one of ours")
    await asked.use(token)


async def test_a_row_that_was_changed_is_no_link(ground: owner_ground.Ground, shop: Workshop) -> None:
    asked, other = await ask(ground, shop), await ask(ground, shop, 2)
    token = await asked.make()
    query = "UPDATE pocketlet.link SET {} WHERE approval_id = %s"
    for change in (
        "expires_at = expires_at + interval '1 year'",
        f"approval_id = {other.approval}",
        "request_hash = 'x'",
        "purpose = 'more'",
        "nonce = 'x'",
    ):
        async with shop.database.setup() as conn, conn.transaction(force_rollback=True):
            await conn.execute(query.format(change).encode(), [asked.approval])
            with pytest.raises(errors.Refused, match="not one of ours"):
                await links.use(conn, asked.key, token, yes=True)


async def test_another_text_than_the_one_that_was_asked_for_is_refused(
    ground: owner_ground.Ground, shop: Workshop
) -> None:
    asked = await ask(ground, shop)
    token = await asked.make()
    await shop.change("UPDATE pocketlet.effect SET request_hash = 'x' WHERE run_id = %s", asked.run)
    await asked.refused(token, errors.Refused, "has changed since")


async def test_a_link_ends_with_its_question(ground: owner_ground.Ground, shop: Workshop) -> None:
    asked = await ask(ground, shop)
    token = await asked.make()
    await ground.passed(days=8)
    await asked.refused(token, errors.Conflict, "expired")
    with pytest.raises(errors.Conflict, match="waits no more"):
        await asked.make()


async def test_messages_carry_a_link_that_no_row_has(
    ground: owner_ground.Ground, shop: Workshop, mail_server: MailServer, bot: outside_http.Telegram
) -> None:
    server = submission.read(mail_server.url_with_sent)
    ground.post = dataclasses.replace(ground.post, url=f"{BASE}/", server=server)
    await ground.mail()
    await ground.telegram(bot)
    asked = await ask(ground, shop)
    bot.faults.append((500, {}))  # Telegram may have taken it
    assert await ground.tell() == 1
    [letter] = owner_ground.letters(mail_server)
    text = letter.get_content()
    [url] = [word for word in text.split() if word.startswith(BASE)]
    token = url.removeprefix(links.url(BASE, ""))
    number, _, code = token.partition(".")
    assert await found_in_rows(ground, code) == []
    assert hashlib.sha256(token.encode()).digest() in await digests(shop.database, int(number))
    await asked.use(token)
    await ground.passed(hours=1)
    await ground.tell()
    subjects = [letter["Subject"] for letter in owner_ground.letters(mail_server)]
    assert [subject for subject in subjects if "asks" in subject] == subjects[:1]
    assert "channel telegram does not work" in subjects[1]


async def digests(database: pool.Database, number: int) -> list[bytes]:
    async with database.api() as conn:
        rows = await (await conn.execute(b"SELECT digest FROM pocketlet.link WHERE id = %s", [number])).fetchall()
    return [bytes(row["digest"]) for row in rows]


async def test_a_message_that_is_tried_again_carries_the_same_link(ground: owner_ground.Ground, shop: Workshop) -> None:
    channel = await ground.mail()
    asked = await ask(ground, shop)
    async with shop.database.api() as conn:
        query = b"""INSERT INTO pocketlet.delivery (channel_id, subject, telling, kind, class, title, body)
                    VALUES (%s, 'x', 1, 'approval', 'unsafe', 'x', 'x') RETURNING id"""
        row = await (await conn.execute(query, [channel.id])).fetchone()
        assert row
        one = await links.make(conn, asked.key, asked.approval, delivery=row["id"])
        assert one == await links.make(conn, asked.key, asked.approval, delivery=row["id"])
    assert one != await asked.make()


async def test_the_key_of_links_is_not_the_sealing_key(ground: owner_ground.Ground) -> None:
    sealing = (ground.post.home / "key").read_bytes()
    derived = links.key(ground.post.home)
    assert len(derived) == 32
    assert derived not in sealing
    assert sealing[:32] not in derived
