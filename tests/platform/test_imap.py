"""Mail servers that are odd, broken or hostile: nothing hangs, nothing is believed, nothing leaves that should not."""

import asyncio
import base64
import dataclasses
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from imap_script import Script, serving
from test_wire_replies import certificate

from pocketlet import errors
from pocketlet.platform.gateways import imap, mailbox

LIST = b"UID FETCH 1:2 (UID RFC822.SIZE INTERNALDATE)"
ONE = b'* 1 FETCH (UID 1 RFC822.SIZE 20 INTERNALDATE "22-Nov-2026 10:00:00 +0100")\r\n'
BODY = b"UID FETCH 1 (UID BODY.PEEK[])"


@pytest.fixture
async def script() -> AsyncGenerator[Script]:
    """A server that does as it is told."""
    async with serving() as served:
        yield served


async def messages(script: Script) -> tuple[mailbox.Message, ...]:
    async with mailbox.opened(script.account) as box:
        return (await box.since(mailbox.Cursor(), 10)).messages


@pytest.mark.parametrize(
    ("line", "raw"),
    [
        (b"* 1 FETCH (UID 1 BODY[] {4}\r\nA: b)\r\n", b"A: b"),
        (b"* 1 FETCH (BODY[] {4}\r\nA: b UID 1 FLAGS (\\Recent (x)))\r\n", b"A: b"),
        (b'* 1 FETCH (BODY[] "a \\"b\\\\" UID 1)\r\n', b'a "b\\'),
        (b"* 1 fetch (uid 1 Body[] {0}\r\n)\r\n", b""),
        # What a mail holds is no answer of the server.
        (b"* 1 FETCH (UID 1 BODY[] {35}\r\n) UID 2\r\n* 2 FETCH (UID 2 BODY[])\r\n)\r\n", None),
        (b'* 1 FETCH (UID 1 BODY[] " UID 9 ")\r\n', b" UID 9 "),
        (b"* 5 FETCH (FLAGS (\\Seen))\r\n* 1 FETCH (UID 1 BODY[] {1}\r\nx)\r\n", b"x"),
    ],
)
async def test_answers_of_every_form_are_understood(script: Script, line: bytes, raw: bytes | None) -> None:
    script.answers |= {LIST: ONE, BODY: line}
    (message,) = await messages(script)
    assert message.uid == 1
    assert message.raw == (b") UID 2\r\n* 2 FETCH (UID 2 BODY[])\r\n" if raw is None else raw)
    assert message.received is not None
    assert message.received.hour == 9


@pytest.mark.parametrize(
    "line",
    [
        b"* 1 FETCH (UID 7 BODY[] {1}\r\nx)\r\n",  # not asked for
        b"* 1 FETCH (UID 1 BODY[] NIL BODY[] (\r\n",
        b"* 1 FETCH (FLAGS ())\r\n",
        b"",
    ],
)
async def test_a_mail_that_is_not_there_any_more_is_left_out(script: Script, line: bytes) -> None:
    script.answers |= {LIST: ONE, BODY: line}
    assert [message.raw for message in await messages(script)] in ([], [b"NIL"])


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"* 1 FETCH (UID 1 BODY[] {99999999999}\r\n", "stopped|broke|no mail server"),
        (b"* 1 FETCH (UID 1 BODY[] {2000000000}\r\n", "what no mail server answers"),
        (b"* " + b"x" * 70_000 + b"\r\n", "what no mail server answers"),
        (b"* 1 FETCH (UID 1 BODY[] {400}\r\nonly a part", "broke"),
        (b"* 1 FETCH (UID 1", "broke"),
        (b"* BYE too busy\r\n", "ended the connection"),
        (b"* 9 EXPUNGE\r\n" * 60_000, "without end"),
        (b"{1}\r\nx" * 30 + b"\r\n", "what no mail server answers"),
    ],
)
async def test_what_no_server_says_ends_the_connection(script: Script, line: bytes, said: str) -> None:
    script.answers |= {LIST: ONE, BODY: line}
    script.ends_at = BODY
    async with mailbox.opened(script.account) as box:
        with pytest.raises(errors.NoMailbox, match=said):
            await box.since(mailbox.Cursor(), 10)
        with pytest.raises(errors.NoMailbox, match="closed"):
            await box.since(mailbox.Cursor(), 10)


@pytest.mark.parametrize(
    "text",
    [
        b"* " + b"x" * 60_000 + b"\r\n",  # lines
        b"{60000}\r\n" + b"x" * 60_000,  # literals of one answer, which never ends
        b"y" * 30_000 + b"{30000}\r\n" + b"x" * 30_000,
    ],
)
async def test_an_answer_has_an_end(script: Script, monkeypatch: pytest.MonkeyPatch, text: bytes) -> None:
    monkeypatch.setattr(imap, "MOST_BYTES", 1_000_000)
    script.answers |= {LIST: text * 18}
    script.ends_at = LIST
    async with mailbox.opened(script.account) as box:
        with pytest.raises(errors.NoMailbox, match="without end"):
            await box.since(mailbox.Cursor(), 10)


