"""A mailbox as a trigger: each mail starts one run, whatever happens to it, to the server or to the worker."""

import asyncio
import dataclasses
import imaplib
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from datetime import timedelta
from typing import Any

import pytest
import workshop as workshops

import dovecot
from pocketlet import errors
from pocketlet.agents.triggers import stored
from pocketlet.agents.waking import mailboxes, slots
from pocketlet.db import pool
from pocketlet.platform import identity, notices, queue, vault
from pocketlet.platform.gateways import mailbox

Opener = Callable[..., Awaitable[workshops.Workshop]]
SIGHT = mailboxes.Sight("0123456789abcdef")


@pytest.fixture
def server() -> Iterator[dovecot.Dovecot]:
    """The mail server, with an empty mailbox."""
    if dovecot.missing():
        pytest.skip("`make system-deps` installs Dovecot; continuous integration has it")
    with dovecot.running() as running:
        yield running


@pytest.fixture
async def shop(open_shop: Opener, server: dovecot.Dovecot) -> workshops.Workshop:
    """An agent that reads the mailbox."""
    url = f"imap://{dovecot.USER.replace('@', '%40')}@127.0.0.1:{server.account.port}/INBOX"
    return await open_shop(f'[triggers.inbox]\nmailbox = "{url}"\nsecret = "INBOX_PASSWORD"\n')


@pytest.fixture
async def workers(db: pool.Database) -> AsyncGenerator[Sequence[int]]:
    """Two workers."""
    numbers = [await queue.register(db, "worker") for _ in range(2)]
    yield numbers
    for number in numbers:
        await queue.unregister(db, number)


async def trigger_of(shop: workshops.Workshop) -> stored.Trigger:
    async with shop.database.api() as conn:
        return await stored.by_name(conn, shop.agent.id, "inbox")


async def drained(shop: workshops.Workshop, server: dovecot.Dovecot, sight: mailboxes.Sight = SIGHT) -> int:
    return await mailboxes.drain(shop.database, await trigger_of(shop), server.account, sight)


async def slots_of(shop: workshops.Workshop) -> list[dict[str, Any]]:
    return await shop.rows("SELECT * FROM pocketlet.slot WHERE agent_id = %s ORDER BY id", shop.agent.id)


async def subjects(shop: workshops.Workshop) -> list[str]:
    return [slot["about"]["subject"] for slot in await slots_of(shop)]


async def claimed(shop: workshops.Workshop, worker: int) -> list[stored.Trigger]:
    """Of the mailboxes that the worker has now, this shop's."""
    found = await mailboxes.claim(shop.database, worker, 100)
    return [trigger for trigger in found if trigger.agent_id == shop.agent.id]


async def test_what_was_there_before_starts_nothing(shop: workshops.Workshop, server: dovecot.Dovecot) -> None:
    server.deliver(dovecot.mail(1))
    assert await drained(shop, server) == 0
    server.deliver(dovecot.mail(2))
    assert await drained(shop, server) == 1
    assert await drained(shop, server) == 0
    (slot,) = await slots_of(shop)
    assert (slot["state"], slot["about"]["sender"]) == ("due", "ann@customer.example")
    assert bytes(slot["body"]) == dovecot.mail(2).replace(b"\n", b"\r\n")


async def test_each_mail_is_recorded_once_whatever_happens_to_it(
    shop: workshops.Workshop, server: dovecot.Dovecot
) -> None:
    await drained(shop, server)
    for number in (1, 2, 1):
        server.deliver(dovecot.mail(number))
    assert await drained(shop, server) == 2
    with imaplib.IMAP4("127.0.0.1", server.account.port) as client:
        client.authenticate("PLAIN", lambda _: f"\0{dovecot.USER}\0{dovecot.PASSWORD}".encode())
        client.select()
        client.create("Later")
        client.uid("MOVE", "1:3", "Later")
        assert await drained(shop, server) == 0
        client.select("Later")
        client.uid("MOVE", "1:*", "INBOX")
    assert await drained(shop, server) == 0
    no_id = dovecot.mail(4).replace(b"Message-ID: <4@customer.example>\n", b"")
    server.deliver(no_id)
    server.deliver(no_id)
    assert await drained(shop, server) == 1
    assert await subjects(shop) == ["Order 1", "Order 2", "Order 4"]


