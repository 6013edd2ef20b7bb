"""Reading a mailbox: a real mail server (Dovecot) that is restarted, renumbered and moved around in."""

import asyncio
import contextlib
import imaplib
import tracemalloc
from collections.abc import Iterator

import pytest

import dovecot
from pocketlet import errors
from pocketlet.platform.gateways import mailbox

SECONDS = 60


@pytest.fixture
def server() -> Iterator[dovecot.Dovecot]:
    """The mail server, with an empty mailbox."""
    if dovecot.missing():
        pytest.skip("`make system-deps` installs Dovecot; continuous integration has it")
    with dovecot.running() as running:
        yield running


@contextlib.contextmanager
def other_client(server: dovecot.Dovecot) -> Iterator[imaplib.IMAP4]:
    """A mail program of the owner, who reads the same mailbox."""
    with imaplib.IMAP4("127.0.0.1", server.account.port) as client:
        client.authenticate("PLAIN", lambda _: f"\0{dovecot.USER}\0{dovecot.PASSWORD}".encode())
        client.select()
        yield client


async def everything(box: mailbox.Box, cursor: mailbox.Cursor, limit: int = 100) -> list[mailbox.Message]:
    """All that comes after a cursor."""
    found: list[mailbox.Message] = []
    more = True
    while more:
        batch = await box.since(cursor, limit)
        assert len(batch.messages) <= limit
        found += batch.messages
        cursor, more = batch.cursor, batch.more
    return found


async def test_what_arrives_is_told_at_once_and_stays_unread(server: dovecot.Dovecot) -> None:
    async with mailbox.opened(server.account) as box:
        start = await box.end()
        waiting = asyncio.create_task(box.wait(SECONDS))
        await asyncio.sleep(0)
        server.deliver(dovecot.mail(1))
        assert await waiting
        batch = await box.since(start, 10)
        assert [message.raw for message in batch.messages] == [dovecot.mail(1).replace(b"\n", b"\r\n")]
        assert batch.messages[0].received is not None
        assert not batch.rescan
        assert not batch.more
        assert not await box.wait(0.0)
        assert not (await box.since(batch.cursor, 10)).messages
    with other_client(server) as client:
        assert client.search(None, "UNSEEN") == ("OK", [b"1"])


async def test_reading_does_not_depend_on_what_the_owner_has_read(server: dovecot.Dovecot) -> None:
    for number in range(3):
        server.deliver(dovecot.mail(number))
    with other_client(server) as client:
        client.store("1:2", "+FLAGS", r"(\Seen)")
    async with mailbox.opened(server.account) as box:
        assert len((await box.since(mailbox.Cursor(), 10)).messages) == 3


async def test_a_mail_that_goes_and_comes_back_has_a_new_number(server: dovecot.Dovecot) -> None:
    server.deliver(dovecot.mail(1))
    server.deliver(dovecot.mail(2))
    async with mailbox.opened(server.account) as box:
        first = await box.since(mailbox.Cursor(), 10)
        with other_client(server) as client:
            client.create("Later")
            client.uid("MOVE", "1", "Later")
            assert not (await box.since(first.cursor, 10)).messages
            client.select("Later")
            client.uid("MOVE", "1", "INBOX")
        assert await box.wait(SECONDS)
        again = await box.since(first.cursor, 10)
        assert [message.uid for message in again.messages] == [3]
        assert again.messages[0].raw == first.messages[0].raw
        assert [message.uid for message in await everything(box, mailbox.Cursor())] == [2, 3]


async def test_a_mail_that_was_delivered_twice_is_there_twice(server: dovecot.Dovecot) -> None:
    server.deliver(dovecot.mail(1))
    server.deliver(dovecot.mail(1))
    async with mailbox.opened(server.account) as box:
        batch = await box.since(mailbox.Cursor(), 10)
    assert len({message.raw for message in batch.messages}) == 1
    assert len(batch.messages) == 2


async def test_new_numbers_mean_that_all_is_read_again(server: dovecot.Dovecot) -> None:
    for number in range(5):
        server.deliver(dovecot.mail(number))
    async with mailbox.opened(server.account) as box:
        old = (await box.since(mailbox.Cursor(), 10)).cursor
    server.stop()
    server.renumber(old.uidvalidity + 1)
    server.start()
    async with mailbox.opened(server.account) as box:
        assert (await box.end()).uidvalidity == old.uidvalidity + 1
        first = await box.since(old, 3)
        assert (first.rescan, first.more, len(first.messages)) == (True, True, 3)
        server.deliver(dovecot.mail(9))
        assert await box.wait(SECONDS)
        second = await box.since(first.cursor, 2)
        assert second.rescan
        third = await box.since(second.cursor, 10)
        assert [message.known for batch in (first, second, third) for message in batch.messages] == [True] * 5 + [False]
        assert not third.rescan
        assert not (await box.since(third.cursor, 10)).rescan


