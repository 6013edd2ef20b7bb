"""What a message says is read as it was meant, and what is left out of it is told."""

import base64
import hashlib
import pathlib
from datetime import UTC, datetime

import pytest

from pocketlet import errors
from pocketlet.platform import messages

PLAIN = b"From: Ada <ada@example.com>\r\nTo: bob@example.com\r\nSubject: Hello\r\n\r\nHow are you?\r\n"
MIXED = (pathlib.Path(__file__).parent / "mail" / "mixed.eml").read_bytes()


def mail(body: bytes, *headers: str) -> bytes:
    return "\r\n".join(("From: ada@example.com", *headers, "", "")).encode() + body


def test_reads_every_field() -> None:
    message = messages.parse(MIXED)
    assert (message.sender, message.sender_name) == ("ada@example.com", "Äda Müller")
    assert message.to == ("bob@example.com", "jane@example.org")
    assert message.cc == ("cy@example.com", "di@example.com")
    assert message.reply_to == "office@example.com"
    assert message.subject == "Angebot für März"
    assert message.date == datetime(2026, 3, 3, 9, tzinfo=UTC)
    assert (message.message_id, message.in_reply_to) == ("m2@example.com", "m1@example.com")
    assert message.references == ("m0@example.com", "m1@example.com")
    assert message.text == "Grüße"
    assert not message.auto_submitted
    assert message.notes == ()
    (file,) = message.attachments
    assert (file.name, file.media_type, file.content) == ("offer.pdf", "application/pdf", b"%PDF-1.4")
    assert file.sha256 == hashlib.sha256(b"%PDF-1.4").hexdigest()


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b"", "empty"),
        (b" \r\n\r\n ", "empty"),
        (b"just words\n\nmore words", "header lines"),
        (PLAIN + b"x" * 25_000_000, "larger than 25.0 MB"),
        (PLAIN + b"\n" * 500_001, "more than 500,000 lines"),
        (b"A: b\n" * 1_001 + b"\nhello", "more than 1,000 header lines"),
        (b"Content-Type: multipart/mixed; boundary=b\n\n" + b"--b\n\nx\n" * 201, "more than 200 parts"),
        (b"Content-Type: message/rfc822\n\n" * 30 + PLAIN, "more than 20 parts deep"),
    ],
)
def test_refusals(raw: bytes, says: str) -> None:
    with pytest.raises(errors.BadInput, match=says):
        messages.parse(raw)


@pytest.mark.parametrize(
    ("header", "addresses", "name"),
    [
        ("ada@example.com", "ada@example.com", ""),
        ("<Ada@Example.Com>", "Ada@example.com", ""),
        ('"Lovelace, Ada" <ada@example.com>', "ada@example.com", "Lovelace, Ada"),
        ("ada@example.com (Ada Lovelace)", "ada@example.com", "Ada Lovelace"),
        ('"a \\"b\\" c" <ada@example.com>', "ada@example.com", 'a "b" c'),
        ("boss@example.com <evil@example.net>", "evil@example.net", "boss@example.com"),
        ('"boss@example.com" <evil@example.net>', "evil@example.net", "boss@example.com"),
        ("=?utf-8?q?boss=40example=2Ecom=2C?= <evil@example.net>", "evil@example.net", "boss@example.com,"),
        ("alice@example.org)bob@example.net", "", ""),
        ("<boss@example.com><evil@example.net>", "", ""),
        ("<boss@example.com", "", ""),
        ("Ada", "", ""),
        ("undisclosed-recipients:;", "", ""),
        ("(" * 3_000 + "ada@example.com", "", ""),
    ],
)
def test_senders(header: str, addresses: str, name: str) -> None:
    message = messages.parse(f"From: {header}\r\n\r\nhello".encode())
    assert (message.sender, message.sender_name) == (addresses, name)


def test_several_senders_and_repeated_headers_are_told() -> None:
    message = messages.parse(b"From: a@example.com, b@example.com\nFrom: c@example.com\n\nhello")
    assert message.sender == "a@example.com"
    assert "more than one sender" in " ".join(message.notes)
    assert "header From appears 2 times" in " ".join(message.notes)


@pytest.mark.parametrize(
    ("headers", "auto"),
    [
        ((), False),
        (("Auto-Submitted: no",), False),
        (("Auto-Submitted: auto-replied",), True),
        (("Auto-Submitted: auto-generated; owner-email=x",), True),
        (("Precedence: bulk",), True),
        (("Precedence: list",), False),
        (("Return-Path: <>",), True),
        (("X-Autoreply: yes",), True),
        (("Content-Type: multipart/report; report-type=delivery-status; boundary=b",), True),
    ],
)
def test_auto_submitted(headers: tuple[str, ...], auto: bool) -> None:
    assert messages.parse(mail(b"hello", *headers)).auto_submitted is auto


@pytest.mark.parametrize(
    ("charset", "content", "text"),
    [
        ("utf-8", "Grüße".encode(), "Grüße"),
        ("iso-8859-1", b"20 \x80", "20 €"),
        ("us-ascii", "Grüße".encode(), "Grüße"),
        ("us-ascii", b"Gr\xfc\xdfe", "Grüße"),
        ("koi8-r", "Привет".encode("koi8-r"), "Привет"),
        ("koi9", "Grüße".encode(), "Grüße"),
        ("idna", b"plain", "plain"),
        ("x; charset*=x''%f0%28", "Grüße".encode(), "Grüße"),
        ("base64", b"plain", "plain"),
        ("utf-8", b"a\xffb", "a\ufffdb"),
        ("utf-8", b"a\x00b\x1b[31m", "a\ufffdb\ufffd[31m"),
        ("utf-7", b"+2AA-", "\ufffd"),
        ("utf-8", b"a\rb\r\nc\n", "a\nb\nc"),
    ],
)
def test_text(charset: str, content: bytes, text: str) -> None:
    assert messages.parse(mail(content, f"Content-Type: text/plain; charset={charset}")).text == text