async def test_new_numbers_start_nothing_twice_and_nothing_old(
    shop: workshops.Workshop, server: dovecot.Dovecot
) -> None:
    old = server.deliver(dovecot.mail(1))
    # An hour before anybody looked: what INTERNALDATE says of it.
    server.age(old, 3600)
    await drained(shop, server)
    server.deliver(dovecot.mail(2))
    assert await drained(shop, server) == 1
    server.deliver(dovecot.mail(3))
    server.stop()
    server.renumber(77)
    server.start()
    assert await drained(shop, server) == 1
    server.deliver(dovecot.mail(4))
    assert await drained(shop, server) == 1
    assert await subjects(shop) == ["Order 2", "Order 3", "Order 4"]
    assert (await trigger_of(shop)).cursor["uidvalidity"] == 77


async def test_two_that_read_at_once_record_each_mail_once(shop: workshops.Workshop, server: dovecot.Dovecot) -> None:
    await drained(shop, server)
    for number in range(70):
        server.deliver(dovecot.mail(number).replace(b"ann@", b"%d@" % number, 1))
    found = await asyncio.gather(*(drained(shop, server) for _ in range(4)), return_exceptions=True)
    assert all(isinstance(one, int | errors.LostRun) for one in found)
    await drained(shop, server)
    assert len({slot["key"] for slot in await slots_of(shop)}) == len(await slots_of(shop)) == 70


async def test_what_a_machine_sent_is_recorded_and_starts_nothing(
    shop: workshops.Workshop, server: dovecot.Dovecot
) -> None:
    await drained(shop, server)
    server.deliver(b"Auto-Submitted: auto-replied\n" + dovecot.mail(1))
    server.deliver(b"This is no mail at all")
    assert await drained(shop, server) == 1
    first, second = await slots_of(shop)
    assert (first["state"], "automatically" in first["reason"]) == ("skipped", True)
    assert second["state"] == "due"


async def test_one_correspondent_starts_only_so_many(shop: workshops.Workshop, server: dovecot.Dovecot) -> None:
    await drained(shop, server)
    for number in range(25):
        server.deliver(dovecot.mail(number))
    server.deliver(dovecot.mail(99).replace(b"ann@", b"bob@", 1))
    assert await drained(shop, server) == 21
    assert [slot["state"] for slot in await slots_of(shop)].count("skipped") == 5
    async with shop.database.api() as conn:
        [notice] = [one for one in await notices.standing(conn) if one["agent"] == shop.name]
    assert (notice["count"], "ann@customer.example" in notice["title"]) == (5, True)
    assert "slot replay" in notice["hint"]


async def test_who_wrote_an_answer_is_kept_with_it(shop: workshops.Workshop, server: dovecot.Dovecot) -> None:
    async def ask(name: str, kind: str) -> Sequence[str]:
        return ["v=DMARC1; p=none"] if name == "_dmarc.customer.example" else []

    sight = dataclasses.replace(SIGHT, ask=lambda: ask, receiver="mx.example")
    await drained(shop, server)
    answer = f"In-Reply-To: <notice-1-x@{SIGHT.instance}.pocketlet>\n".encode()
    server.deliver(answer + dovecot.mail(1))
    passed = b"Authentication-Results: mx.example; dmarc=pass header.from=customer.example\n"
    server.deliver(passed + answer + dovecot.mail(2))
    server.deliver(dovecot.mail(3))
    await drained(shop, server, sight)
    first, second, other = [slot["about"].get("origin", {}) for slot in await slots_of(shop)]
    assert [(one["dmarc"], one["by"]) for one in (first, second)] == [("fail", ""), ("pass", "receiver")]
    assert other == {}  # a mail that answers nothing of ours is nobody's word