async def test_a_restart_in_the_middle_loses_and_repeats_nothing(server: dovecot.Dovecot) -> None:
    for number in range(6):
        server.deliver(dovecot.mail(number))
    async with mailbox.opened(server.account) as box:
        first = await box.since(mailbox.Cursor(), 3)
        waiting = asyncio.create_task(box.wait(SECONDS))
        server.stop()
        with pytest.raises(errors.NoMailbox):
            await waiting
        with pytest.raises(errors.NoMailbox):
            await box.since(first.cursor, 3)
        with pytest.raises(errors.NoMailbox):
            await box.wait(SECONDS)
    with pytest.raises(errors.NoMailbox) as caught:
        async with mailbox.opened(server.account):
            pass
    assert not isinstance(caught.value, errors.MailboxLogin)
    server.start()
    async with mailbox.opened(server.account) as box:
        rest = await box.since(first.cursor, 10)
    assert [message.uid for batch in (first, rest) for message in batch.messages] == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("change", [{"password": "hunter2"}, {"user": "nobody"}, {"folder": "Nowhere"}])
async def test_what_the_server_refuses_somebody_has_to_mend(server: dovecot.Dovecot, change: dict[str, str]) -> None:
    values = {"user": dovecot.USER, "password": dovecot.PASSWORD} | change
    account = mailbox.Account("127.0.0.1", server.account.port, **values, tls=False, pinned=("127.0.0.1",))
    with pytest.raises(errors.MailboxLogin) as caught:
        async with mailbox.opened(account):
            pass
    assert values["password"] not in f"{caught.value!r}{caught.value.hint}{account}"
    assert caught.value.__suppress_context__
    assert "Reconnect" in caught.value.hint


async def test_a_large_mail_is_given_as_its_headers(server: dovecot.Dovecot) -> None:
    server.deliver(dovecot.mail(1))
    server.deliver(dovecot.mail(2, body="a line of a large file\n" * 1_200_000))
    server.deliver(dovecot.mail(3))
    async with mailbox.opened(server.account) as box:
        first, large, last = (await box.since(mailbox.Cursor(), 10)).messages
    assert (first.note, last.note) == ("", "")
    assert large.size > mailbox.MAX_BYTES
    assert large.raw.endswith(b"\r\n\r\n")
    assert b"<2@customer.example>" in large.raw
    assert "only its headers" in large.note


async def test_many_mails_come_in_batches_and_each_once(server: dovecot.Dovecot) -> None:
    many = 400
    for number in range(many):
        server.deliver(dovecot.mail(number, body="x" * 20_000))
    tracemalloc.start()
    try:
        async with mailbox.opened(server.account) as box:
            cursor = mailbox.Cursor()
            uids: list[int] = []
            while (batch := await box.since(cursor, 50)).messages:
                uids += [message.uid for message in batch.messages]
                cursor = batch.cursor
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert uids == list(range(1, many + 1))
    assert peak < many * 20_000  # never all of them at once


async def test_a_batch_has_a_size(server: dovecot.Dovecot, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(7):
        server.deliver(dovecot.mail(number, body="x" * 1000))
    monkeypatch.setattr(mailbox, "BATCH_BYTES", 2500)
    monkeypatch.setattr(mailbox, "COMMAND_BYTES", 100)
    async with mailbox.opened(server.account) as box:
        assert len((await box.since(mailbox.Cursor(), 10)).messages) == 2
        assert [message.uid for message in await everything(box, mailbox.Cursor())] == [1, 2, 3, 4, 5, 6, 7]


async def test_a_stretch_without_mails_is_passed(server: dovecot.Dovecot) -> None:
    key = server.deliver(dovecot.mail(1))
    server.stop()
    server.renumber(7, {3_000_000: key})
    server.start()
    async with mailbox.opened(server.account) as box:
        assert [message.uid for message in await everything(box, mailbox.Cursor())] == [3_000_000]


async def test_leaving_while_it_waits_closes_the_connection(server: dovecot.Dovecot) -> None:
    async def watching() -> None:
        async with mailbox.opened(server.account) as box:
            ready.set()
            await box.wait(SECONDS)

    ready = asyncio.Event()
    task = asyncio.create_task(watching())
    await ready.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with mailbox.opened(server.account) as box:
        assert (await box.end()).uid == 0
