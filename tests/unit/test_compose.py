"""What leaves: canonical bytes that read back as drafted, and no field that can smuggle anything."""

import dataclasses
import email
import email.policy
import string
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pocketlet import errors
from pocketlet.platform import compose, messages

DRAFT = compose.Draft(
    sender="agent@example.com",
    sender_name="Pocketlet",
    to="ada@example.com",
    subject="Re: your order",
    body="Dear Ada,\n\nit is on its way.\n",
    message_id="e1@example.com",
    in_reply_to="m1@example.com",
    references=("m0@example.com", "m1@example.com"),
    date=datetime(2026, 3, 3, 9, 30, tzinfo=UTC),
)


def change(**fields: object) -> compose.Draft:
    return dataclasses.replace(DRAFT, **fields)  # pyright: ignore[reportArgumentType]


def test_the_bytes() -> None:
    assert compose.compose(DRAFT).decode("ascii").split("\r\n") == [
        'From: "Pocketlet"',
        " <agent@example.com>",
        "To: <ada@example.com>",
        "Subject: Re: your order",
        "Date: Tue, 03 Mar 2026 09:30:00 +0000",
        "Message-ID: <e1@example.com>",
        "In-Reply-To: <m1@example.com>",
        "References: <m0@example.com>",
        " <m1@example.com>",
        "Auto-Submitted: auto-replied",
        "MIME-Version: 1.0",
        "Content-Type: text/plain; charset=utf-8",
        "Content-Transfer-Encoding: quoted-printable",
        "",
        "Dear Ada,",
        "",
        "it is on its way.",
        "",
    ]


def test_a_first_mail_says_that_a_machine_wrote_it() -> None:
    raw = compose.compose(change(in_reply_to="", references=()))
    assert b"Auto-Submitted: auto-generated\r\n" in raw
    assert b"In-Reply-To" not in raw
    assert b"References" not in raw


def test_the_same_instant_in_another_zone_gives_the_same_bytes() -> None:
    zone = timezone(timedelta(hours=5))
    assert compose.compose(change(date=DRAFT.date.astimezone(zone))) == compose.compose(DRAFT)


def test_the_encoding_is_the_shorter_one() -> None:
    assert b"Encoding: quoted-printable" in compose.compose(change(body="Viele Grüße aus dem schönen Hamburg"))
    assert b"Encoding: base64" in compose.compose(change(body="Привет, Ада"))


def test_a_long_thread_keeps_its_first_and_last_references() -> None:
    references = tuple(f"m{number}@example.com" for number in range(80))
    kept = messages.parse(compose.compose(change(references=references))).references
    assert kept == references[:1] + references[-49:]


HEADER_TEXT = st.text(
    st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp"), exclude_characters="\x85"), max_size=120
).map(str.strip)
BODY = st.text(st.characters(exclude_categories=("Cc", "Cs"), include_characters="\n\t"), max_size=400)
ATOM = st.text(string.ascii_letters + string.digits + "!#$%&'*+/=?^_`{|}~-", min_size=1, max_size=20)
LABEL = st.text(string.ascii_lowercase + string.digits, min_size=1, max_size=20)
ADDRESS = st.builds(
    "{}@{}".format,
    st.lists(ATOM, min_size=1, max_size=3).map(".".join),
    st.lists(LABEL, min_size=1, max_size=4).map(".".join),
)


@given(
    st.builds(
        compose.Draft,
        sender=ADDRESS,
        sender_name=HEADER_TEXT,
        to=ADDRESS,
        subject=HEADER_TEXT,
        body=BODY,
        message_id=ADDRESS,
        in_reply_to=st.just("") | ADDRESS,
        references=st.lists(ADDRESS, max_size=8, unique=True).map(tuple),
        date=st.datetimes(min_value=datetime(1971, 1, 1), max_value=datetime(2100, 1, 1), timezones=st.just(UTC)).map(
            lambda when: when.replace(microsecond=0)
        ),
    )
)
def test_round_trip(draft: compose.Draft) -> None:
    raw = compose.compose(draft)
    assert raw == compose.compose(draft)
    assert max(len(line) for line in raw.split(b"\r\n")) <= 254
    assert raw.count(b"\n") == raw.count(b"\r\n") == raw.count(b"\r")
    back = messages.parse(raw)
    assert (back.sender, back.sender_name, back.to) == (draft.sender, draft.sender_name, (draft.to,))
    assert (back.subject, back.date) == (draft.subject, draft.date)
    assert (back.message_id, back.in_reply_to) == (draft.message_id, draft.in_reply_to)
    assert back.references == draft.references
    assert back.text == draft.body.strip("\n")
    assert back.auto_submitted
    assert back.attachments == ()
    standard = email.message_from_bytes(raw, policy=email.policy.default)
    assert standard["subject"] == draft.subject
    assert standard["to"].addresses[0].addr_spec == draft.to
    assert not standard.defects