async def test_one_worker_watches_and_a_lost_lease_writes_nothing(
    shop: workshops.Workshop, server: dovecot.Dovecot, workers: Sequence[int], turned: Any
) -> None:
    (trigger,) = await claimed(shop, workers[0])
    assert not await claimed(shop, workers[1])
    reading = mailboxes.Reading(shop.database, trigger, SIGHT, workers[0])
    async with mailbox.opened(server.account) as box:
        await reading.read(box)
        server.deliver(dovecot.mail(1))
        await turned.turn(timedelta(seconds=mailboxes.LEASE + 1))
        assert await claimed(shop, workers[1])
        with pytest.raises(errors.LostRun):
            await reading.read(box)
        assert not await slots_of(shop)
        assert await dataclasses.replace(reading, worker=workers[1]).read(box) == 1


async def test_reading_keeps_the_lease_and_no_mailbox_is_opened_twice(
    shop: workshops.Workshop, server: dovecot.Dovecot, workers: Sequence[int], turned: Any
) -> None:
    (trigger,) = await claimed(shop, workers[0])
    reading = mailboxes.Reading(shop.database, trigger, SIGHT, workers[0])
    async with mailbox.opened(server.account) as box:
        await turned.turn(timedelta(seconds=mailboxes.LEASE - 1))
        await reading.read(box)
    await turned.turn(timedelta(seconds=mailboxes.LEASE - 1))
    assert not await claimed(shop, workers[1])
    await turned.turn(timedelta(seconds=2))
    found = await mailboxes.claim(shop.database, workers[0], 100, (trigger.id,))
    assert trigger.id not in {one.id for one in found}
    assert await claimed(shop, workers[1])


async def test_of_our_own_words_and_answers_to_them_only_the_fact_is_kept(
    shop: workshops.Workshop, server: dovecot.Dovecot
) -> None:
    async def ask(name: str, kind: str) -> Sequence[str]:
        return []

    async def hear(conn: pool.Conn, raw: bytes, verdict: identity.Verdict) -> bool:
        return b"notice-2" in raw

    sight = dataclasses.replace(SIGHT, ask=lambda: ask, hear=hear)
    await drained(shop, server)
    link = b"\nhttps://pocketlet.example/decide/1." + b"x" * 43 + b"\n"
    ours = f"<notice-1-x@{SIGHT.instance}.pocketlet>".encode()
    server.deliver(dovecot.mail(1).replace(b"<1@customer.example>", ours) + link)
    server.deliver(b"In-Reply-To: " + ours.replace(b"-1-", b"-2-") + b"\n" + dovecot.mail(2) + link)
    server.deliver(b"Precedence: bulk\n" + dovecot.mail(3))
    assert await drained(shop, server, sight) == 0
    *dropped, kept = await slots_of(shop)
    assert [(slot["state"], bytes(slot["body"])) for slot in dropped] == [("skipped", b"")] * 2
    assert b"Order 3" in bytes(kept["body"])
    async with shop.database.api() as conn:
        assert await slots.replay(conn, kept["id"])
        for slot in dropped:
            with pytest.raises(errors.Conflict, match="was not kept"):
                await slots.replay(conn, slot["id"])


