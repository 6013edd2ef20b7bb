"""Mail at the edge of the machine: what a URL says, when a password leaves, and whom an envelope names."""

import itertools
import mailbox
from collections.abc import AsyncGenerator, Callable
from pathlib import Path

import aiosmtplib
import pytest

from pocketlet import errors
from pocketlet.demo import sink
from pocketlet.platform import messages
from pocketlet.platform.gateways import reception, submission

MESSAGE = b"From: <mailer@host.example>\r\nSubject: Not delivered\r\n\r\nSorry.\r\n"
LOOKUP = "_lookup"  # of a key: where the file is now


@pytest.fixture
async def port(tmp_path: Path) -> AsyncGenerator[int]:
    """A mail server on this machine that wants a password and offers no STARTTLS."""
    server = await sink.serve(tmp_path / "sent", login=sink.Login("me", "secret"))
    async with server:
        yield server.sockets[0].getsockname()[1]


def test_a_url_says_where_and_as_whom() -> None:
    found = submission.read("smtps://m%40x:p%2F%23w@mx.example?sent=/var/mail/me")
    assert found == submission.Submission("mx.example", 465, "m@x", "p/#w", tls=True, sent=Path("/var/mail/me"))
    assert "p/#w" not in repr(found)


@pytest.mark.parametrize("password", ["hunter2/abc", "hunter2#abc", "hunter2?abc", "1234/abc", "1234#abc"])
def test_a_password_that_breaks_the_url_is_not_told(password: str) -> None:
    with pytest.raises(errors.BadSetting) as caught:
        submission.read(f"smtp://me:{password}@mx.example:587")
    assert password[:4] not in f"{caught.value}{caught.value.__cause__}"
    assert caught.value.__suppress_context__
    assert "%2F" in caught.value.hint


async def test_a_password_leaves_this_machine_only_encrypted(port: int, tmp_path: Path) -> None:
    # 0.0.0.0 leads to this machine too, but is no loopback address by its name.
    away = submission.Submission("0.0.0.0", port, "me", "secret")
    with pytest.raises(errors.NoMailServer, match="STARTTLS"):
        await away.send(MESSAGE, "me@host.example", "you@host.example")
    here = submission.Submission("127.0.0.1", port, "me", "secret")
    assert (await here.send(MESSAGE, "me@host.example", "you@host.example")).startswith("250")
    assert len(list((tmp_path / "sent" / "new").iterdir())) == 1


def _sent(folder: Path, *ids: str) -> submission.Submission:
    box = mailbox.Maildir(folder)
    for one in ids:
        box.add(f"Message-ID: <{one}@host.example>\n\nHello.\n")
    return submission.Submission("127.0.0.1", 25, sent=folder)


async def test_a_mail_is_found_while_its_file_is_renamed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server, flags = _sent(tmp_path / "sent", "a", "b"), itertools.cycle(("S", "RS"))
    looked_up: Callable[[mailbox.Maildir, str], str] = getattr(mailbox.Maildir, LOOKUP)
    left = [True, True] * 3

    def renamed(box: mailbox.Maildir, key: str) -> str:
        place = looked_up(box, key)
        if left and left.pop():
            (tmp_path / "sent" / place).rename(tmp_path / "sent" / "cur" / f"{key}:2,{next(flags)}")
        return place

    monkeypatch.setattr(mailbox.Maildir, LOOKUP, renamed)
    assert await server.was_sent("<a@host.example>")
    assert await server.was_sent("<b@host.example>")
    assert await server.was_sent("<c@host.example>") is False
    assert left == []


async def test_a_file_that_can_not_be_read_is_passed_over_and_a_folder_is_no_mail_server(tmp_path: Path) -> None:
    folder = tmp_path / "sent"
    server = _sent(folder, "a")
    (folder / "cur" / "0.gone:2,").symlink_to(folder / "nowhere")
    assert await server.was_sent("<a@host.example>")
    assert await server.was_sent("<b@host.example>") is False
    (folder / "new").rename(folder / "old")
    with pytest.raises(errors.NoMailServer, match="Sent folder"):
        await server.was_sent("<a@host.example>")


@pytest.mark.parametrize(
    ("sender", "line", "automatic"),
    [
        ("", b"<>", True),
        ("ann@host.example", b"<ann@host.example>", False),
        ('"a b"@host.example', b"<ab@host.example>", False),
    ],
)
async def test_the_envelopes_sender_comes_with_the_mail(sender: str, line: bytes, automatic: bool) -> None:
    taken: list[bytes] = []

    async def knows(address: str) -> bool:
        return address == "shop@shop.example"

    async def accept(address: str, raw: bytes) -> None:
        taken.append(raw)

    async with (
        reception.listening(0, knows, accept) as listening,
        aiosmtplib.SMTP(hostname=reception.HOST, port=listening) as client,
    ):
        await client.mail(sender)
        await client.rcpt("shop@shop.example")
        await client.data(MESSAGE)
    assert taken == [b"Return-Path: " + line + b"\r\n" + MESSAGE]
    assert messages.looks_like_mail(taken[0])
    assert messages.parse(taken[0]).auto_submitted is automatic