@pytest.mark.parametrize("field", ["sender", "sender_name", "to", "subject", "message_id", "in_reply_to", "references"])
@pytest.mark.parametrize(
    "attack",
    [
        "{}\r\nBcc: evil@example.net",
        "{}\nBcc: evil@example.net",
        "{}\rBcc: evil@example.net",
        "{}\x00",
        "{}\u2028Bcc: evil@example.net",
        "{}\x85Bcc: evil@example.net",
        "{}\x0bBcc: evil@example.net",
        "\r\n\r\n{}",
        "{}\ud800",
    ],
)
def test_header_injection(field: str, attack: str) -> None:
    good = getattr(DRAFT, field)
    bad = tuple(attack.format(item) for item in good) if isinstance(good, tuple) else attack.format(good)
    with pytest.raises(errors.BadInput):
        compose.compose(change(**{field: bad}))


@pytest.mark.parametrize("body", ["a\x00b", "a\x1b[31m", "a\ud800", "a\x85b"])
def test_a_body_with_control_characters(body: str) -> None:
    with pytest.raises(errors.BadInput, match="The body contains ⟨U"):
        compose.compose(change(body=body))


def test_a_body_can_not_end_the_message_or_add_headers() -> None:
    body = "Bcc: evil@example.net\n.\nQUIT\nFrom here\n--b\n"
    raw = compose.compose(change(body=body))
    assert b"\r\n.\r\n" not in raw
    assert messages.parse(raw).text == body.rstrip("\n")


def test_a_date_without_a_zone_and_a_long_subject() -> None:
    with pytest.raises(errors.BadInput, match="no time zone"):
        compose.compose(change(date=datetime(2026, 3, 3)))
    with pytest.raises(errors.BadInput, match="longer than 900"):
        compose.compose(change(subject="x" * 901))


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("ada@example.com", "ada@example.com"),
        (" Ada.L+x@Example.COM ", "Ada.L+x@example.com"),
        ("ada@localhost", "ada@localhost"),
        ("ada@xn--bcher-kva.example", "ada@xn--bcher-kva.example"),
    ],
)
def test_address(text: str, address: str) -> None:
    assert compose.address(text) == address


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ada",
        "@example.com",
        "ada@",
        "a@b@c",
        "a@example.com, b@example.com",
        "a@example.com b@example.com",
        "a@example.com;b@example.com",
        "Ada <ada@example.com>",
        "<ada@example.com>",
        "group: a@example.com;",
        '"a b"@example.com',
        "ada@[127.0.0.1]",
        "ada(x)@example.com",
        ".ada@example.com",
        "ada.@example.com",
        "a..b@example.com",
        "ada@-example.com",
        "ada@example-.com",
        "ada@example..com",
        "ada@example.com.",
        "ada@exämple.com",
        "аda@example.com",
        "ada@example.com\n",
        "ada@example.com\r\nRCPT TO:<evil@example.net>",
        "ada\u200b@example.com",
        "ada\x00@example.com",
        "a" * 65 + "@example.com",
        "a@" + "b" * 64 + ".com",
        "a@" + ".".join(["b" * 60] * 5),
    ],
)
def test_no_address(text: str) -> None:
    with pytest.raises(errors.BadInput, match="not one plain mail address") as refusal:
        compose.address(text)
    assert str(refusal.value).isascii()


def test_digest_binds_every_part_and_its_length() -> None:
    digests = {
        compose.digest("smtp", "ada@example.com", b"x"),
        compose.digest("smtp2", "ada@example.com", b"x"),
        compose.digest("smtp", "bob@example.com", b"x"),
        compose.digest("smtp", "ada@example.com", b"y"),
        compose.digest("smtpa", "da@example.com", b"x"),
        compose.digest("smtp", "ada@example.co", b"mx"),
        compose.digest("", "smtpada@example.com", b"x"),
    }
    assert len(digests) == 7
    assert all(len(digest) == 64 for digest in digests)
    assert compose.digest("smtp", "ada@example.com", b"x") in digests


UNSEEN = (
    *(0x00, 0x07, 0x08, 0x0B, 0x0D, 0x1B, 0x7F, 0x85, 0x9B),
    *(0xAD, 0x34F, 0x61C, 0x115F, 0x1160, 0x17B4, 0x180B, 0x180E),
    *(0x200B, 0x200C, 0x200D, 0x200E, 0x200F, 0x2028, 0x2029),
    *(0x202A, 0x202B, 0x202C, 0x202D, 0x202E, 0x2060, 0x2061, 0x2064),
    *(0x2066, 0x2067, 0x2068, 0x2069, 0x206A, 0x2800, 0x3164),
    *(0xD800, 0xE000, 0xFE00, 0xFE0F, 0xFEFF, 0xFFA0, 0xFFF9, 0xFFFF),
    *(0x1D173, 0xE0001, 0xE0020, 0xE0041, 0xE007F, 0xE0100, 0xE01EF),
)


@pytest.mark.parametrize("code", UNSEEN, ids=hex)
def test_unseen_characters_are_drawn(code: int) -> None:
    assert compose.visible(f"pay{chr(code)}100") == f"pay⟨U+{code:04X}⟩100"


@pytest.mark.parametrize("text", ["", "plain", "Grüße\n\taus Köln", "Привет", "日本語", "שלום", "€ – “x” …", "🙂"])
def test_seen_characters_stay(text: str) -> None:
    assert compose.visible(text) == text