async def test_a_watched_mailbox_is_followed_through_a_restart(
    shop: workshops.Workshop, server: dovecot.Dovecot, workers: Sequence[int], turned: Any
) -> None:
    async def account_of(trigger: stored.Trigger) -> mailbox.Account:
        return server.account

    async def watched() -> asyncio.Task[None]:
        (trigger,) = await claimed(shop, workers[0])
        return asyncio.create_task(
            mailboxes.watch(mailboxes.Reading(shop.database, trigger, SIGHT, workers[0]), account_of)
        )

    await drained(shop, server)
    watching = await watched()
    for number in (1, 2):
        server.deliver(dovecot.mail(number))
        while len(await slots_of(shop)) < number:
            assert not watching.done()
    server.stop()
    await watching
    server.deliver(dovecot.mail(3))
    assert not await claimed(shop, workers[0])
    await turned.turn(timedelta(seconds=mailboxes.FIRST + 1))
    server.start()
    watching = await watched()
    while len(await slots_of(shop)) < 3:
        assert not watching.done()
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    assert (await shop.row("SELECT holder FROM pocketlet.trigger WHERE agent_id = %s", shop.agent.id))["holder"] is None
    assert await subjects(shop) == ["Order 1", "Order 2", "Order 3"]


async def test_a_login_that_is_refused_is_one_notice(
    shop: workshops.Workshop, server: dovecot.Dovecot, workers: Sequence[int], turned: Any
) -> None:
    account = dataclasses.replace(server.account, password="hunter2")

    async def account_of(trigger: stored.Trigger) -> mailbox.Account:
        return account

    async def standing() -> list[dict[str, Any]]:
        async with shop.database.api() as conn:
            return [notice for notice in await notices.standing(conn) if notice["agent"] == shop.name]

    async def attempt() -> None:
        (trigger,) = await claimed(shop, workers[0])
        await mailboxes.watch(mailboxes.Reading(shop.database, trigger, SIGHT, workers[0]), account_of)

    for _ in range(3):
        await attempt()
        assert not await claimed(shop, workers[0])
        await turned.turn(timedelta(seconds=mailboxes.LONGEST + 1))
    (notice,) = await standing()
    assert "Reconnect" in notice["hint"]
    assert "hunter2" not in str(notice)
    account = server.account
    (trigger,) = await claimed(shop, workers[0])
    task = asyncio.create_task(
        mailboxes.watch(mailboxes.Reading(shop.database, trigger, SIGHT, workers[0]), account_of)
    )
    while await standing():
        assert not task.done()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_worker_finds_its_mailboxes_itself(
    shop: workshops.Workshop, server: dovecot.Dovecot, workers: Sequence[int]
) -> None:
    async def account_of(trigger: stored.Trigger) -> mailbox.Account:
        return server.account

    await drained(shop, server)
    server.deliver(dovecot.mail(1))
    async with mailboxes.watching(shop.database, workers[0], account_of, SIGHT):
        while not await slots_of(shop):
            pass
    (row,) = await shop.rows("SELECT holder FROM pocketlet.trigger WHERE agent_id = %s", shop.agent.id)
    assert row["holder"] is None


async def test_the_password_comes_from_the_vault(shop: workshops.Workshop, server: dovecot.Dovecot) -> None:
    trigger = await trigger_of(shop)
    key = vault.key(shop.engine.home)
    async with shop.database.api() as conn:
        await vault.put(conn, key, "INBOX_PASSWORD", dovecot.PASSWORD)
        with pytest.raises(errors.Refused):
            await mailboxes.account(conn, key, trigger)
        await vault.grant(conn, "INBOX_PASSWORD", shop.agent.id)
        found = await mailboxes.account(conn, key, trigger)
        await vault.remove(conn, "INBOX_PASSWORD")
    assert found == server.account


async def test_an_answer_that_can_not_be_taken_in_stops_no_mailbox(
    shop: workshops.Workshop, server: dovecot.Dovecot
) -> None:
    async def ask(name: str, kind: str) -> Sequence[str]:
        return []

    async def hear(conn: pool.Conn, raw: bytes, verdict: identity.Verdict) -> bool:
        raise errors.BadInput("more parts than can be read")

    sight = dataclasses.replace(SIGHT, ask=lambda: ask, hear=hear)
    await drained(shop, server)
    server.deliver(f"In-Reply-To: <notice-1-x@{SIGHT.instance}.pocketlet>\n".encode() + dovecot.mail(1))
    server.deliver(dovecot.mail(2))
    assert await drained(shop, server, sight) == 2