async def test_mails_that_are_longer_than_they_were_said_to_be_are_not_collected(
    script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mailbox, "MOST_BYTES", 100)
    script.answers |= {LIST: ONE, BODY: b"* 1 FETCH (UID 1 BODY[] {101}\r\n" + b"y" * 101 + b")\r\n"}
    with pytest.raises(errors.NoMailbox, match="longer than the server says"):
        await messages(script)


async def test_a_mail_that_is_longer_than_it_was_said_to_be_is_cut(
    script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imap, "KEPT", 60)
    text = b"Subject: x\r\n\r\n" + b"y" * 200
    script.answers |= {LIST: ONE, BODY: b"* 1 FETCH (UID 1 BODY[] {%d}\r\n%b)\r\n" % (len(text), text)}
    (message,) = await messages(script)
    assert message.raw == b"Subject: x\r\n\r\n"
    assert "only its headers" in message.note


@pytest.mark.parametrize(
    ("greeting", "examine", "said"),
    [
        (b"* BYE no\r\n", b"", "does not want to talk"),
        (b"HTTP/1.1 400 Bad Request\r\n", b"", "does not want to talk"),
        (b"\r\n", b"", "does not want to talk"),
        (b"* OK hi\r\n", b"* 2 EXISTS\r\n", "number its messages"),
        (b"* OK hi\r\n", b"* OK [UIDVALIDITY 3] ok\r\n* OK [UIDNEXT x] ok\r\n", "number its messages"),
        (b"* OK hi\r\n", b"* OK [UIDVALIDITY 3] ok\r\n* OK [UIDNEXT 4294967296] ok\r\n", "beyond"),
        (b"* OK hi\r\n", b"* OK [UIDVALIDITY 99999999999999999999] ok\r\n* OK [UIDNEXT 3] ok\r\n", "beyond"),
    ],
)
async def test_a_server_that_is_none(script: Script, greeting: bytes, examine: bytes, said: str) -> None:
    script.greeting = greeting
    script.answers[b"EXAMINE"] = examine
    with pytest.raises(errors.NoMailbox, match=said):
        await messages(script)


async def test_news_before_the_wait_began_are_not_missed(script: Script) -> None:
    script.answers[b"IDLE"] = b"* 3 EXISTS\r\n+ idling\r\n"
    async with mailbox.opened(script.account) as box:
        assert await box.wait(60)
    script.answers[b"IDLE"] = b"+ idling\r\n* 1 EXPUNGE\r\n* 1 RECENT\r\n* 2 EXISTS\r\n"  # one went, one came
    async with mailbox.opened(script.account) as box:
        assert await box.wait(60)
    script.answers[b"IDLE"] = b"+ idling\r\n* 1 EXPUNGE\r\n* 1 EXISTS\r\n* OK Still here\r\n"
    async with mailbox.opened(script.account) as box:
        assert not await box.wait(0.05)
    assert script.heard.count(b"DONE") == 3


async def test_without_idle_the_server_is_asked(script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mailbox, "POLLED", 0.001)
    script.can = b"IMAP4rev1"
    script.answers[b"NOOP"] = b"* 3 EXISTS\r\n"
    async with mailbox.opened(script.account) as box:
        assert await box.wait(60)
    assert not [line for line in script.heard if b"IDLE" in line]


async def test_idle_that_is_refused(script: Script) -> None:
    script.refused[b"IDLE"] = b"[LIMIT] later"
    async with mailbox.opened(script.account) as box:
        with pytest.raises(errors.NoMailbox, match="LIMIT"):
            await box.wait(60)


@pytest.mark.parametrize("can", [b"IMAP4rev1", b"IMAP4rev1 AUTH=PLAIN"])
async def test_any_password_can_be_said(script: Script, can: bytes) -> None:
    script.can = can
    script.answers[b"AUTHENTICATE"] = b""
    password = 'p "w\\ö{3}x'
    account = dataclasses.replace(script.account, password=password)
    if b"AUTH" in can:
        script.asks = b"AUTHENTICATE"
    async with mailbox.opened(account):
        pass
    sent = b"\n".join(script.heard)
    plain = base64.b64encode(f"\0me\0{password}".encode())
    assert (b"LOGIN {2} me {%d} %b" % (len(password.encode()), password.encode()) in sent) or plain in sent


async def test_what_a_server_says_of_a_login_is_not_passed_on(script: Script) -> None:
    script.refused[b"LOGIN"] = b"[AUTHENTICATIONFAILED] hunter2 is wrong"
    with pytest.raises(errors.MailboxLogin, match="AUTHENTICATIONFAILED") as caught:
        await messages(script)
    assert "hunter2" not in str(caught.value)
    script.refused[b"LOGIN"] = b"[UNAVAILABLE] later"
    with pytest.raises(errors.NoMailbox) as caught:
        await messages(script)
    assert not isinstance(caught.value, errors.MailboxLogin)
    script.can = b"IMAP4rev1 LOGINDISABLED"
    script.heard.clear()
    with pytest.raises(errors.MailboxLogin, match="LOGINDISABLED"):
        await messages(script)
    assert b"hunter2" not in b"".join(script.heard)