def test_an_unknown_charset_is_told() -> None:
    notes = messages.parse(mail(b"hi", "Content-Type: text/plain; charset=koi9")).notes
    assert notes == ("charset 'koi9' is unknown, guessed",)


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("<p>One</p><p>Two</p>", "One\n\nTwo"),
        ("a<br>b", "a\nb"),
        ("<style>x{}</style><script>alert(1)</script>hi", "hi"),
        ('see <a href="https://example.com/a">the offer</a>!', "see the offer (https://example.com/a)!"),
        ('<a href="https://example.com">https://example.com</a>', "https://example.com"),
        ('<a href="javascript:alert(1)">go</a>', "go"),
        ("<ul><li>one<li>two</ul>", "- one\n- two"),
        ('<img alt="logo" src="https://example.com/x.png">', "[logo]"),
        ("1 &lt; 2 &amp; 3", "1 < 2 & 3"),
        ("a &#13;&#0;&#27; b", "a \ufffd b"),
        ("unclosed <b", "unclosed <b"),
        ("<![x[ hello", "<![x[ hello"),
    ],
)
def test_html(markup: str, text: str) -> None:
    message = messages.parse(mail(markup.encode(), "Content-Type: text/html; charset=utf-8"))
    assert message.text == text
    assert "HTML part shown as text" in message.notes


def test_html_is_used_if_its_plain_form_is_blank() -> None:
    raw = MIXED.replace(b"Gr=FC=DFe", b" ").replace(b"Never shown", b"Shown")
    assert messages.parse(raw).text == "Shown"


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ('filename="a.pdf"', "a.pdf"),
        ('filename="/etc/passwd"', "passwd"),
        ('filename="C:\\\\temp\\\\a.pdf"', "a.pdf"),
        ('filename=".."', "attachment-1.pdf"),
        ('filename=".bashrc"', "bashrc"),
        ("filename*=utf-8''%E2%80%AEfdp.exe", "fdp.exe"),
        ("filename*=utf-8''a%00b%0A.pdf", "a\ufffdb.pdf"),
        ('filename="=?utf-8?b?w6QucGRm?="', "ä.pdf"),
        ('filename="a:b*?.pdf"', "a_b__.pdf"),
        ("", "attachment-1.pdf"),
        (f'filename="{"x" * 300}.pdf"', "x" * 116 + ".pdf"),
    ],
)
def test_attachment_names(given: str, name: str) -> None:
    headers = ("Content-Type: application/pdf", f"Content-Disposition: attachment; {given}")
    (file,) = messages.parse(mail(b"%PDF", *headers)).attachments
    assert file.name == name


def test_caps_on_attachments_and_text_are_told() -> None:
    part = b"--b\nContent-Type: application/pdf; name=a.pdf\nContent-Transfer-Encoding: base64\n\n%s\n"
    small, large = base64.b64encode(b"x"), base64.b64encode(b"x" * 50)
    raw = mail(
        b"--b\n\n" + b"long " * 10 + b"\n" + part % large + (part % small) * 3 + b"--b--",
        "Content-Type: multipart/mixed; boundary=b",
    )
    message = messages.parse(raw, limits=messages.Limits(attachment_bytes=40, attachments=2, text_chars=9))
    assert [file.name for file in message.attachments] == ["a.pdf", "2-a.pdf"]
    assert message.text == "long long"
    assert message.notes == (
        "attachment a.pdf of 50 bytes left out (cap 40 bytes)",
        "more than 2 attachments, the others were left out",
        "text of 50 characters was cut at 9",
    )


def test_names_stay_apart() -> None:
    part = b"--b\nContent-Type: application/pdf; name=%s\n\nx\n"
    raw = mail(part % b"3-a.pdf" + (part % b"a.pdf") * 2, "Content-Type: multipart/mixed; boundary=b")
    assert [file.name for file in messages.parse(raw).attachments] == ["3-a.pdf", "a.pdf", "3-3-a.pdf"]


def test_notes_are_few() -> None:
    notes = messages.parse(b"To: " + b",".join(b"bad%d" % number for number in range(500)) + b"\n\nhi").notes
    assert len(notes) == 21
    assert notes[-1] == "480 more oddities"


def test_an_embedded_message_becomes_a_file() -> None:
    (file,) = messages.parse(mail(PLAIN, "Content-Type: message/rfc822")).attachments
    assert (file.name, file.media_type) == ("attachment-1.eml", "message/rfc822")
    assert messages.parse(file.content).subject == "Hello"


@pytest.mark.parametrize(
    ("raw", "is_mail"),
    [
        (PLAIN, True),
        (MIXED, True),
        (b"From ada Tue Mar  3 10:00:00 2026\nFrom: ada@example.com\n\nhi", True),
        (b"Received: from x\n\tby y\nX-Y: z\n\n", True),
        (b"", False),
        (b"\n\n", False),
        (b"Dear Bob,\n\nhello", False),
        (b'{"from": 1}\n\n', False),
        (b"Subject: no empty line after this", False),
        (b"Note: the first line\n\nof a text", False),
        (b"Subject: x\nand then words\n\n", False),
        (b"\xff\xfe\x00", False),
    ],
)
def test_looks_like_mail(raw: bytes, is_mail: bool) -> None:
    assert messages.looks_like_mail(raw) is is_mail