async def test_tls_is_for_the_name_and_nothing_is_said_before(tmp_path: Path) -> None:
    serving_tls, trusting = certificate(tmp_path, "imap.example.com")

    async def names(host: str, port: int) -> list[str]:
        return ["127.0.0.1"]

    async with serving(serving_tls) as script:
        account = mailbox.Account("imap.example.com", script.port, "me", "hunter2", pinned=("127.0.0.1",))
        async with mailbox.opened(account, resolver=names, tls=trusting):
            pass
        heard = len(script.heard)
        other = dataclasses.replace(account, host="other.example.com")
        for refused, tls in ((other, trusting), (account, None)):
            with pytest.raises(errors.NoMailbox, match="certificate"):
                async with mailbox.opened(refused, resolver=names, tls=tls):
                    pass
        assert len(script.heard) == heard


@pytest.mark.parametrize(
    ("host", "port", "pinned", "at"),
    [
        ("imap.example.com", 993, (), "127.0.0.1"),
        ("imap.example.com", 993, (), "169.254.169.254"),
        ("imap.example.com", 993, (), "::ffff:10.0.0.1"),
        ("imap.example.com", 993, ("10.0.0.0/8",), "8.8.8.8"),
        ("imap.example.com", 25, (), "8.8.8.8"),
        ("127.0.0.1", 993, (), ""),
        ("localhost", 993, (), "127.0.0.1"),
        ("0x7f.1", 993, (), "127.0.0.1"),
        ("good@evil", 993, (), "8.8.8.8"),
        ("nas.local", 993, (), "8.8.8.8"),
        ("imap.example.com", 993, ("nonsense",), "8.8.8.8"),
    ],
)
async def test_nothing_is_sent_to_an_address_that_is_not_allowed(
    host: str, port: int, pinned: tuple[str, ...], at: str
) -> None:
    async def names(_host: str, _port: int) -> list[str]:
        return [at]

    with pytest.raises(errors.EgressRefused):
        async with mailbox.opened(mailbox.Account(host, port, "me", "pw", pinned=pinned), resolver=names):
            pass


async def test_a_mailbox_elsewhere_is_never_read_in_clear() -> None:
    with pytest.raises(errors.EgressRefused, match="TLS"):
        async with mailbox.opened(
            mailbox.Account("192.168.1.9", 143, "me", "pw", tls=False, pinned=("192.168.0.0/16",))
        ):
            pass


def test_a_url_says_where_and_as_whom() -> None:
    found = mailbox.read("imaps://m%40x@Imap.Example.com/In%2FBox%20%C3%A9", "pw")
    assert found == mailbox.Account("imap.example.com", 993, "m@x", "pw", "In/Box é")
    assert "pw" not in repr(found)
    assert mailbox.read("imap://me@localhost", "pw").pinned == mailbox.LOOPBACK
    assert mailbox.read("imaps://me@nas.lan:1993/", "pw", ["192.168.1.2"]).pinned == ("192.168.1.2",)


@pytest.mark.parametrize(
    "url",
    [
        "imap://me@imap.example.com/INBOX",
        "imaps://imap.example.com/INBOX",
        "imaps://me:hunter2@imap.example.com/INBOX",
        "imaps://me:hunter2/x@imap.example.com",
        "imaps://me:hunter2#x@imap.example.com",
        "imaps://me@host:hunter2/INBOX",
        "https://me@imap.example.com/",
        "imaps://me@imap.example.com/a%0D%0Ab",
        "imaps://me@imap.example.com/INBOX?x=1",
    ],
)
def test_a_url_that_is_none(url: str) -> None:
    with pytest.raises(errors.BadSetting) as caught:
        mailbox.read(url, "pw")
    assert "hunter2" not in f"{caught.value}{caught.value.hint}"
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_folders_are_written_as_the_standard_says() -> None:
    # The example of RFC 3501, 5.1.3.
    assert imap.folder("~peter/mail/台北/日本語") == '"~peter/mail/&U,BTFw-/&ZeVnLIqe-"'
    assert imap.folder('a&b"c\\') == '"a&-b\\"c\\\\"'


@given(st.lists(st.binary(max_size=200), min_size=1, max_size=4), st.lists(st.binary(max_size=20), max_size=4))
def test_no_answer_breaks_the_reader(pieces: list[bytes], literals: list[bytes]) -> None:
    answer = imap.Answer(tuple(pieces), tuple(literals))
    assert isinstance(imap.fetched(answer), dict)
    assert imap.coded([answer], b"UIDNEXT") >= 0


async def test_a_line_made_to_be_slow_is_not(script: Script) -> None:
    for text in (b'"\\' * 30_000, b"(" * 60_000, b'" ' * 30_000, b"[" * 60_000, b"{1" * 30_000):
        assert imap.fetched(imap.Answer((b"* 1 FETCH (UID " + text,))) is not None


async def test_the_wait_can_be_cancelled(script: Script) -> None:
    async with mailbox.opened(script.account) as box:
        waiting = asyncio.create_task(box.wait(60))
        await script.idled.wait()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        with pytest.raises(errors.NoMailbox):
            await box.wait(60)
    await script.ended.wait()
